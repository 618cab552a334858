package offsets

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// none stands beside an offset without text; it is shared and never written.
var none = new(string)

// Fetch answers for the partitions of one group that are asked for, as of committed. An offset that is not there is -1 without an error; so is one that was committed for another
// topic of that name. A topic whose id has no name is answered with UNKNOWN_TOPIC_ID. A group that does not exist has no offsets.
func (s *Store) Fetch(committed protocol.Offset, req kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.OffsetFetchResponseGroup{Group: req.Group}
	of, _ := s.groups.GetAt(int64(committed), req.Group)
	resp.Topics = make([]kmsg.OffsetFetchResponseGroupTopic, len(req.Topics))
	for n, topic := range req.Topics {
		answers := make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(topic.Partitions))
		for n, p := range topic.Partitions {
			answers[n] = missing(p)
			if topic.Topic == "" && topic.TopicID != (protocol.TopicID{}) {
				answers[n].ErrorCode = kerr.UnknownTopicID.Code
			} else if of == nil {
				continue
			} else if c, ok := of.GetAt(int64(committed), protocol.TopicPartition{Topic: topic.Topic, Partition: p}); ok && c.Meant(topic.TopicID) {
				answers[n] = answer(p, c)
			}
		}
		resp.Topics[n] = kmsg.OffsetFetchResponseGroupTopic{Topic: topic.Topic, TopicID: topic.TopicID, Partitions: answers}
	}
	return resp
}

// FetchAll answers with all offsets of a group as of committed, by topic and partition. ids gives the id of a name: offsets that were committed for another topic of that name are
// left out. Where topics are told by their ids, so are those that have none, as in Apache Kafka.
func (s *Store) FetchAll(committed protocol.Offset, group string, ids func(topic string) (protocol.TopicID, bool), byID bool) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.OffsetFetchResponseGroup{Group: group, Topics: []kmsg.OffsetFetchResponseGroupTopic{}} // an empty list, not null
	of, ok := s.groups.GetAt(int64(committed), group)
	if !ok {
		return resp
	}
	commits := make(map[protocol.TopicPartition]Commit)
	for tp, c := range of.AllAt(int64(committed)) {
		commits[tp] = c
	}
	for _, tp := range slices.SortedFunc(maps.Keys(commits), byName) {
		id, known := ids(tp.Topic)
		if byID && !known || !commits[tp].Meant(id) {
			continue
		}
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != tp.Topic {
			resp.Topics = append(resp.Topics, kmsg.OffsetFetchResponseGroupTopic{Topic: tp.Topic, TopicID: id})
		}
		last := &resp.Topics[len(resp.Topics)-1]
		last.Partitions = append(last.Partitions, answer(tp.Partition, commits[tp]))
	}
	return resp
}

func missing(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	return kmsg.OffsetFetchResponseGroupTopicPartition{Partition: partition, Offset: int64(protocol.NoOffset), LeaderEpoch: int32(protocol.NoLeaderEpoch), Metadata: none}
}

func answer(partition int32, c Commit) kmsg.OffsetFetchResponseGroupTopicPartition {
	a := kmsg.OffsetFetchResponseGroupTopicPartition{Partition: partition, Offset: int64(c.Offset), LeaderEpoch: int32(c.LeaderEpoch), Metadata: none}
	if c.Metadata != "" {
		a.Metadata = &c.Metadata
	}
	return a
}

func byName(a, b protocol.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}
