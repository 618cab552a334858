package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// history writes random records that fit what went before, and keeps the state as a naive model beside it.
type history struct {
	r      *rand.Rand
	nextID uint64

	topics      map[string]Topic // by name; Partitions are copies
	configs     map[resource]map[string]string
	brokers     map[protocol.BrokerID]Broker
	controllers map[protocol.BrokerID]Controller
	feature     map[string]int16
	assigned    map[protocol.BrokerID]protocol.DirectoryID
	next        protocol.ProducerID
}

func newHistory(seed uint64) *history {
	return &history{
		r: rand.New(rand.NewPCG(seed, 5)), topics: map[string]Topic{}, configs: map[resource]map[string]string{},
		brokers: map[protocol.BrokerID]Broker{}, controllers: map[protocol.BrokerID]Controller{}, feature: map[string]int16{}, assigned: map[protocol.BrokerID]protocol.DirectoryID{},
	}
}

func (h *history) id() protocol.ID {
	h.nextID++
	var id protocol.ID
	binary.BigEndian.PutUint64(id[8:], h.nextID)
	return id
}

// entry is the records of one entry at the given offset.
func (h *history) entry(at protocol.Offset) (rs []*record.Record) {
	for range h.r.IntN(5) {
		switch h.r.IntN(11) {
		case 0, 1:
			rs = append(rs, h.create()...)
		case 2:
			rs = append(rs, h.delete()...)
		case 3, 4:
			rs = append(rs, h.change()...)
		case 5, 6:
			rs = append(rs, h.config()...)
		case 7:
			rs = append(rs, h.register(at)...)
		case 8:
			rs = append(rs, h.fence()...)
		case 9:
			rs = append(rs, h.small()...)
		case 10:
			rs = append(rs, h.control())
		}
	}
	return rs
}

func (h *history) brokerList(most int) (ids []int32, typed []protocol.BrokerID) {
	for range h.r.IntN(most + 1) {
		id := int32(h.r.IntN(9))
		ids, typed = append(ids, id), append(typed, protocol.BrokerID(id))
	}
	return ids, typed
}

func (h *history) topic() (Topic, bool) {
	names := sortedKeys(h.topics)
	if len(names) == 0 {
		return Topic{}, false
	}
	return h.topics[names[h.r.IntN(len(names))]], true
}

func (h *history) create() []*record.Record {
	name := fmt.Sprintf("t.%d", h.r.IntN(30))
	if _, ok := h.topics[name]; ok {
		return nil
	}
	t := Topic{Name: name, ID: h.id(), ReplicationChosen: h.r.IntN(2) == 0}
	rs := []*record.Record{record.Of(&record.Topic{Name: name, Id: t.ID[:], ReplicationChosen: t.ReplicationChosen})}
	for n := range 1 + h.r.IntN(3) {
		k := &record.Partition{TopicId: t.ID[:], Partition: int32(n), Leader: int32(h.r.IntN(3)), LeaderEpoch: 4}
		p := Partition{Leader: protocol.BrokerID(k.Leader), LeaderEpoch: 4}
		k.Replicas, p.Replicas = h.brokerList(3)
		k.Isr, p.ISR = h.brokerList(3)
		k.Elr, p.ELR = h.brokerList(1)
		for range p.Replicas {
			d := h.id()
			k.Directories, p.Directories = append(k.Directories, d[:]...), append(p.Directories, d)
		}
		t.Partitions = append(t.Partitions, p)
		rs = append(rs, record.Of(k))
	}
	h.topics[name] = t
	return rs
}

func (h *history) delete() []*record.Record {
	t, ok := h.topic()
	if !ok {
		return nil
	}
	delete(h.topics, t.Name)
	delete(h.configs, resource{config.Topic, t.Name})
	return []*record.Record{record.Of(&record.TopicDeletion{TopicId: t.ID[:]})}
}

