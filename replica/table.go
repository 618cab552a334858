package replica

import (
	"iter"
	"maps"
	"sync/atomic"

	"ottla/protocol"
)

// table finds partitions by topic id without a lock and without memory. One goroutine writes: it copies the shard that changes.
type table struct {
	shards [256]atomic.Pointer[map[protocol.TopicID][]*Partition]
}

// shard goes by a byte of the id: ids are random.
func (t *table) shard(id protocol.TopicID) *atomic.Pointer[map[protocol.TopicID][]*Partition] {
	return &t.shards[id[15]]
}

// topic is the partitions here of a topic, by number; nil where this broker has no replica. Not to be modified.
func (t *table) topic(id protocol.TopicID) []*Partition {
	if m := t.shard(id).Load(); m != nil {
		return (*m)[id]
	}
	return nil
}

// partition is nil if there is no replica here.
func (t *table) partition(id protocol.TopicID, partition int32) *Partition {
	ps := t.topic(id)
	if partition < 0 || int(partition) >= len(ps) {
		return nil
	}
	return ps[partition]
}

// set replaces a topic's partitions; nil removes the topic.
func (t *table) set(id protocol.TopicID, ps []*Partition) {
	at := t.shard(id)
	next := make(map[protocol.TopicID][]*Partition)
	if m := at.Load(); m != nil {
		next = maps.Clone(*m)
	}
	if next[id] = ps; ps == nil {
		delete(next, id)
	}
	at.Store(&next)
}

// all goes through every partition here.
func (t *table) all() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for i := range t.shards {
			m := t.shards[i].Load()
			if m == nil {
				continue
			}
			for _, ps := range *m {
				for _, p := range ps {
					if p != nil && !yield(p) {
						return
					}
				}
			}
		}
	}
}
