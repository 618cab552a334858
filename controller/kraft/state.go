package kraft

import (
	"fmt"
	"maps"
	"slices"

	"ottla/protocol"
)

// State is the metadata at the end of the log.
type State struct {
	Topics  map[protocol.TopicID]*Topic
	Configs map[Resource]map[string]string
	// NextProducerID is the first producer id that no broker was given.
	NextProducerID protocol.ProducerID
	// Skipped counts the records that an operator would miss, by what they are.
	Skipped map[string]int
}

// Topic is one topic. Its partitions are complete and in order once Read has returned.
type Topic struct {
	Name       string
	ID         protocol.TopicID
	Partitions []Partition
}

// Partition is what of a partition's state outlives its replicas.
type Partition struct {
	LeaderEpoch protocol.LeaderEpoch
}

// Resource is what a config belongs to: Kafka's resource type (2 topic, 4 broker, 32 group) and name.
type Resource struct {
	Type int8
	Name string
}

const topicResource = 2

func newState() *State {
	return &State{Topics: map[protocol.TopicID]*Topic{}, Configs: map[Resource]map[string]string{}, Skipped: map[string]int{}}
}

// Sorted are the topics by name.
func (s *State) Sorted() []*Topic {
	return slices.SortedFunc(maps.Values(s.Topics), func(a, b *Topic) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
}

// Kafka's API keys of metadata records.
const (
	keyTopic             = 2
	keyPartition         = 3
	keyConfig            = 4
	keyPartitionChange   = 5
	keyRemoveTopic       = 9
	keyProducerIDs       = 15
	keyBeginTransaction  = 23
	keyEndTransaction    = 24
	keyAbortTransaction  = 25
	leaderTag            = 1
	leaderUnchanged      = -2
	maxPartitionsOfTopic = 1 << 20
)

// missed are the kinds of records that are about users, and have no place here yet.
var missed = map[uint64]string{10: "delegation tokens", 11: "SCRAM credentials", 14: "client quotas", 18: "ACLs"}

// apply makes one record part of the state.
func (s *State) apply(kind, version uint64, f *fields) error {
	switch kind {
	case keyTopic:
		s.topic(f)
	case keyPartition:
		return s.partition(f)
	case keyConfig:
		s.config(f)
	case keyPartitionChange:
		return s.partitionChange(f)
	case keyRemoveTopic:
		s.removeTopic(f)
	case keyProducerIDs:
		f.int32()
		f.int64()
		s.NextProducerID = protocol.ProducerID(f.int64())
	default:
		// Brokers, controllers, features and eligible leaders are another cluster's; what is removed is not missed.
		if name := missed[kind]; name != "" {
			s.Skipped[name]++
		}
		return nil
	}
	if f.err != nil {
		return fmt.Errorf("record of kind %d, version %d: %w", kind, version, f.err)
	}
	return nil
}

func (s *State) topic(f *fields) {
	t := &Topic{Name: f.string()}
	if t.ID = f.id(); f.err == nil {
		s.Topics[t.ID] = t
	}
}

func (s *State) partition(f *fields) error {
	number := f.int32()
	id := f.id()
	for range 4 { // replicas, ISR, removing, adding
		f.int32s()
	}
	f.int32() // leader
	epoch := f.int32()
	t := s.Topics[id]
	switch {
	case f.err != nil:
		return fmt.Errorf("partition: %w", f.err)
	case t == nil:
		return fmt.Errorf("partition %d of topic id %s, which is not known", number, id)
	case number < 0 || number >= maxPartitionsOfTopic:
		return fmt.Errorf("partition %d of topic %s is out of range", number, t.Name)
	}
	for int(number) >= len(t.Partitions) {
		t.Partitions = append(t.Partitions, Partition{LeaderEpoch: protocol.NoLeaderEpoch})
	}
	t.Partitions[number] = Partition{LeaderEpoch: protocol.LeaderEpoch(epoch)}
	return nil
}

// partitionChange counts leader epochs: each change that names a leader begins one.
func (s *State) partitionChange(f *fields) error {
	number := f.int32()
	id := f.id()
	leader := int32(leaderUnchanged)
	f.tags(func(tag uint64, value *fields) {
		if tag == leaderTag {
			leader = value.int32()
		}
	})
	t := s.Topics[id]
	switch {
	case f.err != nil:
		return fmt.Errorf("partition change: %w", f.err)
	case t == nil || number < 0 || int(number) >= len(t.Partitions):
		return fmt.Errorf("change of partition %d of topic id %s, which is not known", number, id)
	}
	if leader != leaderUnchanged {
		t.Partitions[number].LeaderEpoch++
	}
	return nil
}

func (s *State) config(f *fields) {
	r := Resource{Type: f.int8(), Name: f.string()}
	name := f.string()
	value, set := f.nullable()
	if f.err != nil {
		return
	}
	if !set {
		delete(s.Configs[r], name)
		return
	}
	if s.Configs[r] == nil {
		s.Configs[r] = map[string]string{}
	}
	s.Configs[r][name] = value
}

func (s *State) removeTopic(f *fields) {
	id := f.id()
	if t := s.Topics[id]; t != nil {
		delete(s.Configs, Resource{topicResource, t.Name})
		delete(s.Topics, id)
	}
}

// check finds what a whole log cannot lack.
func (s *State) check() error {
	for _, t := range s.Sorted() {
		if err := protocol.ValidateTopicName(t.Name); err != nil {
			return err
		}
		if len(t.Partitions) == 0 {
			return fmt.Errorf("topic %s has no partitions", t.Name)
		}
		for n, p := range t.Partitions {
			if p.LeaderEpoch < 0 {
				return fmt.Errorf("partition %d of topic %s is missing", n, t.Name)
			}
		}
	}
	return nil
}
