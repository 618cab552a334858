package log

import (
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"slices"

	"ottla/log/producer"
	"ottla/log/sabotage"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// snapshot is the producer state before the record at offset, in the bytes of a .snapshot file.
type snapshot struct {
	offset protocol.Offset
	bytes  []byte
}

// maxSnapshotBytes bounds what is read of one: more than a million producers of one partition.
const maxSnapshotBytes = 64 << 20

func (l *Log) snapshotName(offset protocol.Offset) string {
	return path.Join(l.path, segment.Name(offset, segment.SnapshotSuffix))
}

// Between rolls a durable log leaves a snapshot whenever it has grown by so many bytes, or so many for each producer: after a crash the batches since the newest one are gone
// through again, and a snapshot may not cost more than that saves.
const (
	snapshotBytes         = 16 << 20
	snapshotProducerBytes = 4 << 10
)

// grown captures a snapshot if one is due. The caller holds mu; bytes of batches were appended.
func (l *Log) grown(bytes int, c *Config) {
	l.sinceSnapshot += int64(bytes)
	if !c.Durable || l.sinceSnapshot < max(snapshotBytes, snapshotProducerBytes*int64(l.producers.Len())) {
		return
	}
	l.sinceSnapshot = 0
	l.pending.snapshots = append(l.pending.snapshots, snapshot{protocol.Offset(l.end.Load()), l.producers.AppendSnapshot(nil)})
}

// writeSnapshots makes the files durable, but not their names: the caller, who has the log's token, syncs the folder. The newest takes the place of the one before, unless that stands
// at a segment's base.
func (l *Log) writeSnapshots(all []snapshot) error {
	for _, s := range all {
		if err := writeFile(l.dir.fs, l.snapshotName(s.offset), s.bytes); err != nil {
			return err
		}
		if l.newestSnapshot < s.offset && !isBase(*l.segments.Load(), l.newestSnapshot) {
			if err := l.dir.fs.Remove(l.snapshotName(l.newestSnapshot)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		l.newestSnapshot = s.offset
	}
	return nil
}

// writeFile makes or replaces a small file.
func writeFile(fsys vfs.FS, name string, b []byte) error {
	f, err := fsys.Create(name)
	if errors.Is(err, fs.ErrExist) {
		if err = fsys.Remove(name); err == nil {
			f, err = fsys.Create(name)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// snapshotOffsets lists the snapshots on disk, ascending.
func (l *Log) snapshotOffsets() ([]protocol.Offset, error) {
	names, err := l.dir.fs.ReadDir(l.path)
	if err != nil {
		return nil, err
	}
	var out []protocol.Offset
	for _, e := range names {
		if offset, suffix, ok := segment.ParseName(e.Name()); ok && suffix == segment.SnapshotSuffix {
			out = append(out, offset)
		}
	}
	slices.Sort(out)
	return out, nil
}

// dropAllSnapshots removes every snapshot, durably: of a log without records.
func (l *Log) dropAllSnapshots() error {
	all, err := l.snapshotOffsets()
	if err != nil || len(all) == 0 {
		return err
	}
	for _, offset := range all {
		if err := l.dir.fs.Remove(l.snapshotName(offset)); err != nil {
			return err
		}
	}
	return l.dir.fs.SyncDir(l.path)
}

// retireSnapshot renames the snapshot at offset away, if there is one.
func (l *Log) retireSnapshot(offset protocol.Offset) (renamed string, ok bool, err error) {
	name := l.snapshotName(offset)
	renamed = name + segment.DeletedSuffix
	err = l.dir.fs.Rename(name, renamed)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return renamed, err == nil, err
}

// restoreProducers makes the state that before end: the newest good snapshot not beyond it, and the batches since. Snapshots beyond end are removed, and so are those that stand
// at no segment's base, but for the newest. No append runs meanwhile.
func (l *Log) restoreProducers(end protocol.Offset) error {
	if sabotage.On(sabotage.ForgetProducers) {
		return nil
	}
	all, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	segs := *l.segments.Load()
	var state producer.State
	// From a snapshot, or else from the first batch that is there, on: also below the log start, for what a producer sent last may have been deleted since.
	from, found, beyond := end, false, false
	if len(segs) > 0 {
		from = segs[0].Base()
	}
	for _, offset := range slices.Backward(all) {
		switch {
		case offset > end:
			beyond = true
			err = l.dir.fs.Remove(l.snapshotName(offset))
		case !found:
			if found = l.loadSnapshot(offset, &state); found {
				from, l.newestSnapshot = offset, offset
			}
		case !isBase(segs, offset):
			err = l.dir.fs.Remove(l.snapshotName(offset))
		}
		if err != nil {
			return err
		}
	}
	if beyond {
		// A crash could bring them back when other records have taken the offsets, and they would be believed.
		if err := l.dir.fs.SyncDir(l.path); err != nil {
			return err
		}
	}
	if err := l.replay(&state, segs, from, end); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(segs) > 0 && from < segs[len(segs)-1].Base() && l.producers.Len() > 0 {
		// A crash has taken the snapshot at a segment's base: retention may take the segments before it.
		l.pending.snapshots = append(l.pending.snapshots, snapshot{end, l.producers.AppendSnapshot(nil)})
	}
	return nil
}

func isBase(segs []*segment.Segment, offset protocol.Offset) bool {
	i := segmentAt(segs, offset)
	return i >= 0 && segs[i].Base() == offset
}

// loadSnapshot reads one; a bad one is removed.
func (l *Log) loadSnapshot(offset protocol.Offset, into *producer.State) bool {
	b, err := readFile(l.dir.fs, l.snapshotName(offset), maxSnapshotBytes)
	if err == nil {
		err = into.Load(b)
	}
	if err != nil {
		l.dir.logger().Warn("producer snapshot is not used", slog.String("partition", l.tp.String()), slog.Int64("offset", int64(offset)), slog.Any("error", err))
		_ = l.dir.fs.Remove(l.snapshotName(offset)) // it will be met again otherwise: no more than that
		return false
	}
	return true
}

// readFile reads a file of at most limit bytes.
func readFile(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenReadOnly(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file is too large")}
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b, err
}

// replay applies the batches of [from, end) to state and makes it the log's.
func (l *Log) replay(state *producer.State, segs []*segment.Segment, from, end protocol.Offset) error {
	now := nowMs()
	l.mu.Lock()
	l.producers, l.sinceSnapshot = *state, 0
	l.mu.Unlock()
	if from >= end {
		return nil
	}
	return l.headers(segs, from, func(c *segment.Cursor) (bool, error) {
		if c.Header.BaseOffset >= end {
			return false, nil
		}
		var b []byte
		if c.Header.Attributes.Control() && c.Header.HasProducer() {
			var err error
			if b, err = c.Batch(nil); err != nil {
				return false, err
			}
		}
		l.mu.Lock()
		l.applied(&c.Header, b, now)
		l.sinceSnapshot += int64(c.Header.Size())
		l.mu.Unlock()
		return true, nil
	})
}
