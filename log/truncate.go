package log

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/checkpoint"
	"ottla/log/producer"
	"ottla/log/segment"
	"ottla/protocol"
)

// Truncate removes all records at to and after; inside a batch, that batch goes as well. It is durable when it returns. Appends meanwhile are refused; readers keep the bytes
// that they have pinned. A cut inside a segment copies what is kept into a file of its own.
func (l *Log) Truncate(to protocol.Offset) error {
	if err := l.ensure(); err != nil {
		return err
	}
	if to >= protocol.Offset(l.end.Load()) {
		return nil
	}
	if to < protocol.Offset(l.start.Load()) {
		return l.ResetTo(to)
	}
	return l.reshape(func() error { return l.truncate(to) })
}

// ResetTo removes everything and begins anew at start, as a replica does that is too far behind. It is durable when it returns.
func (l *Log) ResetTo(start protocol.Offset) error {
	if err := l.ensure(); err != nil {
		return err
	}
	if start < 0 {
		return protocol.Errorf(kerr.OffsetOutOfRange, "%s cannot begin at offset %d", l.tp, start)
	}
	return l.reshape(func() error { return l.reset(start) })
}

// reshape runs change with the log's token and without appends, so that it may be slow. If it fails nobody knows what is on disk: the directory is done, or,
// for want of room or descriptors, this log: its files are as a crash on the way would have left them.
func (l *Log) reshape(change func() error) error {
	l.takeTurn()
	l.mu.Lock()
	l.reshaping = true
	l.mu.Unlock()
	err := l.Err()
	if err == nil {
		err = change()
		var damage *segment.DamageError
		switch {
		case errors.As(err, &damage):
			l.fail(damaged(err)) // it was met before a file was touched, or in a file of the log's own
		case err != nil && passing(err):
			l.fail(err)
		case err != nil:
			l.dir.fail(err)
		}
	}
	l.mu.Lock()
	l.reshaping = false
	l.mu.Unlock()
	l.endTurn()
	if err != nil {
		return storageError(err)
	}
	return nil
}

// checkpointNow makes the directory's checkpoints promise nothing that the log no longer has, before the files follow: a crash on the way would look like damage otherwise.
func (l *Log) checkpointNow() error {
	l.lowerHigh()
	l.dir.dirty.Store(true)
	return l.dir.checkpoint()
}

// truncate cuts at to, which lies within the log. Segments behind the cut go first, the newest before the others: whatever a crash leaves is a longer prefix.
func (l *Log) truncate(to protocol.Offset) error {
	now := nowMs()
	segs := *l.segments.Load()
	i := segmentAt(segs, to)
	kept, dropped := segs[:i+1], segs[i+1:]
	position, end, err := l.cutAt(kept[i], to)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.publish(slices.Clone(kept)) // readers stay below the new end from here on
	l.shrink(end)
	l.mu.Unlock()
	if err := l.checkpointNow(); err != nil {
		return err
	}
	if err := l.discard(dropped); err != nil {
		return err
	}
	old := kept[i]
	cut, err := old.Prefix(position, l.config.Load().IndexIntervalBytes, now)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.publish(append(slices.Clone(kept[:i]), cut))
	l.createdMs = now
	l.pending.names = true
	l.pending.sealed = slices.DeleteFunc(l.pending.sealed, func(s *segment.Segment) bool { return s == old })
	l.mu.Unlock()
	old.Close()
	l.recent.drop()
	if err := l.restoreProducers(end); err != nil {
		return err
	}
	if err := l.cutRanges(0, end); err != nil {
		return err
	}
	if err := checkpoint.WriteEpochs(l.dir.fs, l.path, l.epochEntries()); err != nil {
		return err
	}
	l.dir.changed()
	l.dir.logger().Info("log truncated", slog.String("partition", l.tp.String()), slog.Int64("offset", int64(end)))
	return l.dir.fs.SyncDir(l.path)
}

