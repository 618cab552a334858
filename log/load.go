package log

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/protocol"
)

// loadOnce loads the log unless that was done, or the log is done for: a deleted one must not touch the folder, which may be another's by now. The error is one that passes;
// the next use tries again.
func (l *Log) loadOnce() error {
	l.takeTurn()
	defer l.endTurn()
	if l.loaded.Load() || l.Err() != nil {
		return nil
	}
	l.dir.start()
	err := l.dir.err()
	if err == nil {
		err = l.load()
	}
	if err != nil && passing(err) {
		return err
	}
	if err != nil {
		l.fail(err)
	}
	l.loaded.Store(true)
	return nil
}

// load brings the log from disk to where it was. After a clean stop that is a look at names, sizes and the last batches; otherwise it recovers.
// A failure that does not pass takes the log offline: its files are left as they are.
func (l *Log) load() error {
	l.reckonRoll()
	l.pending, l.epochs = pending{}, epochs{} // an earlier try may have left something
	return l.loadFolder(l.config.Load())
}

func (l *Log) loadFolder(c *Config) error {
	found, err := l.find()
	if errors.Is(err, fs.ErrNotExist) {
		if l.dir.vouched(l.tp) {
			return fmt.Errorf("%s: %w", l.path, ErrLost)
		}
		return nil // never written to
	}
	if err != nil {
		return err
	}
	point, start, known := l.dir.checkpointed(l.tp)
	if found, err = l.dropDeleted(found, start); err != nil {
		return err
	}
	if point <= start {
		point = 0 // what was durable has been deleted: nothing is left to miss
	}
	if len(found) == 0 {
		if point > 0 {
			return fmt.Errorf("%s: no segments, but records up to offset %d were durable: %w", l.path, point, ErrDamaged)
		}
		return l.loadEmpty(c)
	}
	l.loadEpochs()
	end, clean, err := l.loadClean(found, point, known)
	if err != nil {
		return err
	}
	if clean {
		l.durable.Store(int64(end))
		l.asFound = true
	} else if found, end, err = l.recover(found, point, c); err != nil {
		return err
	}
	return l.settle(found, end, c)
}

