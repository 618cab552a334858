package handlers

// OffsetDelete (key 47), version 0: forgets a group's offsets of topics that it does not consume (KIP-496).
//
// Delete on the group, else GROUP_AUTHORIZATION_FAILED; Read on the topic, else its partitions are TOPIC_AUTHORIZATION_FAILED. Partitions that do not exist are UNKNOWN_TOPIC_OR_PARTITION. What is
// refused here comes before what the coordinator answers, unless that is an error of the whole group, which stands alone. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

type (
	offsetDeleteIn  = kmsg.OffsetDeleteRequestTopicPartition
	offsetDeleteOut = kmsg.OffsetDeleteResponseTopicPartition
)

func offsetDelete(r *request, req *kmsg.OffsetDeleteRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = r.code(err)
		return resp
	}
	if !r.mayGroup(protocol.OpDelete, req.Group) {
		return fail(kerr.GroupAuthorizationFailed)
	}
	a := offsetDeletion{request: r, at: map[string]int{}}
	rest := req.Topics[:0:0]
	for _, t := range req.Topics {
		if t.Partitions = a.check(&t); len(t.Partitions) > 0 {
			rest = append(rest, t)
		}
	}
	req.Topics = rest // even if none: the coordinator tells whether there is such a group
	return coordinate(r, req, fail, func(resp *kmsg.OffsetDeleteResponse) kmsg.Response {
		if resp.ErrorCode != 0 {
			r.call.Reply.SetError(resp.ErrorCode)
			return resp
		}
		for i := range resp.Topics {
			t := &resp.Topics[i]
			for _, p := range t.Partitions {
				r.call.Reply.SetError(p.ErrorCode)
			}
			a.add(t.Topic, t.Partitions)
		}
		return &a.resp
	})
}

// offsetDeletion gathers an answer, each topic once.
type offsetDeletion struct {
	*request
	resp kmsg.OffsetDeleteResponse
	at   map[string]int // where a topic is in resp
}

// check answers the partitions of t that are not there, or not the caller's to touch, and returns the others.
func (a *offsetDeletion) check(t *kmsg.OffsetDeleteRequestTopic) []offsetDeleteIn {
	n, err := a.offsetTopic(protocol.OpRead, &t.Topic, protocol.TopicID{}, false)
	fail := func(p *offsetDeleteIn, err error) offsetDeleteOut {
		o := kmsg.NewOffsetDeleteResponseTopicPartition()
		o.Partition, o.ErrorCode = p.Partition, a.code(err)
		return o
	}
	rest, failed := split(t.Partitions, func(p *offsetDeleteIn) error {
		if err != nil {
			return err
		}
		return checkPartition(p.Partition, n)
	}, fail)
	if err != nil || len(failed) > 0 { // a topic that is refused is named even if no partition of it is
		a.add(t.Topic, failed)
	}
	return rest
}

func (a *offsetDeletion) add(topic string, partitions []offsetDeleteOut) {
	i, known := a.at[topic]
	if !known {
		i = len(a.resp.Topics)
		a.at[topic] = i
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = topic
		a.resp.Topics = append(a.resp.Topics, t)
	}
	t := &a.resp.Topics[i]
	t.Partitions = append(t.Partitions, partitions...)
}
