//go:build clients

package clients

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicsCases are about CreateTopics and DeleteTopics.
func topicsCases() []rawCase {
	cases := each(19, 2, "create topics: good", func(x *exchange, v int16) {
		name := fmt.Sprintf("create-good-%d", v)
		x.create(v, createOf(name, 2, "retention.ms=100000", "cleanup.policy=compact,delete"))
		x.create(v, createOf(name, 2))
		x.create(v, placedOn(createOf(name+"-placed", -1), []int32{1}, []int32{1}))
		two := createOf(name+"-b", 1)
		two.Topics = append(two.Topics, createOf(name+"-a", 3).Topics...)
		x.create(v, two)
		x.create(v, kmsg.NewPtrCreateTopicsRequest())
		null := createOf(name+"-null", 1, "retention.ms=1")
		null.Topics[0].Configs[0].Value = nil
		x.create(v, null)
	})
	cases = append(cases, each(19, 2, "create topics: defaults", func(x *exchange, v int16) {
		req := createOf(fmt.Sprintf("create-defaults-%d", v), -1)
		req.Topics[0].ReplicationFactor = -1
		x.create(v, req)
	})...)
	cases = append(cases, each(19, 2, "create topics: validate only", func(x *exchange, v int16) {
		name := fmt.Sprintf("create-check-%d", v)
		x.topic(name+"-there", 1)
		for _, req := range []*kmsg.CreateTopicsRequest{createOf(name, 2, "retention.ms=5"), createOf(name, 2), createOf(name+"-there", 1), createOf(name, 0), createOf(name, 1, "retention.ms=x")} {
			req.ValidateOnly = true
			x.create(v, req)
		}
	})...)
	cases = append(cases, each(19, 2, "create topics: names", func(x *exchange, v int16) {
		for _, name := range []string{"", ".", "..", "a/b", "ünï", strings.Repeat("n", 250), "white space", "new\nline", "__cluster_metadata"} {
			x.create(v, createOf(name, 1))
		}
		x.create(v, createOf(fmt.Sprintf("coll.ision-%d", v), 1))
		x.create(v, createOf(fmt.Sprintf("coll_ision-%d", v), 1))
		twice := createOf("create-twice", 1)
		twice.Topics = append(twice.Topics, twice.Topics[0], createOf(fmt.Sprintf("create-once-%d", v), 1).Topics[0])
		x.create(v, twice)
		at := createOf(fmt.Sprintf("one.clash-%d", v), 1)
		at.Topics = append(at.Topics, createOf(fmt.Sprintf("one_clash-%d", v), 1).Topics[0])
		x.create(v, at)
	})...)
	cases = append(cases, each(19, 2, "create topics: sizes", func(x *exchange, v int16) {
		for _, partitions := range []int32{0, -2, 10_001, 1_000_000, 1<<31 - 1} {
			req := createOf("create-size", partitions)
			req.ValidateOnly = true // who takes so many has to start them
			x.create(v, req)
		}
		for _, factor := range []int16{0, -2, 2, 3, 32767} {
			req := createOf("create-size", 1)
			req.Topics[0].ReplicationFactor = factor
			x.create(v, req)
		}
	})...)
	cases = append(cases, each(19, 2, "create topics: assignments", func(x *exchange, v int16) {
		none := []int32{}
		for _, replicas := range [][][]int32{{{1, 1}}, {{7}}, {none}, {{1}, {1, 7}}, {{-1}}, {{1}, none}} {
			x.create(v, placedOn(createOf("create-placed", -1), replicas...))
		}
		gap := placedOn(createOf("create-placed", -1), []int32{1})
		gap.Topics[0].ReplicaAssignment[0].Partition = 1
		x.create(v, gap)
		gap.Topics[0].ReplicaAssignment[0].Partition = -1
		x.create(v, gap)
		same := placedOn(createOf("create-placed", -1), []int32{1}, []int32{1})
		same.Topics[0].ReplicaAssignment[1].Partition = 0
		x.create(v, same)
		x.create(v, placedOn(createOf("create-placed", 1), []int32{1}))
		factor := placedOn(createOf("create-placed", -1), []int32{1})
		factor.Topics[0].ReplicationFactor = 1
		x.create(v, factor)
	})...)
	cases = append(cases, each(19, 2, "create topics: configs", func(x *exchange, v int16) {
		for _, config := range []string{"no.such=1", "retention.ms=soon", "retention.ms=-2", "cleanup.policy=burn", "cleanup.policy=", "compression.type=lzo", "min.insync.replicas=0", "max.message.bytes=-1", "=1",
			"segment.bytes=1", "segment.bytes=1048575", "message.timestamp.type=Sometimes", "min.cleanable.dirty.ratio=2", "min.cleanable.dirty.ratio=x", "preallocate=maybe", "min.compaction.lag.ms=9223372036854775807",
			"remote.storage.enable=true", "local.retention.ms=99999999999", "leader.replication.throttled.replicas=x", "compression.gzip.level=99", "message.format.version=2.8", "log.retention.ms=1", "index.interval.bytes=1e3",
			"retention.bytes=99999999999999999999", " retention.ms=1", "retention.ms= 1 ", "unclean.leader.election.enable=TRUE", "cleanup.policy=delete,delete", "cleanup.policy=none", "cleanup.policy=compact, delete",
			"min.insync.replicas=2", "max.compaction.lag.ms=1", "flush.messages=0"} {
			req := createOf("create-config", 1, config)
			req.ValidateOnly = true
			x.create(v, req)
		}
		req := createOf("create-config", 1, "retention.ms=1", "retention.ms=2")
		req.ValidateOnly = true
		x.create(v, req)
		req = createOf("create-config", 1, "no.such=1", "retention.ms=x")
		req.ValidateOnly = true
		x.create(v, req)
		req = createOf("create-config", 1, "min.compaction.lag.ms=10", "max.compaction.lag.ms=5")
		req.ValidateOnly = true
		x.create(v, req)
	})...)
	return append(cases, deleteCases()...)
}

