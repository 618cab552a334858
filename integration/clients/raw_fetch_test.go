//go:build clients

package clients

import (
	"fmt"
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchOf reads one partition from its start, at once, without a session.
func fetchOf(topic string, id [16]byte, partition int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 50<<20, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes, p.LogStartOffset = partition, 1<<20, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return req
}

// fetching is fetchOf changed by f.
func fetching(topic string, id [16]byte, f func(req *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
	req := fetchOf(topic, id, 0)
	f(req, &req.Topics[0].Partitions[0])
	return req
}

type (
	fetchRequest   = kmsg.FetchRequest
	fetchPartition = kmsg.FetchRequestTopicPartition
)

func fetchCases() []rawCase {
	cases := each(1, 4, "fetch", func(x *exchange, v int16) {
		name := fmt.Sprintf("fetch-%d", v)
		id := x.topic(name, 2)
		x.ask(v, fetchOf(name, id, 0))
		x.fill(name, 0, batchOf("a", "b", "c"), batchOf("d"), batchOf("e", "f"))
		for offset := int64(0); offset <= 6; offset++ {
			x.ask(v, fetching(name, id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = offset }))
		}
		both := fetchOf(name, id, 0)
		both.Topics[0].Partitions = append(both.Topics[0].Partitions, fetchOf(name, id, 1).Topics[0].Partitions[0])
		both.IsolationLevel = 1
		x.ask(v, both)
		empty := fetchOf(name, id, 0)
		empty.Topics = nil
		x.ask(v, empty)
		empty.Topics = []kmsg.FetchRequestTopic{{Topic: name, TopicID: id}}
		x.ask(v, empty)
	})
	cases = append(cases, each(1, 4, "fetch: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("fetch-wrong-%d", v)
		id := x.filled(name, batchOf("a", "b"))
		for _, offset := range []int64{3, 1000, -1, -2, math.MaxInt64, math.MinInt64} {
			x.ask(v, fetching(name, id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = offset }))
		}
		for _, partition := range []int32{1, -1, math.MaxInt32} {
			x.ask(v, fetchOf(name, id, partition))
		}
		x.ask(v, fetchOf("never-created", nowhere, 0))
		x.ask(v, fetchOf("", [16]byte{}, 0))
		x.ask(v, fetchOf("a/b", nowhere, 0))
		for _, epoch := range []int32{0, 1, -1, -2, math.MaxInt32} {
			x.ask(v, fetching(name, id, func(_ *fetchRequest, p *fetchPartition) { p.CurrentLeaderEpoch = epoch }))
		}
		mixed := fetchOf("never-created", nowhere, 0)
		mixed.Topics = append(mixed.Topics, fetchOf(name, id, 0).Topics[0])
		x.ask(v, mixed)
	})...)
	cases = append(cases, each(1, 12, "fetch: diverging epochs", func(x *exchange, v int16) {
		name := fmt.Sprintf("fetch-diverge-%d", v)
		id := x.filled(name, batchOf("a", "b"))
		for _, last := range []int32{0, 1, 5, -2} {
			for _, offset := range []int64{0, 1, 2, 5} {
				x.ask(v, fetching(name, id, func(_ *fetchRequest, p *fetchPartition) {
					p.LastFetchedEpoch, p.FetchOffset, p.CurrentLeaderEpoch = last, offset, 0
				}))
			}
		}
	})...)
	return append(append(cases, fetchSizes()...), fetchStates()...)
}

// fetchSizes are about minimum and maximum bytes, and waiting.
func fetchSizes() []rawCase {
	return []rawCase{
		{"fetch: sizes", func(x *exchange) {
			id := x.filled("fetch-sizes", batchOf(strings.Repeat("a", 1000)), batchOf(strings.Repeat("b", 1000)), batchOf(strings.Repeat("c", 1000)))
			for _, size := range []int32{0, 1, 100, 1070, 1100, 2150, 3300, math.MaxInt32} {
				x.ask(11, fetching("fetch-sizes", id, func(_ *fetchRequest, p *fetchPartition) { p.PartitionMaxBytes = size }))
				x.ask(11, fetching("fetch-sizes", id, func(r *fetchRequest, _ *fetchPartition) { r.MaxBytes = size }))
				x.ask(4, fetching("fetch-sizes", id, func(r *fetchRequest, p *fetchPartition) { r.MaxBytes, p.PartitionMaxBytes = size, size }))
			}
		}},
		{"fetch: negative sizes", func(x *exchange) {
			id := x.filled("fetch-negative", batchOf("a"))
			x.ask(11, fetching("fetch-negative", id, func(_ *fetchRequest, p *fetchPartition) { p.PartitionMaxBytes = -1 }))
			x.ask(11, fetching("fetch-negative", id, func(r *fetchRequest, _ *fetchPartition) { r.MaxBytes = -1 }))
		}},
		{"fetch: sizes over two partitions", func(x *exchange) {
			id := x.topic("fetch-shares", 2)
			for p := range int32(2) {
				x.fill("fetch-shares", p, batchOf(strings.Repeat("a", 1000)), batchOf(strings.Repeat("b", 1000)))
			}
			for _, size := range []int32{0, 1, 1000, 1100, 1500, 2200, 3500, 5000} {
				for _, each := range []int32{0, 500, 1100, 1 << 20} {
					req := fetchOf("fetch-shares", id, 0)
					req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchOf("fetch-shares", id, 1).Topics[0].Partitions[0])
					req.MaxBytes = size
					for i := range req.Topics[0].Partitions {
						req.Topics[0].Partitions[i].PartitionMaxBytes = each
					}
					x.ask(11, req)
				}
			}
		}},
		{"fetch: minimum bytes", func(x *exchange) {
			id := x.filled("fetch-minimum", batchOf("a"))
			for _, least := range []int32{0, 1, 50, 1000, -1, math.MaxInt32} {
				for _, wait := range []int32{0, 20, -1} {
					x.ask(11, fetching("fetch-minimum", id, func(r *fetchRequest, _ *fetchPartition) { r.MinBytes, r.MaxWaitMillis = least, wait }))
					x.ask(11, fetching("fetch-minimum", id, func(r *fetchRequest, p *fetchPartition) { r.MinBytes, r.MaxWaitMillis, p.FetchOffset = least, wait, 1 }))
				}
			}
		}},
		{"fetch: an error does not wait", func(x *exchange) {
			id := x.filled("fetch-no-wait", batchOf("a"))
			x.ask(11, fetching("fetch-no-wait", id, func(r *fetchRequest, p *fetchPartition) { r.MinBytes, r.MaxWaitMillis, p.FetchOffset = 1, 9000, 7 }))
			x.ask(11, fetching("never-created", nowhere, func(r *fetchRequest, _ *fetchPartition) { r.MinBytes, r.MaxWaitMillis = 1, 9000 }))
			x.ask(13, fetching("never-created", nowhere, func(r *fetchRequest, _ *fetchPartition) { r.MinBytes, r.MaxWaitMillis = 1, 9000 }))
		}},
	}
}

