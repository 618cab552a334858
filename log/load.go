package log

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"

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
		err = damaged(l.load())
	}
	if err != nil && passing(err) {
		return err
	}
	if err != nil {
		l.fail(err)
	} else {
		l.dir.acquit(l.tp)
	}
	l.loaded.Store(true)
	return nil
}

// load brings the log from disk to where it was. After a clean stop that is a look at names, sizes and the last batches; otherwise it recovers.
// A failure that does not pass takes the log offline: its files are left as they are.
func (l *Log) load() error {
	l.reckonRoll()
	l.pending, l.epochs = pending{}, epochs{} // an earlier try may have left something
	c := l.config.Load()
	if err := l.loadFolder(c); err != nil {
		return err
	}
	l.loadCleaned()
	if !c.Durable && l.dir.suspected(l.tp) {
		l.dir.logger().Warn("the power was cut: records that were in memory alone may be lost", slog.String("partition", l.tp.String()), slog.Int64("log_end_offset", l.end.Load()))
		l.dir.metrics().maybeLost()
	}
	l.lowerHigh() // of a log that is not durable a power cut may have taken committed records
	return nil
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
	if found, err = l.dropHeadless(found, start, known && point <= start); err != nil {
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
	if swapped, err := segment.FinishSwaps(l.dir.files, l.path, entries); err != nil {
		return nil, swapFailed(err)
	} else if swapped {
		if entries, err = l.dir.fs.ReadDir(l.path); err != nil {
			return nil, err
		}
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

// swapFailed tells damage, which is of records that were durable, from a disk that fails.
func swapFailed(err error) error {
	var damage *segment.DamageError
	if errors.As(err, &damage) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// dropDeleted deletes the segments that lie below the log start offset as a whole. A crash may have left any of them. What no producer snapshot stands for yet is kept for the next check
// of retention: the newest batches of a producer may be among them.
func (l *Log) dropDeleted(found []*segment.Segment, start protocol.Offset) ([]*segment.Segment, error) {
	if len(found) < 2 || found[1].Base() > start {
		return found, nil
	}
	snapshots, err := l.snapshotOffsets()
	if err != nil {
		return nil, err
	}
	var told protocol.Offset
	for _, offset := range snapshots {
		if offset <= start {
			told = offset
		}
	}
	n := 0
	for n+1 < len(found) && found[n+1].Base() <= told {
		n++
	}
	// What is kept has to lead up to the rest: names go in any order, so there may be gaps.
	for i := n; i+1 < len(found) && found[i+1].Base() <= start; i++ {
		if next, err := found[i].NextOffset(); err != nil || next != found[i+1].Base() {
			n = i + 1
		}
	}
	return found[n:], l.discard(found[:n])
}

// dropHeadless deletes all segments of a log of which nothing was durable (since it was reset, if unwritten: nothing past start is known to have been), and whose beginning a power cut has
// taken: what is left is no prefix of what was appended. Retention moves the start durably before it deletes.
func (l *Log) dropHeadless(found []*segment.Segment, start protocol.Offset, unwritten bool) ([]*segment.Segment, error) {
	if len(found) == 0 {
		return found, nil
	}
	base := found[0].Base()
	if lost := base > 0 && !l.dir.vouched(l.tp) || base > start && unwritten; !lost {
		return found, nil
	}
	l.dir.logger().Warn("log without its beginning is dropped: it was never durable", slog.String("partition", l.tp.String()), slog.Int64("base_offset", int64(found[0].Base())))
	if err := l.discard(found); err != nil {
		return nil, err
	}
	// Durable before the log goes on: a second crash could bring the segments back, and they would fit behind the new ones.
	return nil, l.dir.fs.SyncDir(l.path)
}

// loadEmpty is a folder whose first segment never became durable: nothing was ever vouched for.
func (l *Log) loadEmpty(c *Config) error {
	// A reset that was cut short may have left snapshots of what is gone.
	if err := l.dropAllSnapshots(); err != nil {
		return err
	}
	_, start, _ := l.dir.checkpointed(l.tp)
	l.start.Store(int64(start))
	l.end.Store(int64(start))
	l.durable.Store(int64(start))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.folder = !l.dir.vouched(l.tp)
	return nil
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
	l.loadRanges()
	if err := l.checkEpochs(c); err != nil {
		return err
	}
	if err := l.completeEpochs(); err != nil {
		return err
	}
	return l.restoreProducers(end)
}
