package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// TestManyGroupsExpireAtOnce: what ends for all groups of a shard in one moment is more than one append takes.
func TestManyGroupsExpireAtOnce(t *testing.T) {
	const groups = 10_000
	b := newBench(t, Settings{MinSession: time.Second, MaxSession: time.Hour, MaxSize: 10, MaxMetadata: 10, Retention: time.Hour, RetentionCheck: time.Hour})
	name := func(n int) string { return fmt.Sprint(strings.Repeat("a long name of a group ", 5), n) }
	for n := range groups {
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Version, commit.Group = 9, name(n)
		commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "gone", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
		b.c.Submit(protocol.Client{}, commit, func(kmsg.Response) {})
		join := kmsg.NewPtrJoinGroupRequest()
		join.Version, join.Group, join.ProtocolType, join.SessionTimeoutMillis = 3, name(n), "consumer", 10_000
		join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		b.c.Submit(protocol.Client{}, join, func(kmsg.Response) {})
	}
	b.advance(10 * time.Second) // nobody is heard of again
	if got := len(b.shard.groups.List(protocol.Offset(len(b.log)), []string{"empty"})); got != groups {
		t.Errorf("%d groups are empty, want %d", got, groups)
	}
	b.advance(3 * time.Hour)
	if got := len(b.shard.groups.List(protocol.Offset(len(b.log)), nil)); got != 0 {
		t.Errorf("%d groups are left", got)
	}
	b.checkReplay()
}

func TestLags(t *testing.T) {
	b := newBench(t, Settings{RetentionCheck: time.Hour, MaxMetadata: 10})
	tp := protocol.TopicPartition{Topic: "t", Partition: 1}
	b.topics.bounds[tp] = [2]protocol.Offset{0, 10}
	b.topics.timestamps[tp] = b.now.Add(-time.Minute).UnixMilli()
	for _, group := range []string{"g", "h"} {
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Version, commit.Group = 9, group
		commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1, Offset: 7}}}}
		b.c.Submit(protocol.Client{}, commit, func(kmsg.Response) {})
	}
	lags, err := b.c.Lags(t.Context())
	if err != nil || len(lags) != 2 {
		t.Fatalf("%d lags: %v", len(lags), err)
	}
	for _, l := range lags {
		if l.TopicPartition != tp || l.Records != 3 || l.Age != time.Minute {
			t.Errorf("%+v", l)
		}
	}
}
