//go:build clients

package clients

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// at is an offset of a partition.
type at struct {
	partition int32
	offset    int64
}

// commitOf commits without being a member; topic and id are used as the version wants.
func commitOf(group, topic string, id [16]byte, offsets ...at) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	t := kmsg.OffsetCommitRequestTopic{Topic: topic, TopicID: id}
	for _, o := range offsets {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = o.partition, o.offset
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// fetchOffsets asks for partitions of one topic in the layout of version v, which may be above what OffsetFetch has.
func fetchOffsets(v int16, group, topic string, id [16]byte, partitions ...int32) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: partitions}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, TopicID: id, Partitions: partitions}}
	req.Groups = append(req.Groups, g)
	return req
}

func offsetDeleteOf(group, topic string, partitions ...int32) *kmsg.OffsetDeleteRequest {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	t := kmsg.OffsetDeleteRequestTopic{Topic: topic}
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func offsetCommitCases() []rawCase {
	cases := each(8, 0, "offset commit: a topic twice", func(x *exchange, v int16) {
		group, topic := fmt.Sprintf("commit-twice-%d", v), fmt.Sprintf("commit-twice-topic-%d", v)
		id := x.topic(topic, 2)
		x.coordinated(group)
		req := commitOf(group, topic, id, at{0, 10}, at{1, 11})
		req.Topics = append(req.Topics, commitOf(group, topic, id, at{0, 12}).Topics[0])
		x.ask(v, req)
		x.ask(near(9, v), fetchOffsets(v, group, topic, id, 0, 1))
	})
	return append(cases, each(8, 0, "offset commit", func(x *exchange, v int16) {
		group, topic := fmt.Sprintf("commit-%d", v), fmt.Sprintf("commit-topic-%d", v)
		id := x.topic(topic, 3)
		x.coordinated(group)
		commit := func(req *kmsg.OffsetCommitRequest, change func(*kmsg.OffsetCommitRequest)) {
			if change != nil {
				change(req)
			}
			x.ask(v, req)
		}
		plain := func() *kmsg.OffsetCommitRequest { return commitOf(group, topic, id, at{0, 10}, at{1, 0}) }
		commit(plain(), nil)
		commit(commitOf(group, topic, id, at{2, 7}, at{9, 7}, at{-1, 7}), nil)
		commit(commitOf(group, topic, id, at{2, -1}, at{1, -100}), nil)
		commit(commitOf(group, "never-created", nowhere, at{0, 7}), nil)
		commit(commitOf(group, topic, id, at{0, 11}, at{0, 12}), nil)
		commit(commitOf(group, "never-created", nowhere), nil)
		commit(plain(), func(r *kmsg.OffsetCommitRequest) {
			r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{Topic: "never-created", TopicID: nowhere, Partitions: r.Topics[0].Partitions})
		})
		for _, size := range []int{4096, 4097} {
			long := strings.Repeat("m", size)
			commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = &long })
		}
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].LeaderEpoch = 5 })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Topic, r.Topics[0].TopicID = "", [16]byte{} })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions = nil })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Topics = nil })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Group = "" })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Generation = 1 })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.MemberID = "nobody" })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = "nobody", 1 })
		commit(plain(), func(r *kmsg.OffsetCommitRequest) { r.Group += "-absent"; r.Generation = 1 })
		x.ask(near(9, v), fetchOffsets(v, group, topic, id, 0, 1, 2))
	})...)
}

func offsetFetchCases() []rawCase {
	return each(9, 0, "offset fetch", func(x *exchange, v int16) {
		group, topic := fmt.Sprintf("fetch-%d", v), fmt.Sprintf("fetch-topic-%d", v)
		id := x.topic(topic, 3)
		x.coordinated(group)
		x.coordinated("absent")
		said := "said"
		commit := commitOf(group, topic, id, at{0, 10}, at{2, 0})
		commit.Topics[0].Partitions[0].Metadata, commit.Topics[0].Partitions[0].LeaderEpoch = &said, 3
		x.ask(9, commit)
		x.ask(v, fetchOffsets(v, group, topic, id, 0, 1, 2, 9, -1, 0))
		x.ask(v, fetchOffsets(v, group, "never-created", nowhere, 0, 1))
		x.ask(v, fetchOffsets(v, group, topic, id))
		x.ask(v, fetchOffsets(v, "absent", topic, id, 0))
		x.ask(v, fetchOffsets(v, "", topic, id, 0))
		for _, topics := range [][]kmsg.OffsetFetchRequestTopic{nil, {}} {
			if topics == nil && v < 2 {
				continue
			}
			req := fetchOffsets(v, group, topic, id)
			req.Topics = topics
			if req.Groups[0].Topics = nil; topics != nil {
				req.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{}
			}
			x.ask(v, req)
		}
		if v >= 7 {
			req := fetchOffsets(v, group, topic, id, 0)
			req.RequireStable = true
			x.ask(v, req)
		}
		if v >= 8 {
			req := fetchOffsets(v, group, topic, id, 0, 1)
			req.Groups = append(req.Groups, fetchOffsets(v, "absent", topic, id, 0).Groups[0], fetchOffsets(v, "", topic, id, 0).Groups[0], req.Groups[0])
			x.ask(v, req)
			req.Groups = nil
			x.ask(v, req)
		}
		for _, member := range []string{"", "nobody"} {
			for _, epoch := range []int32{-1, 0, 3} {
				if v < 9 {
					continue
				}
				req := fetchOffsets(v, group, topic, id, 0)
				req.Groups[0].MemberID, req.Groups[0].MemberEpoch = &member, epoch
				x.ask(v, req)
			}
		}
	})
}

func offsetDeleteCases() []rawCase {
	return each(47, 0, "offset delete", func(x *exchange, v int16) {
		const group, topic = "forget", "forget-topic"
		id := x.topic(topic, 3)
		x.coordinated(group)
		x.coordinated("absent")
		x.ask(9, commitOf(group, topic, id, at{0, 10}, at{1, 11}, at{2, 12}))
		x.ask(v, offsetDeleteOf(group, topic, 0, 9, -1))
		x.ask(v, offsetDeleteOf(group, topic, 0))
		x.ask(v, offsetDeleteOf(group, topic, 1, 1))
		x.ask(v, offsetDeleteOf(group, "never-created", 0, 1))
		x.ask(v, offsetDeleteOf(group, ""))
		x.ask(v, offsetDeleteOf(group, topic))
		x.ask(v, offsetDeleteOf(group, "never-created"))
		x.ask(v, offsetDeleteOf("absent", topic, 0))
		x.ask(v, offsetDeleteOf("absent", "never-created", 0))
		x.ask(v, offsetDeleteOf("", topic, 0))
		x.ask(9, fetchOffsets(9, group, topic, id, 0, 1, 2))
	})
}
