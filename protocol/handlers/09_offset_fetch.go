package handlers

// OffsetFetch (key 9), versions 1 to 10: how far groups have read.
//
//	v1  one group; an error is told at every partition
//	v2  null is all topics; an error of the group
//	v3  throttle time
//	v4  throttling after the response (KIP-219)
//	v5  leader epoch (KIP-320)
//	v6  flexible (KIP-482)
//	v7  require stable: UNSTABLE_OFFSET_COMMIT where a transaction's offsets are not decided yet (KIP-447)
//	v8  many groups (KIP-709)
//	v9  member id and epoch of KIP-848: STALE_MEMBER_EPOCH
//	v10 topics by id (KIP-848)
//
// Describe on the group, else GROUP_AUTHORIZATION_FAILED. Describe on the topic, else its partitions are TOPIC_AUTHORIZATION_FAILED, behind the others'; where all topics are asked for, it is left
// out. Whether a topic exists is not looked at: a partition without an offset has -1. In version 10 an id without a topic is UNKNOWN_TOPIC_ID, and where all are asked for, topics that are gone are left out.
// Differs from Apache Kafka: nothing known.

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

const (
	offsetErrorOfGroup = 2 // the first version that can tell an error of the whole group
	offsetsOfGroups    = 8 // the first version that asks about many groups
)

func offsetFetch(r *request, req *kmsg.OffsetFetchRequest) kmsg.Response {
	if r.version() < offsetsOfGroups {
		return offsetFetchOne(r, req)
	}
	f := groupsFetch{request: r, answers: make([]kmsg.OffsetFetchResponseGroup, len(req.Groups)), refused: make([][]groupTopic, len(req.Groups))}
	rest := req.Groups[:0:0]
	for i := range req.Groups {
		g := req.Groups[i]
		if !r.mayGroup(protocol.OpDescribe, g.Group) {
			f.answers[i] = f.failed(&g, kerr.GroupAuthorizationFailed)
			continue
		}
		f.asked = append(f.asked, i)
		if g.Topics != nil { // null is all of them
			g.Topics, f.refused[i] = split(g.Topics, f.check, f.fail)
		}
		rest = append(rest, g)
	}
	if req.Groups = rest; len(rest) == 0 {
		return f.answer()
	}
	return coordinate(r, req,
		func(err error) kmsg.Response {
			for n, i := range f.asked {
				f.answers[i] = f.failed(&rest[n], err)
			}
			return f.answer()
		},
		func(resp *kmsg.OffsetFetchResponse) kmsg.Response {
			f.merge(rest, resp.Groups)
			return f.answer()
		})
}

// groupsFetch is one request of version 8 or later on its way. answers and refused are by the group's place in the request; asked is the places of those that the coordinators are asked about.
type groupsFetch struct {
	*request
	answers []kmsg.OffsetFetchResponseGroup
	refused [][]groupTopic
	asked   []int
}

type groupTopic = kmsg.OffsetFetchResponseGroupTopic

func (f *groupsFetch) answer() kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.Groups = f.answers
	return resp
}

func (f *groupsFetch) failed(g *kmsg.OffsetFetchRequestGroup, err error) kmsg.OffsetFetchResponseGroup {
	o := kmsg.NewOffsetFetchResponseGroup()
	o.Group, o.ErrorCode = g.Group, f.code(err)
	return o
}

// check refuses a topic that the caller may not see.
func (f *groupsFetch) check(t *kmsg.OffsetFetchRequestGroupTopic) error {
	if f.version() >= offsetsByID {
		found := f.Controller.Image().TopicByID(t.TopicID)
		if found == nil {
			return kerr.UnknownTopicID
		}
		t.Topic = found.Name
	}
	if !f.mayTopic(protocol.OpDescribe, t.Topic) {
		return kerr.TopicAuthorizationFailed
	}
	return nil
}

