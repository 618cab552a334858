package offsets

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// Delete decides an OffsetDelete that the group has allowed. A topic that the group subscribes to keeps its offsets: GROUP_SUBSCRIBED_TO_TOPIC. An offset that is not there is no error.
func (s *Store) Delete(req *kmsg.OffsetDeleteRequest, subscribed func(topic string) bool) ([]runtime.Record, *kmsg.OffsetDeleteResponse) {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	of, _ := s.groups.Get(req.Group)
	e := newEncoder(req.Group, 1)
	for _, topic := range req.Topics {
		answer := kmsg.OffsetDeleteResponseTopic{Topic: topic.Topic}
		kept := subscribed(topic.Topic)
		for _, p := range topic.Partitions {
			a := kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition}
			tp := protocol.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
			if kept {
				a.ErrorCode = kerr.GroupSubscribedToTopic.Code
			} else if of != nil {
				if _, ok := of.Get(tp); ok {
					e.tombstone(tp)
				}
			}
			answer.Partitions = append(answer.Partitions, a)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return e.records, resp
}

// DeleteGroup forgets every offset of a group.
func (s *Store) DeleteGroup(group string) []runtime.Record {
	return s.deleteIf(group, func(protocol.TopicPartition, Commit) bool { return true })
}

// DeleteTopic forgets what any group committed for a topic that was deleted. The topic of that name may exist again with another id: what was committed for that one stays.
func (s *Store) DeleteTopic(name string, id protocol.TopicID) []runtime.Record {
	var records []runtime.Record
	groups := make([]string, 0, s.groups.Len())
	for group := range s.groups.All() {
		groups = append(groups, group)
	}
	slices.Sort(groups)
	for _, group := range groups {
		records = append(records, s.deleteIf(group, func(tp protocol.TopicPartition, c Commit) bool { return tp.Topic == name && c.Meant(id) })...)
	}
	return records
}

// Expiry is the rules by which a group's offsets are forgotten.
type Expiry struct {
	Now       time.Time
	Retention time.Duration
	// Since is from when the retention counts; zero if from each commit.
	Since time.Time
	// Held tells whether the topic still has data that the offset is good for: it is kept then, however old.
	Held func(tp protocol.TopicPartition, c Commit) bool
}

// Expire forgets the offsets of a group that nobody is in, by rule.
func (s *Store) Expire(group string, rule Expiry) []runtime.Record {
	return s.deleteIf(group, func(tp protocol.TopicPartition, c Commit) bool { return rule.expired(c) && !rule.Held(tp, c) })
}

func (r Expiry) expired(c Commit) bool {
	now := r.Now.UnixMilli()
	if c.ExpireMs != protocol.NoTimestamp {
		return now >= c.ExpireMs
	}
	since := c.CommitMs
	if !r.Since.IsZero() {
		since = r.Since.UnixMilli()
	}
	return now-since >= r.Retention.Milliseconds()
}

func (s *Store) deleteIf(group string, chosen func(protocol.TopicPartition, Commit) bool) []runtime.Record {
	of, ok := s.groups.Get(group)
	if !ok {
		return nil
	}
	var gone []protocol.TopicPartition
	for tp, c := range of.All() {
		if chosen(tp, c) {
			gone = append(gone, tp)
		}
	}
	slices.SortFunc(gone, byName) // the same state gives the same records
	e := newEncoder(group, len(gone))
	for _, tp := range gone {
		e.tombstone(tp)
	}
	return e.records
}
