//go:build clients

package clients

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stamped is a batch whose records have these timestamps.
func stamped(at ...int64) batch {
	b := batchOf(make([]string, len(at))...)
	b.first, b.max = at[0], at[0]
	for i, t := range at {
		b.records[i].at = t - at[0]
		b.max = max(b.max, t)
	}
	return b
}

// offsetsCases are about ListOffsets and OffsetForLeaderEpoch.
func offsetsCases() []rawCase {
	ask := func(x *exchange, v int16, topic string, timestamps ...int64) {
		for _, t := range timestamps {
			x.ask(v, listOf(topic, t))
		}
	}
	cases := each(2, 1, "list offsets", func(x *exchange, v int16) {
		name := fmt.Sprintf("offsets-%d", v)
		x.topic(name, 1)
		ask(x, v, name, -1, -2, -3, -4, -5, -6, -7, 0, rawTime)
		x.fill(name, 0, stamped(rawTime, rawTime+10, rawTime+20), stamped(rawTime+30), stamped(rawTime+25, rawTime+5))
		ask(x, v, name, -1, -2, -3, -4, -5, -6, -7, math.MinInt64, 0, rawTime-1, rawTime, rawTime+1, rawTime+10, rawTime+11, rawTime+20, rawTime+25, rawTime+30, rawTime+31, math.MaxInt64)
		x.fill(name, 0, stamped(rawTime+30))
		ask(x, v, name, -3, rawTime+30)
		must[*kmsg.DeleteRecordsResponse](x, 1, deleteOf(name, 0, 2))
		ask(x, v, name, -1, -2, -3, -4, -5, rawTime, rawTime+20)
	})
	cases = append(cases, each(2, 1, "list offsets: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("offsets-wrong-%d", v)
		x.filled(name, batchOf("a"))
		ask(x, v, "never-created", -1, 5)
		ask(x, v, "", -1)
		ask(x, v, "a/b", -1)
		for _, partition := range []int32{1, -1, math.MaxInt32} {
			req := listOf(name, -1)
			req.Topics[0].Partitions[0].Partition = partition
			x.ask(v, req)
		}
		for _, epoch := range []int32{0, 1, -2, math.MaxInt32} {
			req := listOf(name, -1)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			x.ask(v, req)
		}
		topics := listOf(name, -1)
		topics.Topics = append(topics.Topics, listOf("never-created", -1).Topics[0])
		topics.IsolationLevel = 1
		x.ask(v, topics)
		x.ask(v, kmsg.NewPtrListOffsetsRequest())
	})...)
	cases = append(cases,
		rawCase{"list offsets: as a replica", func(x *exchange) {
			x.filled("offsets-replica", batchOf("a"))
			for _, replica := range []int32{-2, -3, 1, 2, 5} {
				req := listOf("offsets-replica", -1)
				req.ReplicaID = replica
				x.ask(7, req)
			}
		}},
		rawCase{"list offsets: isolation levels that are none", func(x *exchange) {
			x.filled("offsets-level", batchOf("a"))
			for _, level := range []int8{2, -1} {
				req := listOf("offsets-level", -1)
				req.IsolationLevel = level
				x.ask(7, req)
			}
		}},
		rawCase{"list offsets: a partition twice", func(x *exchange) {
			x.filled("offsets-twice", batchOf("a"))
			twice := listOf("offsets-twice", -1)
			twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, listOf("offsets-twice", -2).Topics[0].Partitions[0])
			x.ask(7, twice)
			topics := listOf("offsets-twice", -1)
			topics.Topics = append(topics.Topics, listOf("offsets-twice", -2).Topics[0])
			x.ask(7, topics)
		}},
		rawCase{"list offsets: compressed batches", func(x *exchange) {
			for codec := int16(1); codec <= 4; codec++ {
				if codec == 2 {
					continue
				}
				name := fmt.Sprintf("offsets-codec-%d", codec)
				x.filled(name, stamped(rawTime, rawTime+10, rawTime+20).with(func(b *batch) { b.attributes = codec }))
				ask(x, 7, name, -3, rawTime, rawTime+1, rawTime+10, rawTime+15, rawTime+20, rawTime+21)
			}
		}},
		rawCase{"list offsets: log append time", func(x *exchange) {
			x.topic("offsets-append", 1, "message.timestamp.type=LogAppendTime")
			x.fill("offsets-append", 0, stamped(rawTime, rawTime+10))
			// The brokers stamp with the time of this machine: in one millisecond both batches would have the largest one.
			for began := time.Now().UnixMilli(); time.Now().UnixMilli() == began; {
			}
			x.fill("offsets-append", 0, stamped(rawTime+30))
			ask(x, 7, "offsets-append", -3, 0, rawTime+10, math.MaxInt64)
		}},
		rawCase{"list offsets: no timestamps", func(x *exchange) {
			x.filled("offsets-timeless", stamped(-1, -1))
			ask(x, 7, "offsets-timeless", -1, -2, -3, 0, rawTime)
		}},
		rawCase{"list offsets: timeouts", func(x *exchange) {
			x.filled("offsets-timeout", batchOf("a"))
			for _, timeout := range []int32{0, -1, math.MaxInt32} {
				for _, at := range []int64{-1, -3, rawTime} {
					req := listOf("offsets-timeout", at)
					req.TimeoutMillis = timeout
					x.ask(10, req)
				}
			}
		}},
	)
	return append(cases, epochCases()...)
}