// fetchStates are about who asks, and about topics that are not what they were.
func fetchStates() []rawCase {
	cases := []rawCase{
		{"fetch: as a replica", func(x *exchange) {
			id := x.filled("fetch-replica", batchOf("a"))
			for _, replica := range []int32{1, 2, -2, -3, math.MaxInt32} {
				x.ask(11, fetching("fetch-replica", id, func(r *fetchRequest, _ *fetchPartition) { r.ReplicaID = replica }))
				x.ask(17, fetching("fetch-replica", id, func(r *fetchRequest, _ *fetchPartition) { r.ReplicaState.ID, r.ReplicaState.Epoch = replica, 5 }))
			}
		}},
		{"fetch: odd fields of a consumer", func(x *exchange) {
			id := x.filled("fetch-odd", batchOf("a"))
			x.ask(18, fetching("fetch-odd", id, func(r *fetchRequest, p *fetchPartition) { r.Rack, p.LogStartOffset = "rack", 5 }))
			x.ask(18, fetching("fetch-odd", id, func(_ *fetchRequest, p *fetchPartition) { p.HighWatermark, p.ReplicaDirectoryID = 1, nowhere }))
			for _, id := range []string{"", "another"} {
				x.ask(18, fetching("fetch-odd", x.known.idOf("fetch-odd"), func(r *fetchRequest, _ *fetchPartition) { r.ClusterID = &id }))
			}
		}},
		{"fetch: a partition twice", func(x *exchange) {
			id := x.filled("fetch-twice", batchOf("a"))
			twice := fetchOf("fetch-twice", id, 0)
			twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, twice.Topics[0].Partitions[0])
			x.ask(11, twice)
		}},
		{"fetch: isolation levels that are none", func(x *exchange) {
			id := x.filled("fetch-level", batchOf("a"))
			for _, level := range []int8{2, -1} {
				x.ask(11, fetching("fetch-level", id, func(r *fetchRequest, _ *fetchPartition) { r.IsolationLevel = level }))
			}
		}},
		{"fetch: the metadata topic", func(x *exchange) {
			meta := [16]byte{15: 1}
			x.ask(11, fetchOf("__cluster_metadata", meta, 0))
			x.ask(13, fetchOf("__cluster_metadata", meta, 0))
		}},
		{"fetch: a recreated topic", func(x *exchange) {
			old := x.filled("fetch-again", batchOf("a"))
			x.drop("fetch-again")
			x.known.topic(old, "fetch-again, the first")
			id := x.filled("fetch-again", batchOf("b"))
			for _, v := range []int16{12, 13, 18} {
				x.ask(v, fetchOf("fetch-again", old, 0))
				x.ask(v, fetchOf("fetch-again", id, 0))
			}
		}},
		{"fetch: a deleted topic", func(x *exchange) {
			id := x.filled("fetch-gone", batchOf("a"))
			x.drop("fetch-gone")
			x.ask(12, fetchOf("fetch-gone", id, 0))
			x.ask(13, fetchOf("fetch-gone", id, 0))
		}},
	}
	return append(cases, each(1, 4, "fetch: below the log start", func(x *exchange, v int16) {
		name := fmt.Sprintf("fetch-cut-%d", v)
		id := x.filled(name, batchOf("a", "b", "c"), batchOf("d"))
		must[*kmsg.DeleteRecordsResponse](x, 1, deleteOf(name, 0, 1))
		for _, offset := range []int64{0, 1, 2, 3} {
			x.ask(v, fetching(name, id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = offset }))
		}
	})...)
}

// idOf is the id of the topic that has this name.
func (n *rawNames) idOf(name string) [16]byte {
	for id, known := range n.topics {
		if known == name {
			return id
		}
	}
	panic(setupError{fmt.Errorf("no topic %s", name)})
}
