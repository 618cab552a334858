package log

import (
	"strings"

	"ottla/protocol"
)

func compareLogs(a, b *Log) int {
	if c := strings.Compare(a.tp.Topic, b.tp.Topic); c != 0 {
		return c
	}
	return int(a.tp.Partition) - int(b.tp.Partition)
}

// Delete takes a log out of the store, whatever state it is in, and removes its folder in the background: it is renamed before Delete returns, and durably so. The partition
// may then be opened anew. The observer is not called.
func (s *Store) Delete(l *Log) error {
	d := l.dir
	d.start()
	defer d.report()
	l.takeTurn() // a load or a flush that was under way is over, and none comes any more
	defer func() { <-l.turn }()
	closed := error(ErrClosed)
	l.offline.CompareAndSwap(nil, &closed)
	l.mu.Lock() // an append that was under way is over
	segs := *l.segments.Load()
	l.publish(nil)
	l.pending = pending{}
	l.mu.Unlock()
	for _, seg := range segs {
		seg.Close()
	}
	err := d.deleteFolder(l.tp)
	s.mu.Lock()
	delete(s.logs, l.tp)
	s.mu.Unlock()
	d.mu.Lock()
	delete(d.logs, l.tp)
	d.mu.Unlock()
	return err
}

// deleteFolder renames the partition's folder away. The manifest forgets it first: a crash in between leaves a folder that nobody misses.
func (d *directory) deleteFolder(tp protocol.TopicPartition) error {
	if d.vouched(tp) {
		if err := d.disown(tp); err != nil {
			return d.deletionFailed(err)
		}
	}
	to := d.join(deletedFolder(tp, protocol.NewID()))
	err := d.fs.Rename(d.join(tp.String()), to)
	if gone(err) {
		return nil // never written to
	}
	if err == nil {
		err = d.fs.SyncDir(d.path)
	}
	if err != nil {
		return d.deletionFailed(err)
	}
	d.mu.Lock()
	delete(d.folders, tp)
	d.mu.Unlock()
	d.changed()
	d.store.removeLater(0, to)
	return nil
}

// deletionFailed is the error of a deletion. Unless it passes, the directory is done; the caller reports it.
func (d *directory) deletionFailed(err error) error {
	if !passing(err) {
		d.failed(err)
	}
	return storageError(err)
}
