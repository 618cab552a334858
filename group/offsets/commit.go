package offsets

import (
	"math"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// noRetention is what a commit says of its retention if the broker's rules shall hold.
const noRetention = -1

// Decide decides an OffsetCommit that the group has allowed: the records, and the answer once they are committed. maxMetadata bounds the text beside an offset, in UTF-16 units as
// in Kafka. A topic whose id has no name (version 10) is answered with UNKNOWN_TOPIC_ID.
func Decide(now time.Time, req *kmsg.OffsetCommitRequest, maxMetadata int) ([]runtime.Record, *kmsg.OffsetCommitResponse) {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	partitions := 0
	for n := range req.Topics {
		partitions += len(req.Topics[n].Partitions)
	}
	e := newEncoder(req.Group, partitions)
	answers := make([]kmsg.OffsetCommitResponseTopicPartition, partitions)
	nowMs, expireMs := now.UnixMilli(), int64(protocol.NoTimestamp)
	if req.RetentionTimeMillis != noRetention {
		expireMs = nowMs + min(req.RetentionTimeMillis, math.MaxInt64-nowMs) // Kafka's sum overflows: such an offset expires at once
	}
	for n := range req.Topics {
		topic := &req.Topics[n]
		of := answers[:len(topic.Partitions):len(topic.Partitions)]
		answers = answers[len(topic.Partitions):]
		resp.Topics[n] = kmsg.OffsetCommitResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID, Partitions: of}
		for n, p := range topic.Partitions {
			of[n].Partition = p.Partition
			c := Commit{Offset: protocol.Offset(p.Offset), LeaderEpoch: protocol.LeaderEpoch(p.LeaderEpoch), CommitMs: nowMs, ExpireMs: expireMs, TopicID: topic.TopicID}
			if p.Metadata != nil {
				c.Metadata = *p.Metadata
			}
			if topic.Topic == "" {
				of[n].ErrorCode = kerr.UnknownTopicID.Code
			} else if longer(c.Metadata, maxMetadata) {
				of[n].ErrorCode = kerr.OffsetMetadataTooLarge.Code
			} else {
				e.commit(protocol.TopicPartition{Topic: topic.Topic, Partition: p.Partition}, c)
			}
		}
	}
	return e.records, resp
}

// longer tells whether s has more than most UTF-16 code units, which is what Java calls its length.
func longer(s string, most int) bool {
	if len(s) <= most {
		return false
	}
	units := 0
	for _, r := range s {
		units += utf16.RuneLen(r)
	}
	return units > most
}