func (h *history) change() []*record.Record {
	t, ok := h.topic()
	if !ok {
		return nil
	}
	t.Partitions = slices.Clone(t.Partitions)
	n := h.r.IntN(len(t.Partitions))
	p, k := &t.Partitions[n], &record.PartitionChange{TopicId: t.ID[:], Partition: int32(n)}
	p.PartitionEpoch++
	if h.r.IntN(2) == 0 {
		leader := int32(h.r.IntN(4)) - 1
		k.Leader, p.Leader = &leader, protocol.BrokerID(leader)
		p.LeaderEpoch++
	}
	if h.r.IntN(2) == 0 {
		k.Isr = &record.BrokerList{}
		k.Isr.Ids, p.ISR = h.brokerList(3)
	}
	if h.r.IntN(3) == 0 {
		k.Elr, k.LastKnownElr = &record.BrokerList{}, &record.BrokerList{}
		k.Elr.Ids, p.ELR = h.brokerList(2)
		k.LastKnownElr.Ids, p.LastKnownELR = h.brokerList(2)
	}
	if h.r.IntN(3) == 0 {
		k.Replicas = &record.BrokerList{}
		k.Replicas.Ids, p.Replicas = h.brokerList(3)
		p.Replicas, k.Replicas.Ids = append(p.Replicas, 1), append(k.Replicas.Ids, 1)
		p.Directories = nil
		for range p.Replicas {
			d := h.id()
			k.Directories, p.Directories = append(k.Directories, d[:]...), append(p.Directories, d)
		}
	}
	h.topics[t.Name] = t
	return []*record.Record{record.Of(k)}
}

func (h *history) config() []*record.Record {
	r := resource{config.Broker, []string{"", "1"}[h.r.IntN(2)]}
	if t, ok := h.topic(); ok && h.r.IntN(2) == 0 {
		r = resource{config.Topic, t.Name}
	}
	k := &record.Config{ResourceType: int32(r.scope), ResourceName: r.name, Name: fmt.Sprintf("k%d", h.r.IntN(3))}
	if h.r.IntN(3) == 0 {
		delete(h.configs[r], k.Name)
		if len(h.configs[r]) == 0 {
			delete(h.configs, r)
		}
		return []*record.Record{record.Of(k)}
	}
	value := fmt.Sprint(h.r.IntN(3))
	k.Value = &value
	if h.configs[r] == nil {
		h.configs[r] = map[string]string{}
	}
	h.configs[r][k.Name] = value
	return []*record.Record{record.Of(k)}
}

func (h *history) register(at protocol.Offset) []*record.Record {
	b := Broker{
		ID: protocol.BrokerID(h.r.IntN(4)), Epoch: protocol.BrokerEpoch(at), Incarnation: h.id(), Fenced: h.r.IntN(2) == 0,
		Host: "h", Port: 9092, Endpoints: []Endpoint{{"PLAIN", "h", 9092, 1}, {"TLS", "h", 9093, 2}},
		Dirs: []protocol.DirectoryID{h.id()}, Features: map[string]FeatureRange{"f": {1, 2}, "g": {0, 9}},
	}
	if was, ok := h.brokers[b.ID]; ok && h.r.IntN(2) == 0 {
		b.Incarnation, b.Epoch = was.Incarnation, was.Epoch
	}
	if h.r.IntN(2) == 0 {
		rack := "r"
		b.Rack = &rack
	}
	h.brokers[b.ID] = b
	k := b.Registration()
	k.Epoch = nil
	return []*record.Record{record.Of(k)}
}

func (h *history) fence() []*record.Record {
	id := protocol.BrokerID(h.r.IntN(4))
	b, ok := h.brokers[id]
	if !ok {
		return nil
	}
	if h.r.IntN(4) == 0 {
		delete(h.brokers, id)
		return []*record.Record{record.Of(&record.BrokerUnregistration{Id: int32(id), Epoch: int64(b.Epoch)})}
	}
	b.Fenced, b.InControlledShutdown = h.r.IntN(2) == 0, h.r.IntN(2) == 0
	h.brokers[id] = b
	return []*record.Record{record.Of(&record.BrokerFencing{Id: int32(id), Epoch: int64(b.Epoch), Fenced: b.Fenced, InControlledShutdown: b.InControlledShutdown})}
}

