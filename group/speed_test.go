package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/offsets"
	"ottla/log/timeline"
	"ottla/protocol"
)

// thousandGroups are 1,000 groups of 5 members each, all stable.
func thousandGroups(b *testing.B) (c *bench, ids [][5]string) {
	c = newBench(b, Settings{MinSession: time.Second, MaxSession: time.Hour, MaxSize: 100, MaxMetadata: 100, Retention: time.Hour, RetentionCheck: time.Hour})
	ids = make([][5]string, 1000)
	for n := range ids {
		for m := range 5 {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 3, fmt.Sprint("group", n), "consumer", 45_000, 60_000
			req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscriptionTo([]string{"t"})}}
			c.shard.groups.InitialRebalanceDelay = time.Second // the five come together
			c.c.Submit(protocol.Client{ID: "c"}, req, func(resp kmsg.Response) { ids[n][m] = resp.(*kmsg.JoinGroupResponse).MemberID })
		}
	}
	c.advance(3 * time.Second)
	for n := range ids {
		for _, id := range ids[n] {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Version, req.Group, req.MemberID, req.Generation = 3, fmt.Sprint("group", n), id, 1
			c.c.Submit(protocol.Client{}, req, func(resp kmsg.Response) {
				if code := resp.(*kmsg.SyncGroupResponse).ErrorCode; code != 0 {
					b.Fatal(code)
				}
			})
		}
	}
	return c, ids
}

// BenchmarkCommit is an OffsetCommit of one partition by a member of one of 1,000 groups, without network and log.
func BenchmarkCommit(b *testing.B) {
	c, ids := thousandGroups(b)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Generation = 8, 1
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
	groups := make([]string, 1000)
	for n := range groups {
		groups[n] = fmt.Sprint("group", n)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		req.Group, req.MemberID = groups[n%1000], ids[n%1000][n%5]
		req.Topics[0].Partitions[0].Partition = int32(n % 5)
		n++
		records, resp := offsets.Decide(c.now, req, 100)
		if err := c.shard.groups.MayCommit(c.now, req); err != nil || len(resp.Topics) != 1 {
			b.Fatal(err)
		}
		for _, r := range records {
			if err := c.shard.Apply(0, r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkHeartbeat is a Heartbeat by a member of one of 1,000 groups, without network.
func BenchmarkHeartbeat(b *testing.B) {
	c, ids := thousandGroups(b)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Generation = 4, 1
	groups := make([]string, 1000)
	for n := range groups {
		groups[n] = fmt.Sprint("group", n)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		req.Group, req.MemberID = groups[n%1000], ids[n%1000][n%5]
		n++
		c.c.Submit(protocol.Client{}, req, func(resp kmsg.Response) {
			if code := resp.(*kmsg.HeartbeatResponse).ErrorCode; code != 0 {
				b.Fatal(code)
			}
		})
	}
}

// BenchmarkLoad replays 1,000,000 committed offsets, of 10,000 groups with 100 partitions each.
func BenchmarkLoad(b *testing.B) {
	var log []struct{ key, value []byte }
	for n := range 10_000 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Topics = fmt.Sprint("a-group-of-consumers-", n), []kmsg.OffsetCommitRequestTopic{{Topic: fmt.Sprint("topic-", n%100)}}
		for p := range int32(100) {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: p, Offset: 1})
		}
		records, _ := offsets.Decide(epoch, req, 100)
		for _, r := range records {
			log = append(log, struct{ key, value []byte }{r.Key, r.Value})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		store := offsets.New(timeline.New())
		for at, r := range log {
			if _, err := store.Apply(protocol.Offset(at), r.key, r.value); err != nil {
				b.Fatal(err)
			}
		}
	}
}