// cutAt is where the batch that holds to begins, and where the one before it ends: in a gap that compaction has left the log then ends before to, at an offset that its files bear out.
func (l *Log) cutAt(s *segment.Segment, to protocol.Offset) (int64, protocol.Offset, error) {
	damaged := false
	for _, bad := range l.ranges() {
		if bad.Base == s.Base() && bad.From <= to && to < bad.To {
			return bad.Position, bad.From, nil
		}
		damaged = damaged || bad.Base == s.Base()
	}
	position, end := s.Size(), to
	_, err := walkSegment(s, to, l.ranges().past(s, to), func(c *segment.Cursor) (bool, error) {
		position, end = c.Position, min(to, c.Header.BaseOffset)
		return false, nil
	})
	if err != nil || damaged { // what is damaged cannot be walked
		return position, end, err
	}
	end, err = s.NextBefore(position)
	return position, end, err
}

// shrink makes end the log's, whose segments are published. The caller holds mu.
func (l *Log) shrink(end protocol.Offset) {
	l.end.Store(int64(end))
	l.durable.Store(min(l.durable.Load(), int64(end)))
	l.start.Store(min(l.start.Load(), int64(end)))
	l.cleaned.Store(min(l.cleaned.Load(), int64(end)))
	l.epochs.cutEnd(end)
	l.asFound = false
	active := l.active()
	l.pending.sealed = slices.DeleteFunc(l.pending.sealed, func(s *segment.Segment) bool { return s.Base() > active.Base() })
	l.pending.snapshots = slices.DeleteFunc(l.pending.snapshots, func(s snapshot) bool { return s.offset > end })
}

// discard deletes segments, the last one first, with the producer snapshots that stand beside them. They are no longer read: the caller publishes the rest.
func (l *Log) discard(segs []*segment.Segment) error {
	for _, s := range slices.Backward(segs) {
		if err := l.remove(s); err != nil {
			return err
		}
	}
	return nil
}

// reset replaces all segments by an empty one.
func (l *Log) reset(start protocol.Offset) error {
	segs := *l.segments.Load()
	l.mu.Lock()
	l.publish(nil)
	l.pending.sealed, l.pending.snapshots = nil, nil
	l.end.Store(int64(start))
	l.start.Store(int64(start))
	l.durable.Store(min(l.durable.Load(), int64(start)))
	l.cleaned.Store(neverCleaned)
	l.epochs.entries, l.epochs.changed = nil, true
	l.producers, l.asFound = producer.State{}, false
	l.mu.Unlock()
	if err := l.checkpointNow(); err != nil {
		return err
	}
	if err := l.dir.fs.MkdirAll(l.path); err != nil {
		return err
	}
	if err := l.cutRanges(0, 0); err != nil {
		return err
	}
	// The segments go durably first: without the snapshots what a crash leaves of them could not be told its producers. Then the snapshots: the log that begins anew would believe them.
	for _, s := range slices.Backward(segs) {
		renamed, err := s.Delete()
		if err != nil {
			return err
		}
		l.dir.store.removeLater(l.config.Load().FileDeleteDelayMs, renamed...)
	}
	if err := l.dir.fs.SyncDir(l.path); err != nil {
		return err
	}
	if err := l.dropAllSnapshots(); err != nil {
		return err
	}
	l.mu.Lock()
	l.pending.folder = l.pending.folder || !l.dir.vouched(l.tp)
	_, err := l.add(start, l.config.Load(), nowMs())
	l.mu.Unlock()
	if err != nil {
		return err
	}
	l.recent.drop()
	if err := checkpoint.WriteEpochs(l.dir.fs, l.path, nil); err != nil {
		return err
	}
	l.dir.changed()
	return l.dir.fs.SyncDir(l.path)
}

func (l *Log) epochEntries() []checkpoint.Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.changed = false
	return slices.Clone(l.epochs.entries)
}