func (h *history) control() *record.Record {
	id := protocol.BrokerID(h.r.IntN(4))
	if _, ok := h.controllers[id]; ok && h.r.IntN(3) == 0 {
		delete(h.controllers, id)
		return record.Of(&record.ControllerUnregistration{NodeId: int32(id)})
	}
	c := Controller{
		ID: id, RaftID: h.r.Uint64(), Directory: h.id(), Endpoints: []Endpoint{{"PLAIN", "h", 9092, 1}}, Features: map[string]FeatureRange{"f": {1, 2}},
	}
	h.controllers[id] = c
	return record.Of(c.record())
}

func (h *history) small() []*record.Record {
	switch h.r.IntN(4) {
	case 3:
		id, directory := protocol.BrokerID(h.r.IntN(9)), h.id()
		h.assigned[id] = directory
		return []*record.Record{record.Of(&record.NodeAssignment{NodeId: int32(id), DirectoryId: directory[:]})}
	case 0:
		name, level := fmt.Sprintf("f%d", h.r.IntN(3)), int16(h.r.IntN(3))
		h.feature[name] = level
		if level == 0 {
			delete(h.feature, name)
		}
		return []*record.Record{record.Of(&record.FeatureLevel{Name: name, Level: int32(level)})}
	case 1:
		h.next += 1000
		return []*record.Record{record.Of(&record.ProducerIDs{Next: int64(h.next)})}
	}
	return []*record.Record{record.Of(&record.Cluster{Id: "c"}), record.Of(&record.ControllerChange{NodeId: int32(h.r.IntN(3))})}
}

// matches compares an image with the model through its exported methods.
func (h *history) matches(i *Image) error {
	var names []string
	partitions := 0
	for t := range i.Topics() {
		names = append(names, t.Name)
		partitions += len(t.Partitions)
		want := h.topics[t.Name]
		if !reflect.DeepEqual(*t, want) {
			return fmt.Errorf("topic %+v, want %+v", *t, want)
		}
		if i.Topic(t.Name) != t || i.TopicNamed([]byte(t.Name)) != t || i.TopicByID(t.ID) != t || i.Partition(t.ID, 0) != &t.Partitions[0] {
			return fmt.Errorf("topic %s is not found", t.Name)
		}
		if c := i.Colliding("t_" + t.Name[2:]); c != t || i.Colliding(t.Name) != nil {
			return fmt.Errorf("topic %s collides with %v", t.Name, c)
		}
	}
	switch {
	case !slices.Equal(names, sortedKeys(h.topics)):
		return fmt.Errorf("topics %v", names)
	case i.TopicCount() != len(names) || i.PartitionCount() != partitions:
		return fmt.Errorf("counts %d topics, %d partitions", i.TopicCount(), i.PartitionCount())
	case i.NextProducerID() != h.next:
		return fmt.Errorf("next producer id %d", i.NextProducerID())
	case i.configs.count != len(h.configs):
		return fmt.Errorf("%d resources with configs", i.configs.count)
	case len(i.Controllers()) != len(h.controllers):
		return fmt.Errorf("%d controllers", len(i.Controllers()))
	case len(i.Brokers()) != len(h.brokers):
		return fmt.Errorf("%d brokers", len(i.Brokers()))
	}
	for r, want := range h.configs {
		if got := i.Config(r.scope, r.name); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("configs of %v: %v, want %v", r, got, want)
		}
	}
	for id, want := range h.brokers {
		if got := i.Broker(id); !reflect.DeepEqual(*got, want) {
			return fmt.Errorf("broker %+v, want %+v", *got, want)
		}
	}
	for id, want := range h.controllers {
		if got := i.Controller(id); !reflect.DeepEqual(*got, want) {
			return fmt.Errorf("controller %+v, want %+v", *got, want)
		}
	}
	features := map[string]int16{}
	for name, level := range i.Features() {
		features[name] = level
	}
	for id := range protocol.BrokerID(9) {
		got, ok := i.Assigned(id)
		if want, bound := h.assigned[id]; got != want || ok != bound {
			return fmt.Errorf("node id %d is bound to %v (%v), want %v", id, got, ok, want)
		}
	}
	if !reflect.DeepEqual(features, h.feature) {
		return fmt.Errorf("features %v, want %v", features, h.feature)
	}
	return nil
}

