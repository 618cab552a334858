package handlers

// OffsetCommit (key 8), versions 2 to 10: notes how far a group has read.
//
//	v2  as below, with a retention time that counts no more
//	v3  throttle time
//	v4  throttling after the response (KIP-219)
//	v5  no retention time: offsets stay as long as the group has members (KIP-211)
//	v6  leader epoch of the last record read (KIP-320)
//	v7  static membership: instance id (KIP-345)
//	v8  flexible (KIP-482)
//	v9  the generation may be a member epoch of KIP-848: STALE_MEMBER_EPOCH
//	v10 topics by id (KIP-848)
//
// Read on the group, else everything is GROUP_AUTHORIZATION_FAILED; Read on the topic, else its partitions are TOPIC_AUTHORIZATION_FAILED. Partitions that do not exist are
// UNKNOWN_TOPIC_OR_PARTITION, ids UNKNOWN_TOPIC_ID. What is refused here comes before what the coordinator answers, a topic with both once. The coordinator checks member and generation,
// and is not asked when nothing is left for it. Differs from Apache Kafka: a topic that is named twice is answered in one entry.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// offsetsByID is the first version of OffsetCommit and OffsetFetch that names topics by id.
const offsetsByID = 10

type (
	commitIn  = kmsg.OffsetCommitRequestTopicPartition
	commitOut = kmsg.OffsetCommitResponseTopicPartition
)

func offsetCommit(r *request, req *kmsg.OffsetCommitRequest) kmsg.Response {
	a := commitAnswer{request: r}
	if !r.mayGroup(protocol.OpRead, req.Group) {
		return a.failed(req, kerr.GroupAuthorizationFailed)
	}
	rest := req.Topics[:0]
	for _, t := range req.Topics {
		if t.Partitions = a.check(&t); len(t.Partitions) > 0 {
			rest = append(rest, t)
		}
	}
	if req.Topics = rest; len(rest) == 0 {
		return &a.resp
	}
	return coordinate(r, req, func(err error) kmsg.Response { return a.failed(req, err) }, func(resp *kmsg.OffsetCommitResponse) kmsg.Response {
		for i := range resp.Topics {
			t := &resp.Topics[i]
			for _, p := range t.Partitions {
				r.call.Reply.SetError(p.ErrorCode)
			}
			a.add(t.Topic, t.TopicID, t.Partitions)
		}
		return &a.resp
	})
}

// commitAnswer gathers an answer, each topic once.
type commitAnswer struct {
	*request
	resp kmsg.OffsetCommitResponse
	at   map[topicIdentity]int // where a topic is in resp; nil below two of them
}

// check answers the partitions of t that cannot be committed, and returns the others.
func (a *commitAnswer) check(t *kmsg.OffsetCommitRequestTopic) []commitIn {
	n, err := a.offsetTopic(protocol.OpRead, &t.Topic, t.TopicID, a.version() >= offsetsByID)
	if err != nil {
		a.add(t.Topic, t.TopicID, failAll(t.Partitions, err, a.fail))
		return nil
	}
	rest, failed := split(t.Partitions, func(p *commitIn) error { return checkPartition(p.Partition, n) }, a.fail)
	if len(failed) > 0 {
		a.add(t.Topic, t.TopicID, failed)
	}
	return rest
}

func checkPartition(partition int32, of int) error {
	if partition < 0 || int(partition) >= of {
		return kerr.UnknownTopicOrPartition
	}
	return nil
}

func (a *commitAnswer) fail(p *commitIn, err error) commitOut {
	o := kmsg.NewOffsetCommitResponseTopicPartition()
	o.Partition, o.ErrorCode = p.Partition, a.code(err)
	return o
}

// add appends answers of one topic, whose memory is the answer's from now on. Versions with ids know topics by them alone, which the coordinator, who keeps names, may have left out.
func (a *commitAnswer) add(name string, id protocol.TopicID, partitions []commitOut) {
	key := topicIdentity{name: name}
	if a.version() >= offsetsByID {
		if t := a.Controller.Image().Topic(name); id == (protocol.TopicID{}) && t != nil {
			id = t.ID
		}
		key = topicIdentity{id: id}
	}
	if i, known := a.find(key); known {
		t := &a.resp.Topics[i]
		t.Partitions = append(t.Partitions, partitions...)
		return
	}
	if a.at != nil {
		a.at[key] = len(a.resp.Topics)
	}
	t := kmsg.NewOffsetCommitResponseTopic()
	t.Topic, t.TopicID, t.Partitions = name, id, partitions
	a.resp.Topics = append(a.resp.Topics, t)
}

// find is where the answer for a topic is. The map is made for the second topic: most requests have one.
func (a *commitAnswer) find(key topicIdentity) (at int, known bool) {
	if a.at == nil && len(a.resp.Topics) > 0 {
		first := &a.resp.Topics[0]
		is := topicIdentity{name: first.Topic}
		if a.version() >= offsetsByID {
			is = topicIdentity{id: first.TopicID}
		}
		if is == key {
			return 0, true
		}
		a.at = map[topicIdentity]int{is: 0}
	}
	at, known = a.at[key]
	return at, known
}

// failed answers everything in req with err, behind what has been answered already.
func (a *commitAnswer) failed(req *kmsg.OffsetCommitRequest, err error) kmsg.Response {
	for i := range req.Topics {
		t := &req.Topics[i]
		a.add(t.Topic, t.TopicID, failAll(t.Partitions, err, a.fail))
	}
	return &a.resp
}