func epochOf(topic string, partition, current, wanted int32) *kmsg.OffsetForLeaderEpochRequest {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, wanted
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
	return req
}

func epochCases() []rawCase {
	return each(23, 2, "offset for leader epoch", func(x *exchange, v int16) {
		name := fmt.Sprintf("epoch-%d", v)
		x.topic(name, 1)
		for _, wanted := range []int32{0, 1, -1} {
			x.ask(v, epochOf(name, 0, -1, wanted))
		}
		x.fill(name, 0, batchOf("a", "b"))
		for _, current := range []int32{-1, 0, 1, -2, math.MaxInt32} {
			for _, wanted := range []int32{0, 1, -1, -2, math.MaxInt32} {
				x.ask(v, epochOf(name, 0, current, wanted))
			}
		}
		x.ask(v, epochOf(name, 1, -1, 0))
		x.ask(v, epochOf(name, -1, -1, 0))
		x.ask(v, epochOf("never-created", 0, -1, 0))
		x.ask(v, epochOf("", 0, -1, 0))
		for _, replica := range []int32{-2, 1, 5} {
			req := epochOf(name, 0, -1, 0)
			req.ReplicaID = replica
			x.ask(v, req)
		}
		twice := epochOf(name, 0, -1, 0)
		twice.Topics = append(twice.Topics, epochOf("never-created", 0, -1, 0).Topics[0])
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, twice.Topics[0].Partitions[0])
		x.ask(v, twice)
		x.ask(v, kmsg.NewPtrOffsetForLeaderEpochRequest())
		must[*kmsg.DeleteRecordsResponse](x, 1, deleteOf(name, 0, 1))
		x.ask(v, epochOf(name, 0, -1, 0))
	})
}

func deleteOf(topic string, partition int32, before int64) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	return req
}

// recordsCases are about DeleteRecords.
func recordsCases() []rawCase {
	return append(each(21, 0, "delete records", func(x *exchange, v int16) {
		name := fmt.Sprintf("cut-%d", v)
		x.topic(name, 2)
		x.ask(v, deleteOf(name, 0, 0))
		x.ask(v, deleteOf(name, 0, 1))
		x.fill(name, 0, batchOf("a", "b", "c"), batchOf("d"))
		for _, before := range []int64{0, 1, 1, 0, 5, 1000, -2, math.MinInt64, math.MaxInt64, 3, -1, -1, 2} {
			x.ask(v, deleteOf(name, 0, before))
		}
		x.ask(5, listOf(name, -2))
		x.ask(v, deleteOf(name, 2, 0))
		x.ask(v, deleteOf(name, -1, 0))
		x.ask(v, deleteOf("never-created", 0, 0))
		x.ask(v, deleteOf("", 0, 0))
		x.ask(v, kmsg.NewPtrDeleteRecordsRequest())
		mixed := deleteOf(name, 0, 4)
		mixed.Topics = append(mixed.Topics, deleteOf("never-created", 0, 0).Topics[0])
		mixed.Topics[0].Partitions = append(mixed.Topics[0].Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: 1, Offset: 9})
		x.ask(v, mixed)
		slow := deleteOf(name, 1, -1)
		slow.TimeoutMillis = 0
		x.ask(v, slow)
	}),
		rawCase{"delete records: a partition twice", func(x *exchange) {
			x.filled("cut-twice", batchOf("a", "b", "c"))
			req := deleteOf("cut-twice", 0, 2)
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.DeleteRecordsRequestTopicPartition{Offset: 1})
			x.ask(2, req)
		}},
		rawCase{"delete records: by cleanup policy", func(x *exchange) {
			for _, policy := range []string{"compact", "compact,delete"} {
				x.topic("cut-"+policy[len(policy)-3:], 1, "cleanup.policy="+policy)
				x.ask(2, deleteOf("cut-"+policy[len(policy)-3:], 0, 0))
			}
			x.ask(2, deleteOf("__cluster_metadata", 0, 0))
		}},
	)
}