// bytesOf is an image as bytes: equal for equal images.
func bytesOf(i *Image) string {
	var b bytes.Buffer
	fmt.Fprintln(&b, i.Offset(), i.Term(), i.ClusterID(), i.ControllerID())
	for rs := range record.Split(i.Snapshot()) {
		b.Write(record.Encode(rs))
	}
	return b.String()
}

func TestImageMatchesModel(t *testing.T) {
	for seed := range uint64(25) {
		h, live := newHistory(seed), Empty()
		for at := range protocol.Offset(60) {
			rs := h.entry(at)
			before := bytesOf(live)
			next, delta := live.Apply(at, protocol.Term(at/10), rs)
			if bytesOf(live) != before {
				t.Fatalf("seed %d at %d: the old image changed", seed, at)
			}
			if err := h.matches(next); err != nil {
				t.Fatalf("seed %d at %d: %v\n%v", seed, at, err, rs)
			}
			if want := Diff(live, next); !reflect.DeepEqual(narrowed(delta), want) {
				t.Fatalf("seed %d at %d: delta %+v, want %+v\n%v", seed, at, delta, want, rs)
			}
			checkSnapshot(t, next)
			live = next
		}
	}
}

// narrowed leaves out of a delta what was touched and came out as it had been, which Diff cannot know.
func narrowed(d *Delta) *Delta {
	out := *d
	out.Topics = slices.DeleteFunc(slices.Clone(d.Topics), func(c TopicChange) bool { return c.Old != nil && c.New != nil && reflect.DeepEqual(c.Old, c.New) })
	out.Brokers = slices.DeleteFunc(slices.Clone(d.Brokers), func(c BrokerChange) bool { return c.Old != nil && c.New != nil && reflect.DeepEqual(c.Old, c.New) })
	out.Controllers = slices.DeleteFunc(slices.Clone(d.Controllers), func(c ControllerChange) bool { return c.Old != nil && c.New != nil && reflect.DeepEqual(c.Old, c.New) })
	if len(out.Controllers) == 0 {
		out.Controllers = nil
	}
	if len(out.Topics) == 0 {
		out.Topics = nil
	}
	if len(out.Brokers) == 0 {
		out.Brokers = nil
	}
	return &out
}

func checkSnapshot(t *testing.T, i *Image) {
	t.Helper()
	rs := i.Snapshot()
	whole, _ := Empty().Apply(i.Offset(), i.Term(), rs)
	pieces := Empty()
	for n := range rs {
		pieces, _ = pieces.Apply(i.Offset(), i.Term(), rs[n:n+1])
	}
	if len(rs) == 0 {
		pieces = whole
	}
	for name, other := range map[string]*Image{"whole": whole, "in pieces": pieces} {
		if bytesOf(other) != bytesOf(i) || !reflect.DeepEqual(Diff(i, other), &Delta{}) {
			t.Fatalf("snapshot %s differs: %+v\n%v", name, Diff(i, other), rs)
		}
	}
}

// The topics that an Apply leaves alone are the same in memory.
func TestApplySharesWhatDidNotChange(t *testing.T) {
	i, _ := Empty().Apply(0, 1, manyTopics(2000))
	one := i.Topic("topic-77")
	leader := int32(2)
	next, delta := i.Apply(1, 1, []*record.Record{record.Of(&record.PartitionChange{TopicId: one.ID[:], Leader: &leader})})
	same := 0
	for topic := range next.Topics() {
		if i.Topic(topic.Name) == topic {
			same++
		}
	}
	if same != 1999 || len(delta.Topics) != 1 || delta.Topics[0].Old != one || delta.Topics[0].New != next.Topic("topic-77") || delta.Topics[0].ID() != one.ID {
		t.Fatalf("%d topics shared, delta %+v", same, delta)
	}
	if &next.Topic("topic-77").Partitions[0].Replicas[0] != &one.Partitions[0].Replicas[0] {
		t.Error("the replicas were copied")
	}
}

