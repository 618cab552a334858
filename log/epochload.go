package log

import (
	"errors"
	"io/fs"
	"log/slog"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/protocol"
)

// loadEpochs reads the history of leader epochs. Recovery mends what it lacks, as far as it reads.
func (l *Log) loadEpochs() {
	entries, err := checkpoint.ReadEpochs(l.dir.fs, l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.dir.logger().Warn("leader epoch checkpoint is not used", slog.String("partition", l.tp.String()), slog.Any("error", err))
	}
	l.epochs.entries = entries
}

// epochsToCheck is how many of the newest epochs are compared with the batches when a log is loaded: nobody asks for old ones.
const epochsToCheck = 8

// checkEpochs compares the checkpoint of epochs, which has no checksum and may be a copy that is too old, with the batches where epochs begin. What does not agree is forgotten as a
// whole; completeEpochs learns it anew.
func (l *Log) checkEpochs(c *Config) error {
	agree, err := l.epochsAgree(l.contiguous(c))
	var damage *segment.DamageError
	if errors.As(err, &damage) {
		return nil // there is nothing to compare with
	}
	if err != nil || agree {
		return err
	}
	l.dir.logger().Warn("leader epoch checkpoint does not agree with the log and is built anew", slog.String("partition", l.tp.String()))
	l.epochs = epochs{changed: true}
	return nil
}

// epochsAgree tells whether the newest epochs begin where they should, and whether the last one is that of the last batch. exact is for a log from which nothing was compacted away.
func (l *Log) epochsAgree(exact bool) (bool, error) {
	start, end := protocol.Offset(l.start.Load()), protocol.Offset(l.end.Load())
	entries := l.epochs.entries
	if len(entries) == 0 || start >= end {
		return true, nil
	}
	if last, ok, err := l.batchAt(end - 1); err != nil || ok && last.LeaderEpoch != l.epochs.latest() {
		return false, err
	}
	if e := covering(entries, start); e >= 0 {
		first, ok, err := l.batchAt(start)
		if err != nil || ok && (first.LeaderEpoch < e || exact && first.LeaderEpoch > e) {
			return false, err
		}
	}
	for _, e := range entries[max(0, len(entries)-epochsToCheck):] {
		if e.Start <= start {
			continue
		}
		first, ok, err := l.batchAt(e.Start)
		if err != nil || !ok || first.BaseOffset < e.Start || first.LeaderEpoch < e.Epoch || exact && first.LeaderEpoch > e.Epoch {
			return false, err
		}
		before, ok, err := l.batchAt(e.Start - 1)
		if err != nil || ok && before.BaseOffset < e.Start && before.LeaderEpoch >= e.Epoch {
			return false, err
		}
	}
	return true, nil
}

// covering is the epoch that the entries give to offset, NoLeaderEpoch if they begin later.
func covering(entries []checkpoint.Epoch, offset protocol.Offset) protocol.LeaderEpoch {
	found := protocol.NoLeaderEpoch
	for _, e := range entries {
		if e.Start <= offset {
			found = e.Epoch
		}
	}
	return found
}

// batchAt is the header of the first batch that ends at offset or later.
func (l *Log) batchAt(offset protocol.Offset) (h batch.Header, ok bool, err error) {
	err = l.headers(*l.segments.Load(), offset, func(c *segment.Cursor) (bool, error) {
		h, ok = c.Header, true
		return false, nil
	})
	return h, ok, err
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
