package offsets

import (
	"fmt"
	"iter"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/timeline"
	"ottla/protocol"
)

// Store is the committed offsets of a shard's groups. Only Apply changes it.
type Store struct {
	timeline *timeline.Timeline
	groups   *timeline.Map[string, *partitions] // a group without offsets is not in it
	// topics has each topic's name once: a million offsets share the names of a few topics.
	topics map[string]string
}

type partitions = timeline.Map[protocol.TopicPartition, Commit]

// New returns an empty store on t.
func New(t *timeline.Timeline) *Store {
	return &Store{timeline: t, groups: timeline.NewMap[string, *partitions](t), topics: map[string]string{}}
}

// Apply replays a record of the offset key's versions 0 and 1, and names its group; the name aliases key. It keeps none of the bytes itself. A nil value takes the offset away.
func (s *Store) Apply(at protocol.Offset, key, value []byte) (group string, err error) {
	var k kmsg.OffsetCommitKey
	if err := k.UnsafeReadFrom(key); err != nil {
		return "", fmt.Errorf("key of a committed offset: %w", err)
	}
	if value == nil {
		s.remove(k)
		return k.Group, nil
	}
	c, err := decodeCommit(value)
	if err != nil {
		return "", fmt.Errorf("group %q, %s-%d: %w", k.Group, k.Topic, k.Partition, err)
	}
	c.At, c.Metadata = at, strings.Clone(c.Metadata)
	of, ok := s.groups.Get(k.Group)
	if !ok {
		of = timeline.NewMap[protocol.TopicPartition, Commit](s.timeline)
		s.groups.Set(strings.Clone(k.Group), of)
	}
	topic, ok := s.topics[k.Topic]
	if !ok {
		topic = strings.Clone(k.Topic)
		s.topics[topic] = topic
	}
	of.Set(protocol.TopicPartition{Topic: topic, Partition: k.Partition}, c)
	return k.Group, nil
}

func (s *Store) remove(k kmsg.OffsetCommitKey) {
	of, ok := s.groups.Get(k.Group)
	if !ok {
		return
	}
	of.Delete(protocol.TopicPartition{Topic: strings.Clone(k.Topic), Partition: k.Partition}) // cloned, as the timeline keeps it to bring the offset back
	if of.Len() == 0 {
		s.groups.Delete(strings.Clone(k.Group))
	}
}

// Has tells whether the group has offsets.
func (s *Store) Has(group string) bool { _, ok := s.groups.Get(group); return ok }

// Len counts the offsets of a group.
func (s *Store) Len(group string) int {
	if of, ok := s.groups.Get(group); ok {
		return of.Len()
	}
	return 0
}

// All walks a group's offsets as of committed, in no order.
func (s *Store) All(committed protocol.Offset, group string) iter.Seq2[protocol.TopicPartition, Commit] {
	of, ok := s.groups.GetAt(int64(committed), group)
	if !ok {
		return func(func(protocol.TopicPartition, Commit) bool) {}
	}
	return of.AllAt(int64(committed))
}
