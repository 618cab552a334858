package offsets

import (
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/timeline"
	"ottla/protocol"
)

func TestTheLongestRetentionIsNotOverAtOnce(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	req := &kmsg.OffsetCommitRequest{Version: 2, Group: "g", RetentionTimeMillis: math.MaxInt64,
		Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}}
	records, _ := Decide(now, req, 10)
	s := New(timeline.New())
	if _, err := s.Apply(0, records[0].Key, records[0].Value); err != nil {
		t.Fatal(err)
	}
	rule := Expiry{Now: now, Held: func(protocol.TopicPartition, Commit) bool { return false }}
	if gone := s.Expire("g", rule); len(gone) > 0 {
		t.Fatalf("the offset expires with a retention of %d ms", req.RetentionTimeMillis)
	}
}