// create asks, and names the ids in the answer.
func (x *exchange) create(v int16, req *kmsg.CreateTopicsRequest) {
	req.SetVersion(v)
	resp, leftOver, err := x.call(v, req)
	if err == nil {
		for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
			if t.TopicID != ([16]byte{}) {
				x.known.topic(t.TopicID, t.Topic)
			}
		}
	}
	x.note(fmt.Sprintf("CreateTopics v%d %s", v, x.known.render(req)), resp, leftOver, err)
}

// placedOn puts partitions 0, 1 … on these brokers.
func placedOn(req *kmsg.CreateTopicsRequest, replicas ...[]int32) *kmsg.CreateTopicsRequest {
	req.Topics[0].ReplicationFactor = -1
	for i, r := range replicas {
		req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
	}
	return req
}

func deleteCases() []rawCase {
	named := func(names ...string) *kmsg.DeleteTopicsRequest {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TopicNames, req.TimeoutMillis = names, 10_000
		for _, n := range names {
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &n})
		}
		return req
	}
	withID := func(ids ...[16]byte) *kmsg.DeleteTopicsRequest {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = 10_000
		for _, id := range ids {
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: id})
		}
		return req
	}
	cases := each(20, 1, "delete topics", func(x *exchange, v int16) {
		name := fmt.Sprintf("delete-%d", v)
		x.topic(name, 2)
		x.topic(name+"-b", 1)
		x.topic(name+"-c", 1)
		x.ask(v, named("never-created"))
		x.ask(v, named(""))
		x.ask(v, named("a/b"))
		x.ask(v, named())
		x.ask(v, named(name+"-b", name+"-b"))
		x.ask(v, named(name, "never-created", name+"-c"))
		x.ask(v, named(name))
	})
	cases = append(cases, rawCase{"create and delete topics: no time", func(x *exchange) {
		x.topic("no-time", 1)
		for _, timeout := range []int32{0, -1} {
			req := createOf("no-time-new", 1)
			req.TimeoutMillis = timeout
			x.create(7, req)
			away := named("no-time")
			away.TimeoutMillis = timeout
			x.ask(5, away)
		}
		there := createOf("no-time-new", 1)
		there.ValidateOnly = true
		x.create(7, there)
	}})
	return append(cases, each(20, 6, "delete topics by id", func(x *exchange, v int16) {
		a, b := x.topic("delete-id-a", 1), x.topic("delete-id-b", 1)
		x.ask(v, withID(nowhere))
		x.ask(v, withID([16]byte{}))
		x.ask(v, withID(a, a))
		both := withID(a)
		name := "delete-id-a"
		both.Topics[0].Topic = &name
		x.ask(v, both)
		mixed := withID(b)
		other := "delete-id-b"
		mixed.Topics = append(mixed.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &other})
		x.ask(v, mixed)
		x.ask(v, withID(a, nowhere, b))
		x.ask(v, withID(a))
		x.gone("delete-id-a")
		x.topic("delete-id-a", 1)
		x.ask(v, withID(a))
	})...)
}
