package session

import (
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadata is a Resolver over two maps.
type metadata struct {
	version int64
	ids     map[string]protocol.TopicID
	names   map[protocol.TopicID]string
}

func newMetadata() *metadata {
	return &metadata{ids: make(map[string]protocol.TopicID), names: make(map[protocol.TopicID]string)}
}

func (m *metadata) Version() int64                       { return m.version }
func (m *metadata) TopicName(id protocol.TopicID) string { return m.names[id] }
func (m *metadata) Topic(b []byte) (string, protocol.TopicID) { // the copy of the name is that of names
	id := m.ids[string(b)]
	return m.names[id], id
}

func (m *metadata) create(name string, id byte) {
	m.drop(name)
	m.ids[name], m.names[topicID(id)] = topicID(id), name
}

func (m *metadata) drop(name string) {
	m.version++
	delete(m.names, m.ids[name])
	delete(m.ids, name)
}

func topicID(n byte) protocol.TopicID { return protocol.TopicID{0: 0xff, 15: n} }

// wanted is one partition of a request.
type wanted struct {
	name      string
	id        protocol.TopicID
	partition int32
	offset    int64
}

// fetch is a request as a test thinks of it.
type fetch struct {
	version    int16
	replica    int32
	id, epoch  int32
	want, drop []wanted
}

// body writes the request, consecutive partitions of a topic together.
func (f fetch) body() []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = f.version, f.id, f.epoch
	if req.ReplicaID = f.replica; f.version >= 15 {
		req.ReplicaState.ID = f.replica
	}
	for _, w := range f.want {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != w.name || req.Topics[n-1].TopicID != w.id {
			req.Topics = append(req.Topics, kmsg.FetchRequestTopic{Topic: w.name, TopicID: w.id})
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = w.partition, w.offset, 1<<20
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	for _, w := range f.drop {
		req.ForgottenTopics = append(req.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: w.name, TopicID: w.id, Partitions: []int32{w.partition}})
	}
	return req.AppendTo(nil)
}

func (f fetch) scanner(t testing.TB) *wire.FetchScanner {
	t.Helper()
	s := new(wire.FetchScanner)
	if err := s.Reset(f.version, f.body()); err != nil {
		t.Fatal(err)
	}
	return s
}

// counting draws the session ids 1, 2, 3 ...
func counting() func() uint32 {
	n := uint32(0)
	return func() uint32 { n++; return n << 1 }
}

var start = time.Unix(1_000_000, 0)

func (c *Cache) mustBegin(t testing.TB, f fetch, m *metadata, at time.Duration) *Context {
	t.Helper()
	x := new(Context)
	if err := c.Begin(x, f.scanner(t), m, start.Add(at)); err != nil {
		t.Fatal(err)
	}
	return x
}

// check holds a cache to its invariants.
func (c *Cache) check(t testing.TB) {
	t.Helper()
	if c.lastUsed.Len() != len(c.sessions) || len(c.sessions) > max(c.o.Slots, 0) {
		t.Fatalf("%d sessions, %d in order of use, %d slots", len(c.sessions), c.lastUsed.Len(), c.o.Slots)
	}
	sum := 0
	for id, s := range c.sessions {
		if s.id != id || s.element == nil || s.element.Value != s || s.epoch < 1 {
			t.Fatalf("session %d: %+v", id, s)
		}
		s.partitions.check(t)
		sum += s.size
		if !s.inUse && s.size != s.partitions.len() {
			t.Fatalf("session %d has %d partitions, counted as %d", id, s.partitions.len(), s.size)
		}
	}
	if sum != c.partitions {
		t.Fatalf("%d partitions, counted as %d", sum, c.partitions)
	}
}

// check: index, order and free list account for every slot once.
func (s *partitions) check(t testing.TB) {
	t.Helper()
	n, prev := 0, int32(none)
	for i := s.head; i != none; prev, i = i, s.slots[i].next {
		p := &s.slots[i]
		if p.prev != prev || s.slot(p) != i {
			t.Fatalf("slot %d: %+v after %d", i, p, prev)
		}
		k := key{id: p.ID, partition: p.Index}
		if !s.byID {
			k = key{name: p.Topic, partition: p.Index}
		}
		if s.index[k] != i {
			t.Fatalf("slot %d is not where %+v points", i, k)
		}
		n++
	}
	free := 0
	for i := s.free; i != none; i = s.slots[i].next {
		free++
	}
	if s.tail != prev || n != len(s.index) || n+free != len(s.slots) {
		t.Fatalf("%d in order, %d in index, %d free, %d slots", n, len(s.index), free, len(s.slots))
	}
}