func TestDeltaTellsARecreatedTopic(t *testing.T) {
	i, _ := Empty().Apply(0, 1, manyTopics(1))
	old := i.Topic("topic-0")
	fresh := protocol.ID{9}
	next, delta := i.Apply(1, 1, []*record.Record{
		record.Of(&record.TopicDeletion{TopicId: old.ID[:]}),
		record.Of(&record.Topic{Name: "topic-0", Id: fresh[:]}),
		record.Of(&record.Partition{TopicId: fresh[:]}),
	})
	want := []TopicChange{{Old: old}, {New: next.Topic("topic-0")}}
	if !reflect.DeepEqual(delta.Topics, want) || next.TopicCount() != 1 || next.TopicByID(old.ID) != nil {
		t.Fatalf("%+v", delta)
	}
}

func TestMisfitsPanic(t *testing.T) {
	i, _ := Empty().Apply(0, 1, manyTopics(1))
	known, unknown := i.Topic("topic-0").ID, protocol.ID{7}
	for name, r := range map[string]*record.Record{
		"name again":        record.Of(&record.Topic{Name: "topic-0", Id: unknown[:]}),
		"id again":          record.Of(&record.Topic{Name: "other", Id: known[:]}),
		"partition gap":     record.Of(&record.Partition{TopicId: known[:], Partition: 2}),
		"unknown partition": record.Of(&record.PartitionChange{TopicId: known[:], Partition: 1}),
		"unknown topic":     record.Of(&record.PartitionChange{TopicId: unknown[:]}),
		"deleted twice":     record.Of(&record.TopicDeletion{TopicId: unknown[:]}),
		"directories":       record.Of(&record.PartitionChange{TopicId: known[:], Directories: make([]byte, 64)}),
		"unknown broker":    record.Of(&record.BrokerFencing{Id: 1}),
		"unknown node":      record.Of(&record.ControllerUnregistration{NodeId: 1}),
		"no kind":           {},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic: %s", name, prototext.Format(r))
				}
			}()
			i.Apply(1, 1, []*record.Record{r})
		}()
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	i, _ := Empty().Apply(0, 1, manyTopics(100))
	name, id := []byte("topic-42"), i.Topic("topic-42").ID
	if n := testing.AllocsPerRun(100, func() {
		if i.TopicNamed(name) == nil || i.Topic("topic-1") == nil || i.Partition(id, 0) == nil || i.Config(config.Topic, "topic-1") != nil || i.Broker(3) != nil {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestEmpty(t *testing.T) {
	i := Empty()
	if i.Offset() != protocol.NoOffset || i.ControllerID() != protocol.NoBroker || i.Topic("a") != nil || i.TopicByID(protocol.ID{}) != nil ||
		i.Partition(protocol.ID{}, 0) != nil || i.Feature("f") != 0 || len(i.Snapshot()) != 0 {
		t.Fatal("an empty image is not empty")
	}
}

// manyTopics is topics of one partition with three replicas.
func manyTopics(count int) (rs []*record.Record) {
	for n := range count {
		id := protocol.ID{1, byte(n), byte(n >> 8)}
		rs = append(rs, record.Of(&record.Topic{Name: fmt.Sprintf("topic-%d", n), Id: id[:]}), record.Of(&record.Partition{
			TopicId: id[:], Replicas: []int32{1, 2, 3}, Isr: []int32{1, 2, 3}, Directories: make([]byte, 48), Leader: 1,
		}))
	}
	return rs
}

func BenchmarkChangeOneOf10000(b *testing.B) {
	i, _ := Empty().Apply(0, 1, manyTopics(10_000))
	id, leader := i.Topic("topic-77").ID, int32(2)
	rs := []*record.Record{record.Of(&record.PartitionChange{TopicId: id[:], Leader: &leader})}
	b.ReportAllocs()
	for b.Loop() {
		i.Apply(1, 1, rs)
	}
}

func BenchmarkTopicNamed(b *testing.B) {
	i, _ := Empty().Apply(0, 1, manyTopics(10_000))
	name := []byte("topic-77")
	b.ReportAllocs()
	for b.Loop() {
		i.TopicNamed(name)
	}
}

func BenchmarkSnapshot10000(b *testing.B) {
	i, _ := Empty().Apply(0, 1, manyTopics(10_000))
	b.ReportAllocs()
	for b.Loop() {
		i.Snapshot()
	}
}