// find lists the segments on disk, and removes what interrupted operations have left.
func (l *Log) find() ([]*segment.Segment, error) {
	entries, err := l.dir.fs.ReadDir(l.path)
	if err != nil {
		return nil, err
	}
	var out []*segment.Segment
	for _, e := range entries {
		if segment.Leftover(e.Name()) {
			if err := l.dir.fs.Remove(path.Join(l.path, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		base, suffix, ok := segment.ParseName(e.Name())
		if !ok || suffix != segment.LogSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		out = append(out, segment.Found(l.dir.files, l.path, base, info.Size(), info.ModTime().UnixMilli()))
	}
	slices.SortFunc(out, func(a, b *segment.Segment) int { return int(min(1, max(-1, a.Base()-b.Base()))) })
	return out, nil
}

// dropDeleted deletes the segments that lie below the log start offset as a whole. A crash may have left any of them.
func (l *Log) dropDeleted(found []*segment.Segment, start protocol.Offset) ([]*segment.Segment, error) {
	n := 0
	for n+1 < len(found) && found[n+1].Base() <= start {
		n++
	}
	return found[n:], l.discard(found[:n])
}

// loadEmpty is a folder whose first segment never became durable: nothing was ever vouched for.
func (l *Log) loadEmpty(c *Config) error {
	_, start, _ := l.dir.checkpointed(l.tp)
	l.start.Store(int64(start))
	l.end.Store(int64(start))
	l.durable.Store(int64(start))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.folder = !l.dir.vouched(l.tp)
	return nil
}

// loadEpochs reads the history of leader epochs. Recovery mends what it lacks, as far as it reads.
func (l *Log) loadEpochs() {
	entries, err := checkpoint.ReadEpochs(l.dir.fs, l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.dir.logger().Warn("leader epoch checkpoint is not used", slog.String("partition", l.tp.String()), slog.Any("error", err))
	}
	l.epochs.entries = entries
}

// loadClean looks whether the log ends where the last clean stop has left it: known tells whether that is written down. An end that cannot be right, or cannot be
// read, means that the log has to be recovered.
func (l *Log) loadClean(found []*segment.Segment, point protocol.Offset, known bool) (end protocol.Offset, clean bool, err error) {
	if !l.dir.clean {
		return 0, false, nil
	}
	end, err = found[len(found)-1].NextOffset()
	var damage *segment.DamageError
	if errors.As(err, &damage) {
		return 0, false, nil
	}
	return end, err == nil && (!known || point == 0 || end == point), err
}

// recover reads everything from the segment on that was written to when the recovery point was noted: indexes of those before are synced. What lies below that point was durable: if it is not there, the log is damaged and stays as it
// is. Above, the log is cut at the first batch that is torn, damaged or out of place, even if valid ones follow: the kernel writes pages back in any order.
func (l *Log) recover(found []*segment.Segment, point protocol.Offset, c *Config) ([]*segment.Segment, protocol.Offset, error) {
	l.dir.metrics().recovered()
	first := max(0, segmentAt(found, point-1))
	rules := segment.Rules{Next: found[first].Base(), Epoch: protocol.NoLeaderEpoch, Contiguous: !c.Compact}
	l.epochs.cutEnd(rules.Next)
	for i := first; i < len(found); i++ {
		s := found[i]
		damage := misplaced(s, rules)
		if damage == nil {
			rec, err := s.Recover(rules, c.IndexIntervalBytes, func(h *batch.Header, _ []byte) { l.epochs.assign(h.LeaderEpoch, h.BaseOffset) })
			if err != nil {
				return nil, 0, err
			}
			rules.Next, rules.Epoch, damage = rec.Next, rec.Epoch, rec.Damage
			l.pending.sealed = append(l.pending.sealed, s)
		}
		if damage == nil {
			continue
		}
		if rules.Next < point {
			return nil, 0, fmt.Errorf("%w, which go up to offset %d: %w", ErrDamaged, point, damage)
		}
		kept, err := l.cutTail(found, i, damage)
		if err != nil {
			return nil, 0, err
		}
		found = kept
		break
	}
	if rules.Next < point {
		return nil, 0, fmt.Errorf("%w: they go up to offset %d, the log ends at %d", ErrDamaged, point, rules.Next)
	}
	l.pending.names = true
	l.durable.Store(int64(point))
	return found, rules.Next, nil
}

// misplaced tells why s cannot follow what was recovered so far.
func misplaced(s *segment.Segment, r segment.Rules) error {
	if s.Base() < r.Next || r.Contiguous && s.Base() > r.Next {
		return &segment.DamageError{Name: s.Name(), Err: fmt.Errorf("segment begins at offset %d, expected %d", s.Base(), r.Next)}
	}
	return nil
}

// cutTail ends the log in the segment at i, where the damage is, and deletes those behind; it returns what is left.
func (l *Log) cutTail(found []*segment.Segment, i int, damage error) ([]*segment.Segment, error) {
	l.dir.logger().Warn("log is cut at the first bad batch past its recovery point", slog.String("partition", l.tp.String()), slog.Any("error", damage), slog.Int("segments_dropped", len(found)-i-1))
	l.dir.metrics().cutTail()
	partly := slices.Contains(l.pending.sealed, found[i]) // else not even its beginning fits
	drop := i
	if partly {
		drop = i + 1
	}
	// Durable, all of it, before the log goes on: a second crash could bring back what follows, and it would fit.
	if err := l.discard(found[drop:]); err != nil {
		return nil, err
	}
	if err := l.dir.fs.SyncDir(l.path); err != nil {
		return nil, err
	}
	if partly {
		if err := found[i].Cut(); err != nil {
			return nil, err
		}
	}
	return found[:drop], nil
}

// settle makes the segments the log's.
func (l *Log) settle(found []*segment.Segment, end protocol.Offset, c *Config) error {
	active := found[len(found)-1]
	if n := len(l.pending.sealed); n > 0 && l.pending.sealed[n-1] == active {
		l.pending.sealed = l.pending.sealed[:n-1]
	} else if err := active.Activate(); err != nil {
		return err
	}
	for _, s := range l.pending.sealed {
		if err := s.Seal(nowMs()); err != nil {
			return err
		}
	}
	l.createdMs = nowMs()
	l.segments.Store(&found)
	l.end.Store(int64(end))
	_, start, _ := l.dir.checkpointed(l.tp)
	start = max(start, found[0].Base())
	l.start.Store(int64(min(start, end)))
	l.pending.folder = !l.dir.vouched(l.tp)
	l.epochs.cutEnd(end)
	l.epochs.cutStart(protocol.Offset(l.start.Load()))
	if start > end {
		// Records were deleted up to a point that a crash has taken from the log: what is left is deleted as well.
		if err := l.reset(start); err != nil {
			return err
		}
		return nil
	}
	if err := l.completeEpochs(); err != nil {
		return err
	}
	return l.restoreProducers(end)
}

// completeEpochs learns from the batches what the checkpoint of epochs does not know: all, if it was missing or damaged; or the oldest, if it was cut for a log start offset that
// a crash has taken back.
func (l *Log) completeEpochs() error {
	start, known := protocol.Offset(l.start.Load()), protocol.Offset(l.end.Load())
	if len(l.epochs.entries) > 0 {
		known = l.epochs.entries[0].Start
	}
	if start >= known {
		return nil
	}
	var older epochs
	err := l.headers(*l.segments.Load(), start, func(c *segment.Cursor) (bool, error) {
		if c.Header.BaseOffset >= known {
			return false, nil
		}
		older.assign(c.Header.LeaderEpoch, max(start, c.Header.BaseOffset))
		return true, nil
	})
	for _, e := range l.epochs.entries {
		older.assign(e.Epoch, e.Start)
	}
	l.epochs = older
	return err
}
