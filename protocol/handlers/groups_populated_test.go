package handlers

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// populatedGroup is a request of each of the groups' keys that would do something to group "g" and topic "t"; nil for other keys.
func populatedGroup(key, version int16) kmsg.Request {
	name, id, text := "t", idOf("t"), "x"
	switch req := kmsg.RequestForKey(key).(type) {
	case *kmsg.OffsetCommitRequest:
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset = 5
		req.Group, req.Topics = "g", []kmsg.OffsetCommitRequestTopic{{Topic: name, TopicID: id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
		return req
	case *kmsg.OffsetFetchRequest:
		req.Group, req.Topics = "g", []kmsg.OffsetFetchRequestTopic{{Topic: name, Partitions: []int32{0}}}
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = "g", []kmsg.OffsetFetchRequestGroupTopic{{Topic: name, TopicID: id, Partitions: []int32{0}}}
		req.Groups = append(req.Groups, g)
		return req
	case *kmsg.FindCoordinatorRequest:
		req.CoordinatorKey, req.CoordinatorKeys = "g", []string{"g"}
		return req
	case *kmsg.JoinGroupRequest:
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = "g", 10_000, 10_000, "consumer"
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("m")}}
		return req
	case *kmsg.HeartbeatRequest:
		req.Group, req.MemberID = "g", "m"
		return req
	case *kmsg.LeaveGroupRequest:
		req.Group, req.MemberID, req.Members = "g", "m", []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}
		return req
	case *kmsg.SyncGroupRequest:
		req.Group, req.MemberID, req.ProtocolType, req.Protocol = "g", "m", &text, &text
		return req
	case *kmsg.DescribeGroupsRequest:
		req.Groups, req.IncludeAuthorizedOperations = []string{"g"}, true
		return req
	case *kmsg.ListGroupsRequest:
		return req
	case *kmsg.DeleteGroupsRequest:
		req.Groups = []string{"g"}
		return req
	case *kmsg.OffsetDeleteRequest:
		req.Group, req.Topics = "g", []kmsg.OffsetDeleteRequestTopic{{Topic: name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
		return req
	}
	return nil
}

// answerGroups answers every part of a group's request with success, in its order.
func answerGroups(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		resp := kmsg.NewPtrOffsetCommitResponse()
		for _, t := range req.Topics {
			o := kmsg.OffsetCommitResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition})
			}
			resp.Topics = append(resp.Topics, o)
		}
		return resp
	case *kmsg.OffsetFetchRequest:
		return answerOffsetFetch(req)
	case *kmsg.DescribeGroupsRequest:
		resp := kmsg.NewPtrDescribeGroupsResponse()
		for _, g := range req.Groups {
			resp.Groups = append(resp.Groups, kmsg.DescribeGroupsResponseGroup{Group: g, State: "Empty"})
		}
		return resp
	case *kmsg.ListGroupsRequest:
		resp := kmsg.NewPtrListGroupsResponse()
		for _, g := range []string{"g", "h"} {
			resp.Groups = append(resp.Groups, kmsg.ListGroupsResponseGroup{Group: g, GroupState: "Stable"})
		}
		return resp
	case *kmsg.DeleteGroupsRequest:
		resp := kmsg.NewPtrDeleteGroupsResponse()
		for _, g := range req.Groups {
			resp.Groups = append(resp.Groups, kmsg.DeleteGroupsResponseGroup{Group: g})
		}
		return resp
	case *kmsg.OffsetDeleteRequest:
		resp := kmsg.NewPtrOffsetDeleteResponse()
		for _, t := range req.Topics {
			o := kmsg.OffsetDeleteResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition})
			}
			resp.Topics = append(resp.Topics, o)
		}
		return resp
	}
	return req.ResponseKind()
}

// answerOffsetFetch says that every partition was read up to 7, and that "all topics" are t and secret and gone.
func answerOffsetFetch(req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	everything := []string{"t", "secret", "gone"}
	if req.Version < offsetsOfGroups {
		topics := req.Topics
		if topics == nil {
			for _, name := range everything {
				topics = append(topics, kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: []int32{0}})
			}
		}
		for _, t := range topics {
			o := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.OffsetFetchResponseTopicPartition{Partition: p, Offset: 7})
			}
			resp.Topics = append(resp.Topics, o)
		}
		return resp
	}
	for _, g := range req.Groups {
		a := kmsg.OffsetFetchResponseGroup{Group: g.Group}
		topics := g.Topics
		if topics == nil {
			for _, name := range everything {
				topics = append(topics, kmsg.OffsetFetchRequestGroupTopic{Topic: name, Partitions: []int32{0}})
			}
		}
		for _, t := range topics {
			o := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{Partition: p, Offset: 7})
			}
			a.Topics = append(a.Topics, o)
		}
		resp.Groups = append(resp.Groups, a)
	}
	// Groups may be on several shards: they come in another order than asked.
	slices.SortStableFunc(resp.Groups, func(a, b kmsg.OffsetFetchResponseGroup) int { return strings.Compare(b.Group, a.Group) })
	return resp
}
