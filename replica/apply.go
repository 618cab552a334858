package replica

import (
	"log/slog"
	"slices"

	"ottla/controller/image"
	"ottla/log"
	"ottla/protocol"
	"ottla/protocol/config"
)

// topicSettings is the part of a topic's configuration that is put to use here.
type topicSettings struct {
	log       log.Config
	minInSync int32
}

func (m *Manager) topicSettings(img *image.Image, topic string) topicSettings {
	v := m.settings()
	v.DynamicDefault, v.DynamicBroker = img.Config(config.Broker, ""), img.Config(config.Broker, m.name)
	v.Override = img.Config(config.Topic, topic)
	return topicSettings{log: log.ConfigFrom(v), minInSync: int32(v.Int("min.insync.replicas"))}
}

// Apply makes the partitions here those of img, which is d further than the image before. The first call, with the whole of what is known, also finds the folders
// that nobody knows any more. It runs on the controller's goroutine.
func (m *Manager) Apply(img *image.Image, d *image.Delta) {
	first := m.image.Load() == nil
	if first {
		m.removeStrays(img)
	}
	for i := range d.Topics {
		if c := &d.Topics[i]; c.New == nil {
			m.deleteTopic(c.Old)
		}
	}
	for i := range d.Topics {
		if c := &d.Topics[i]; c.New != nil {
			m.updateTopic(img, c.New)
		}
	}
	if !first {
		m.reconfigure(img, d)
	}
	m.image.Store(img)
	m.metrics.partitions.Set(float64(m.count))
}

// updateTopic opens the partitions of t that are new here, closes those that went, and tells the others what they are.
func (m *Manager) updateTopic(img *image.Image, t *image.Topic) {
	settings := m.topicSettings(img, t.Name)
	old := m.table.topic(t.ID)
	next := make([]*Partition, len(t.Partitions))
	copy(next, old)
	hosted := false
	for n := range t.Partitions {
		state := &t.Partitions[n]
		here := hosts(state, m.broker)
		switch p := next[n]; {
		case here && p == nil:
			next[n] = m.open(t, int32(n), settings)
		case !here && p != nil:
			m.delete(p)
			next[n] = nil
		}
		if next[n] != nil {
			next[n].update(state, settings)
			hosted = true
		}
	}
	if !hosted {
		next = nil
	}
	m.table.set(t.ID, next)
}

// open makes the replica known; its log touches nothing on disk before its first use. Nil if the store refuses it.
func (m *Manager) open(t *image.Topic, partition int32, settings topicSettings) *Partition {
	p := &Partition{manager: m}
	p.epoch.Store(int32(protocol.NoLeaderEpoch))
	tp := protocol.TopicPartition{Topic: t.Name, Partition: partition}
	m.vacate(tp)
	l, err := m.store.Open(tp, t.ID, settings.log, (*observer)(p))
	if err != nil {
		m.logger.Error("replica not opened", slog.String("partition", tp.String()), slog.Any("error", err))
		return nil
	}
	p.log = l
	m.count++
	return p
}

func (m *Manager) deleteTopic(t *image.Topic) {
	ps := m.table.topic(t.ID)
	m.table.set(t.ID, nil)
	for _, p := range ps {
		if p != nil {
			m.delete(p)
		}
	}
}

// delete fails those who wait, and has the log deleted.
func (m *Manager) delete(p *Partition) {
	p.resign()
	m.count--
	m.checkpoint.moved()
	m.deletions.add(p.log)
}

func hosts(state *image.Partition, broker protocol.BrokerID) bool {
	return slices.Contains(state.Replicas, broker)
}

// reconfigure applies changed configs to open partitions: those of a topic, or of all if the broker's changed.
func (m *Manager) reconfigure(img *image.Image, d *image.Delta) {
	for _, c := range d.Configs {
		if c.Scope == config.Broker && (c.Name == "" || c.Name == m.name) {
			for t := range img.Topics() {
				m.reconfigureTopic(img, t)
			}
			return
		}
	}
	for _, c := range d.Configs {
		if c.Scope != config.Topic {
			continue
		}
		if t := img.Topic(c.Name); t != nil {
			m.reconfigureTopic(img, t)
		}
	}
}

func (m *Manager) reconfigureTopic(img *image.Image, t *image.Topic) {
	ps := m.table.topic(t.ID)
	if ps == nil {
		return
	}
	settings := m.topicSettings(img, t.Name)
	for n, p := range ps {
		if p != nil {
			p.log.SetConfig(settings.log)
			p.update(&t.Partitions[n], settings)
		}
	}
}