func (f *groupsFetch) fail(t *kmsg.OffsetFetchRequestGroupTopic, err error) groupTopic {
	o := kmsg.NewOffsetFetchResponseGroupTopic()
	o.Topic, o.TopicID = t.Topic, t.TopicID
	for _, partition := range t.Partitions {
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = partition, int64(protocol.NoOffset), int32(protocol.NoLeaderEpoch), new(string), f.code(err)
		o.Partitions = append(o.Partitions, p)
	}
	return o
}

// merge takes over what the coordinators answered for groups, whatever their order, and adds what was refused here.
func (f *groupsFetch) merge(groups []kmsg.OffsetFetchRequestGroup, answered []kmsg.OffsetFetchResponseGroup) {
	byGroup := map[string][]kmsg.OffsetFetchResponseGroup{}
	for _, a := range answered {
		byGroup[a.Group] = append(byGroup[a.Group], a)
	}
	for n, i := range f.asked {
		g := &groups[n]
		if len(byGroup[g.Group]) == 0 {
			f.answers[i] = f.failed(g, kerr.UnknownServerError)
			continue
		}
		a := byGroup[g.Group][0]
		byGroup[g.Group] = byGroup[g.Group][1:]
		f.call.Reply.SetError(a.ErrorCode)
		if a.ErrorCode == 0 {
			a.Topics = append(f.visible(a.Topics, g.Topics == nil), f.refused[i]...)
		}
		f.answers[i] = a
	}
}

// visible leaves out of all topics those that the caller may not see, and gives each its id in the versions that want one: a topic that has none any more is left out.
func (f *groupsFetch) visible(topics []groupTopic, all bool) []groupTopic {
	img := f.Controller.Image()
	kept := topics[:0]
	for _, t := range topics {
		if all && !f.mayTopic(protocol.OpDescribe, t.Topic) {
			continue
		}
		if f.version() >= offsetsByID && t.TopicID == (protocol.TopicID{}) {
			found := img.Topic(t.Topic)
			if found == nil {
				continue
			}
			t.TopicID = found.ID
		}
		kept = append(kept, t)
	}
	return kept
}

// offsetFetchOne is the versions that ask about one group.
func offsetFetchOne(r *request, req *kmsg.OffsetFetchRequest) kmsg.Response {
	type in = kmsg.OffsetFetchRequestTopic
	type out = kmsg.OffsetFetchResponseTopic
	topic := func(t *in, err error) out {
		o := kmsg.NewOffsetFetchResponseTopic()
		o.Topic = t.Topic
		for _, partition := range t.Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = partition, int64(protocol.NoOffset), int32(protocol.NoLeaderEpoch), new(string), r.code(err)
			o.Partitions = append(o.Partitions, p)
		}
		return o
	}
	asked := req.Topics
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrOffsetFetchResponse()
		resp.ErrorCode = r.code(err)
		if r.version() < offsetErrorOfGroup {
			resp.Topics = failAll(asked, err, topic)
		}
		return resp
	}
	if !r.mayGroup(protocol.OpDescribe, req.Group) {
		return fail(kerr.GroupAuthorizationFailed)
	}
	all := req.Topics == nil
	var refused []out
	if !all {
		req.Topics, refused = split(asked, func(t *in) error {
			if !r.mayTopic(protocol.OpDescribe, t.Topic) {
				return kerr.TopicAuthorizationFailed
			}
			return nil
		}, topic)
	}
	return coordinate(r, req, fail, func(resp *kmsg.OffsetFetchResponse) kmsg.Response {
		if resp.ErrorCode != 0 {
			return fail(kerr.ErrorForCode(resp.ErrorCode))
		}
		if all {
			resp.Topics = slices.DeleteFunc(resp.Topics, func(t out) bool { return !r.mayTopic(protocol.OpDescribe, t.Topic) })
		}
		resp.Topics = append(resp.Topics, refused...)
		return resp
	})
}
