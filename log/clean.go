package log

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ottla/log/compact"
	"ottla/log/segment"
	"ottla/protocol"
)

// errReshaped says that segments were cut, dropped or deleted while they were being cleaned: nothing is wrong, and nothing was changed.
var errReshaped = errors.New("segments have changed meanwhile")

// cleanStats is what one cleaning has done.
type cleanStats struct {
	compact.Stats
	passes int
}

// clean removes the records of d that later ones stand for, in as many passes as the keys' map needs. What a pass has finished stays, also if a later one fails.
func (l *Log) clean(ctx context.Context, d dirty, budget int64, pace *compact.Pace) (stats cleanStats, err error) {
	if err := l.noteCleaning(); err != nil {
		return stats, err
	}
	if err := l.ranges().among(d.segs); err != nil {
		return stats, err
	}
	c := l.config.Load()
	o := compact.Options{Now: nowMs(), DeleteRetention: c.DeleteRetentionMs, MaxDecompressed: maxDecompressed, Pace: pace}
	l.mu.Lock()
	o.Producers = l.producers.LastOffsets()
	l.mu.Unlock()
	segs := slices.Clone(d.segs)
	for from := d.from; from < d.end; {
		m := compact.NewOffsetMap(budget)
		covered, full, err := compact.Build(ctx, m, segs[max(0, segmentAt(segs, from)):], from, d.end, o)
		if err != nil {
			return stats, l.cleanFailed(err)
		}
		if !full {
			covered = d.end
		}
		if covered == from {
			return stats, fmt.Errorf("map of %d bytes has no room for the batch at offset %d", m.Bytes(), from)
		}
		pass := compact.NewPass(m, covered, o)
		segs, err = l.pass(ctx, pass, segs, covered, d.end, c)
		stats.add(&pass.Stats)
		if err != nil {
			return stats, l.cleanFailed(err)
		}
		if err := l.noteCleaned(segs, covered); err != nil {
			return stats, err
		}
		from = covered
	}
	return stats, nil
}

func (s *cleanStats) add(p *compact.Stats) {
	s.passes++
	s.BytesRead += p.BytesRead
	s.BytesWritten += p.BytesWritten
	s.Kept, s.Dropped, s.Keyless = p.Kept, s.Dropped+p.Dropped, s.Keyless+p.Keyless
}

// cleanFailed tells a segment that went away from one that cannot be read.
func (l *Log) cleanFailed(err error) error {
	if gone(err) || errors.Is(err, ErrClosed) {
		return fmt.Errorf("%w: %w", errReshaped, err)
	}
	return err
}

// pass copies the segments that begin below covered, group by group, and returns the row as it is then. Older groups are in place before newer ones: a tombstone is never gone before what
// it stands for.
func (l *Log) pass(ctx context.Context, p *compact.Pass, segs []*segment.Segment, covered, end protocol.Offset, c *Config) ([]*segment.Segment, error) {
	n := segmentAt(segs, covered-1) + 1
	if n < len(segs) {
		end = segs[n].Base()
	}
	groups, err := compact.Groups(segs[:n], end, c.SegmentBytes, (*segment.Segment).HasTransactions)
	if err != nil {
		return nil, err
	}
	var out []*segment.Segment
	for i, group := range groups {
		next := end
		if i+1 < len(groups) {
			next = groups[i+1][0].Base()
		}
		row, err := l.cleanGroup(ctx, p, group, next, c)
		if err != nil {
			return nil, err
		}
		out = append(out, row...)
	}
	return append(out, segs[n:]...), nil
}

// cleanGroup puts what stays of a group, which ends before end, in its place, and returns what is there then: the group itself, if nothing would change. The log's token is taken for the changes of names
// alone: flushes go on while the records are copied.
func (l *Log) cleanGroup(ctx context.Context, p *compact.Pass, group []*segment.Segment, end protocol.Offset, c *Config) ([]*segment.Segment, error) {
	draft, err := l.draft(group, c)
	if err != nil {
		return nil, err
	}
	changed, err := p.Clean(ctx, group, end, draft)
	l.takeTurn()
	defer l.endTurn()
	if err == nil {
		err = l.ranges().among(group) // the scrub may have found them meanwhile
	}
	switch {
	case l.Err() != nil:
		draft.Abandon() // the folder may be another's
		return nil, errReshaped
	case err != nil, !changed, !l.holds(group):
		if err == nil && changed {
			err = errReshaped
		}
		discarded := draft.Discard()
		l.cleanBroke(errors.Join(draft.Err(), discarded))
		return group, errors.Join(err, discarded)
	}
	next, renamed, committed, err := draft.Replace(group, nowMs())
	if err != nil {
		if committed {
			l.dir.fail(err) // nobody knows what is on disk
		}
		l.cleanBroke(err)
		return nil, err
	}
	l.replace(group, next)
	l.dir.store.removeLater(c.FileDeleteDelayMs, renamed...)
	return []*segment.Segment{next}, nil
}

// cleanBroke takes the directory offline if err is of a file and does not pass: a write or a sync that fails is not tried again.
func (l *Log) cleanBroke(err error) {
	if err != nil && !passing(err) && l.dir.err() == nil {
		l.dir.fail(err)
	}
}

// draft makes the file for a group.
func (l *Log) draft(group []*segment.Segment, c *Config) (*segment.Draft, error) {
	l.takeTurn()
	defer l.endTurn()
	if l.Err() != nil || !l.holds(group) {
		return nil, errReshaped
	}
	d, err := segment.NewDraft(l.dir.files, l.path, group[0].Base(), c.IndexIntervalBytes)
	if err != nil {
		l.cleanBroke(err)
	}
	return d, err
}

// holds tells whether the group is a part of the log, and not its end. The caller has the token.
func (l *Log) holds(group []*segment.Segment) bool {
	segs := *l.segments.Load()
	at := slices.Index(segs, group[0])
	return at >= 0 && at+len(group) < len(segs) && slices.Equal(segs[at:at+len(group)], group)
}

// replace publishes next in the place of group, which is closed: its readers keep what they have pinned.
func (l *Log) replace(group []*segment.Segment, next *segment.Segment) {
	l.mu.Lock()
	segs := *l.segments.Load()
	at := slices.Index(segs, group[0])
	l.publish(slices.Concat(segs[:at], []*segment.Segment{next}, segs[at+len(group):]))
	l.mu.Unlock()
	for _, s := range group {
		s.Close()
	}
	l.recent.drop()
}

// noteCleaned notes that a pass over segs, which are still the log's first, has covered the records below covered.
func (l *Log) noteCleaned(segs []*segment.Segment, covered protocol.Offset) error {
	l.takeTurn()
	defer l.endTurn()
	if l.Err() != nil || !l.holds(segs) {
		return errReshaped
	}
	l.cleaned.Store(int64(covered))
	l.dir.changed()
	return nil
}
