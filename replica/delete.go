package replica

import (
	"log/slog"
	"sync"

	"ottla/controller/image"
	"ottla/log"
	"ottla/protocol"
)

// deletions are logs on their way out of the store. Each costs several syncs, so Run works them off; only a partition that is created again under the same name
// has to wait for its own. What a stop or a crash leaves is found as stray at the next start.
type deletions struct {
	wake chan struct{} // one token: there is work

	mu      sync.Mutex
	waiting map[protocol.TopicPartition]*log.Log
	running protocol.TopicPartition // the one that Run deletes now; no topic: none
	done    chan struct{}           // closed when it is
}

// add has l deleted, some time soon.
func (d *deletions) add(l *log.Log) {
	d.mu.Lock()
	d.waiting[l.TopicPartition()] = l
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take is a log to delete, nil if there is none. The caller calls end afterwards.
func (d *deletions) take() *log.Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	for tp, l := range d.waiting {
		delete(d.waiting, tp)
		d.running, d.done = tp, make(chan struct{})
		return l
	}
	return nil
}

func (d *deletions) end() {
	d.mu.Lock()
	d.running = protocol.TopicPartition{}
	done := d.done
	d.mu.Unlock()
	close(done)
}

// claim takes tp's log out, for the caller to delete now. Nil with a channel: wait for that instead, Run is at it; nil without: nothing is to be deleted.
func (d *deletions) claim(tp protocol.TopicPartition) (*log.Log, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.waiting[tp]; l != nil {
		delete(d.waiting, tp)
		return l, nil
	}
	if d.running == tp {
		return nil, d.done
	}
	return nil, nil
}

// deleteNext deletes one log; false if there is none to delete.
func (m *Manager) deleteNext() bool {
	l := m.deletions.take()
	if l == nil {
		return false
	}
	m.deleteLog(l)
	m.deletions.end()
	return true
}

// vacate makes sure that no earlier partition of the name is in the store.
func (m *Manager) vacate(tp protocol.TopicPartition) {
	switch l, done := m.deletions.claim(tp); {
	case l != nil:
		m.deleteLog(l)
	case done != nil:
		<-done
	}
}

func (m *Manager) deleteLog(l *log.Log) {
	if err := m.store.Delete(l); err != nil {
		m.logger.Error("replica not deleted", slog.String("partition", l.TopicPartition().String()), slog.Any("error", err))
	}
}

// removeStrays has the folders deleted that the cluster does not know, or not here: their topic went while this broker was down. img must hold all that was ever
// committed.
func (m *Manager) removeStrays(img *image.Image) {
	for _, f := range m.store.Folders() {
		tp := protocol.TopicPartition{Topic: f.Topic, Partition: f.Partition}
		if f.Topic == protocol.MetadataTopic || m.belongs(img, f) {
			continue
		}
		l, err := m.store.Open(tp, f.ID, log.DefaultConfig(), log.NopObserver{})
		if err != nil {
			m.logger.Error("stray replica not removed", slog.String("partition", tp.String()), slog.Any("error", err))
			continue
		}
		m.logger.Warn("stray replica removed", slog.String("partition", tp.String()), slog.String("topic_id", f.ID.String()), slog.String("directory", f.Directory))
		m.deletions.add(l)
	}
}

// belongs tells whether a folder is that of a partition that img wants here. A folder without a topic id goes by its name, as one that is missing does.
func (m *Manager) belongs(img *image.Image, f log.Folder) bool {
	t := img.Topic(f.Topic)
	if t == nil || int(f.Partition) >= len(t.Partitions) || !f.ID.IsZero() && f.ID != t.ID {
		return false
	}
	return hosts(&t.Partitions[f.Partition], m.broker)
}
