package log

import (
	"maps"
	"slices"

	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/protocol"
)

// close stops one directory cleanly: all logs are sealed, synced and leave a producer snapshot, so that the next start reads next to nothing. The marker that says so is
// written only if every log is known to be whole: none is offline, and after a crash none was left unrecovered.
func (d *directory) close() error {
	if d.err() != nil {
		return nil // reported already
	}
	d.start()
	d.mu.Lock()
	logs := maps.Clone(d.logs)
	unknown := maps.Clone(d.folders)
	d.mu.Unlock()
	whole := true
	var work []flush
	for _, l := range slices.SortedFunc(maps.Values(logs), compareLogs) {
		l.takeTurn()
		defer func() { <-l.turn }()
		switch {
		case l.Err() != nil:
			whole = false
			continue
		case !l.loaded.Load():
			continue
		}
		delete(unknown, l.tp)
		if l.active() == nil || l.untouched() {
			continue
		}
		if err := l.seal(); err != nil {
			return err
		}
		work = append(work, flush{})
		l.collect(&work[len(work)-1])
	}
	whole = whole && (d.clean || len(unknown) == 0)
	if err := d.closeLogs(logs, work); err != nil {
		return err
	}
	if err := d.manifest.Close(); err != nil || !whole {
		return err
	}
	return checkpoint.WriteCleanShutdown(d.fs, d.path, -1)
}

// closeLogs syncs what close has sealed, writes the checkpoints and ends the logs.
func (d *directory) closeLogs(logs map[protocol.TopicPartition]*Log, work []flush) error {
	d.syncAll(work)
	d.addFolders(work)
	for i := range work {
		w := &work[i]
		if w.err != nil {
			return w.err
		}
		w.l.mu.Lock()
		w.l.durable.Store(int64(w.end))
		w.l.pending = pending{}
		w.l.mu.Unlock()
	}
	d.dirty.Store(true)
	err := d.checkpoint()
	for _, l := range logs {
		closed := error(ErrClosed)
		l.offline.CompareAndSwap(nil, &closed)
		for _, s := range *l.segments.Load() {
			s.Close()
		}
	}
	return err
}

// untouched tells whether the log is as a clean stop has left it.
func (l *Log) untouched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asFound && !l.pending.names && !l.pending.folder && !l.epochs.changed && !slices.ContainsFunc(*l.segments.Load(), (*segment.Segment).Unsaved)
}

// seal makes everything pending that a later start would have to rebuild.
func (l *Log) seal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	active := l.active()
	if err := active.Seal(nowMs()); err != nil {
		return err
	}
	for _, s := range *l.segments.Load() {
		if (s == active || s.Unsaved()) && !slices.Contains(l.pending.sealed, s) {
			l.pending.sealed = append(l.pending.sealed, s)
		}
	}
	l.pending.snapshots = append(l.pending.snapshots, snapshot{protocol.Offset(l.end.Load()), l.producers.AppendSnapshot(nil)})
	return nil
}
