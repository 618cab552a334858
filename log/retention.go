package log

import (
	"log/slog"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/segment"
	"ottla/protocol"
)

// AdvanceLogStart makes to the first offset that may be read (DeleteRecords, KIP-107); one that is not above the present start changes nothing. Files go with the next
// retention check; the new start is durable within five seconds.
// Errors: OFFSET_OUT_OF_RANGE beyond the log's end.
func (l *Log) AdvanceLogStart(to protocol.Offset) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.mu.Lock()
	start, end := protocol.Offset(l.start.Load()), protocol.Offset(l.end.Load())
	if to > start && to <= end {
		l.start.Store(int64(to))
		l.epochs.cutStart(to)
	}
	l.mu.Unlock()
	if to > end {
		return protocol.Errorf(kerr.OffsetOutOfRange, "log start offset of %s cannot move to %d: the log ends at %d", l.tp, to, end)
	}
	if to > start {
		l.dir.changed()
	}
	return nil
}

// retain takes out of the log what it may no longer keep, by Kafka's rules: whole segments from the oldest on that are too old, too much, or below the log start offset; and
// only what is durable, or written for a log that is not. The caller makes the new log start offset durable before it removes their files. It also forgets producers that
// have been silent for producerMs.
func (l *Log) retain(producerMs int64) ([]*segment.Segment, error) {
	if err := l.ensure(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.producers.Expire(nowMs(), producerMs)
	l.mu.Unlock()
	end, segs := l.end.Load(), *l.segments.Load()
	n, err := l.expired(segs)
	if err != nil || n == 0 {
		return nil, err
	}
	l.takeTurn()
	defer l.endTurn()
	if l.Err() != nil {
		return nil, nil
	}
	dropped, err := l.release(segs[:n], end)
	if err == nil && len(dropped) > 0 {
		if err = l.cutRanges((*l.segments.Load())[0].Base(), math.MaxInt64); err != nil && !passing(err) {
			l.dir.failed(err)
		}
	}
	l.dir.report()
	if len(dropped) > 0 {
		l.dir.dirty.Store(true)
		l.dir.logger().Info("segments deleted", slog.String("partition", l.tp.String()), slog.Int("count", len(dropped)), slog.Int64("log_start_offset", l.start.Load()))
	}
	return dropped, err
}

// expired counts the segments, from the oldest on, that may go.
func (l *Log) expired(segs []*segment.Segment) (n int, err error) {
	c, now := l.config.Load(), nowMs()
	start, limit := protocol.Offset(l.start.Load()), protocol.Offset(l.durable.Load())
	if !c.Durable {
		limit = protocol.Offset(l.end.Load())
	}
	excess := -c.RetentionBytes // what is left to drop by size
	for _, s := range segs {
		excess += s.Size()
	}
	for i, s := range segs {
		next := protocol.Offset(l.end.Load())
		if i+1 < len(segs) {
			next = segs[i+1].Base()
		} else if s.Size() == 0 {
			return n, nil
		}
		if next > limit {
			return n, nil
		}
		drop := next <= start && i+1 < len(segs)
		if !drop && c.Delete && c.RetentionMs >= 0 {
			newest, err := s.Newest()
			if err != nil {
				return 0, err
			}
			drop = now-newest > c.RetentionMs
		}
		if !drop && c.Delete && c.RetentionBytes >= 0 {
			drop = excess >= s.Size()
		}
		if !drop {
			return n, nil
		}
		excess -= s.Size()
		n++
	}
	return n, nil
}

// release takes the oldest segments, which are those given, out of the log, which ended at end when they were looked at. If that is all of them a new one is made first, so that
// the log's end stays known.
func (l *Log) release(old []*segment.Segment, end int64) ([]*segment.Segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	segs, n := *l.segments.Load(), len(old)
	if n > len(segs) || segs[n-1] != old[n-1] {
		return nil, nil // reshaped meanwhile; the next check looks again
	}
	if n == len(segs) && l.end.Load() != end {
		if n--; n == 0 {
			return nil, nil // what came since the look is new, and keeps its segment
		}
	}
	if n == len(segs) {
		if _, err := l.roll(protocol.Offset(l.end.Load()), l.config.Load(), nowMs()); err != nil {
			return nil, err
		}
		segs = *l.segments.Load()
	}
	start := segs[n].Base()
	if int64(start) > l.start.Load() {
		l.start.Store(int64(start)) // before the list: whoever sees that it is shorter sees where the log starts
		l.epochs.cutStart(start)
	}
	l.publish(slices.Clone(segs[n:]))
	l.pending.sealed = slices.DeleteFunc(l.pending.sealed, func(s *segment.Segment) bool { return s.Base() < start })
	return segs[:n], nil
}

// remove renames a segment's files, and the producer snapshot at its base, and has them deleted after file.delete.delay.ms.
func (l *Log) remove(s *segment.Segment) error {
	renamed, err := s.Delete()
	if err != nil {
		return err
	}
	if name, ok, err := l.retireSnapshot(s.Base()); err != nil {
		return err
	} else if ok {
		renamed = append(renamed, name)
	}
	l.dir.store.removeLater(l.config.Load().FileDeleteDelayMs, renamed...)
	return nil
}
