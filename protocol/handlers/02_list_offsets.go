package handlers

// ListOffsets (key 2), versions 1 to 11: which offset belongs to a time.
//
// Timestamp -1 is the end that the isolation level may see, -2 the log start, -3 the record with the highest timestamp, others the first record at or after them.
//
//	v1  one offset and its timestamp (KIP-79)
//	v2  isolation level, throttle time (KIP-98)
//	v3  throttling after the response (KIP-219)
//	v4  current leader epoch; the answer's leader epoch (KIP-320)
//	v5  OFFSET_NOT_AVAILABLE while a new leader's high watermark catches up; before that LEADER_NOT_AVAILABLE (KIP-207)
//	v6  flexible (KIP-482)
//	v7  timestamp -3 (KIP-734)
//	v8  timestamp -4, the local log start: the log start, as there is no tiering (KIP-405)
//	v9  timestamp -5, the last tiered offset: -1 (KIP-1005)
//	v10 a time-out for what has to be looked up in tiered storage (KIP-1075): nothing here waits
//	v11 timestamp -6, the first offset not tiered yet: -1 (KIP-1023)
//
// Differs from Apache Kafka: replica ids from 0 on are refused with CLUSTER_AUTHORIZATION_FAILED to all but that node itself, where Kafka lets any client read up to the log
// end that way; the debugging replica -2 sees what a consumer sees; a partition named twice is answered twice, not once; an unknown isolation level is INVALID_REQUEST instead of UNKNOWN_SERVER_ERROR.

import (
	"errors"
	"sort"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/log"
	"ottla/protocol"
)

// Timestamps that ask for a place and not for a time.
const (
	latestTimestamp        = -1
	earliestTimestamp      = -2
	maxTimestamp           = -3
	earliestLocalTimestamp = -4
	latestTieredTimestamp  = -5
	earliestPendingUpload  = -6
)

// timestampSince is the first version that knows a special timestamp.
var timestampSince = map[int64]int16{
	latestTimestamp: 1, earliestTimestamp: 1, maxTimestamp: 7, earliestLocalTimestamp: 8, latestTieredTimestamp: 9, earliestPendingUpload: 11,
}

const readCommitted = 1

var noTimestampOffset = log.TimestampOffset{Timestamp: protocol.NoTimestamp, Offset: protocol.NoOffset, LeaderEpoch: protocol.NoLeaderEpoch}

func listOffsets(r *request, req *kmsg.ListOffsetsRequest) kmsg.Response {
	type in = kmsg.ListOffsetsRequestTopicPartition
	type out = kmsg.ListOffsetsResponseTopicPartition
	img := r.Controller.Image()
	whole := errors.Join(checkReplica(r.call, req.ReplicaID), checkIsolation(req.IsolationLevel))
	twice := repeatedPartitions(req.Topics)
	fail := func(p *in, err error) out {
		o := kmsg.NewListOffsetsResponseTopicPartition()
		if r.version() < 5 && errors.Is(err, kerr.OffsetNotAvailable) {
			err = kerr.LeaderNotAvailable
		}
		o.Partition, o.ErrorCode = p.Partition, r.code(err)
		return o
	}

	resp := kmsg.NewPtrListOffsetsResponse()
	for _, t := range req.Topics {
		answer := kmsg.NewListOffsetsResponseTopic()
		answer.Topic = t.Topic
		if whole != nil {
			answer.Partitions = failAll(t.Partitions, whole, fail)
		} else {
			call := func(p *in, _ *image.Topic, part Partition) (out, error) {
				if twice[protocol.TopicPartition{Topic: t.Topic, Partition: p.Partition}] {
					return out{}, kerr.InvalidRequest
				}
				return listOffset(r, req.IsolationLevel, p, part)
			}
			answer.Partitions = walk(r.Handlers, img.Topic(t.Topic), r.mayTopic(protocol.OpDescribe, t.Topic), t.Partitions,
				func(p *in) int32 { return p.Partition }, call, fail)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

func listOffset(r *request, isolation int8, p *kmsg.ListOffsetsRequestTopicPartition, part Partition) (kmsg.ListOffsetsResponseTopicPartition, error) {
	o := kmsg.NewListOffsetsResponseTopicPartition()
	if since, special := timestampSince[p.Timestamp]; p.Timestamp < 0 && (!special || r.version() < since) {
		return o, kerr.UnsupportedVersion
	}
	found, err := lookUp(part, isolation, p)
	if err != nil {
		return o, err
	}
	o.Partition = p.Partition
	o.Timestamp, o.Offset, o.LeaderEpoch = found.Timestamp, int64(found.Offset), int32(found.LeaderEpoch)
	return o, nil
}

func lookUp(part Partition, isolation int8, p *kmsg.ListOffsetsRequestTopicPartition) (log.TimestampOffset, error) {
	at := part.Offsets()
	if at.Epoch == protocol.NoLeaderEpoch {
		return log.TimestampOffset{}, kerr.NotLeaderForPartition
	}
	if err := checkEpoch(p.CurrentLeaderEpoch, at.Epoch); err != nil {
		return log.TimestampOffset{}, err
	}
	found := noTimestampOffset
	switch p.Timestamp {
	case latestTimestamp:
		if at.HighWatermark < at.EpochStart {
			return found, kerr.OffsetNotAvailable
		}
		found.Offset, found.LeaderEpoch = at.HighWatermark, at.Epoch
		if isolation == readCommitted {
			found.Offset = at.LastStable
		}
	case earliestTimestamp, earliestLocalTimestamp:
		found.Offset, found.LeaderEpoch = at.LogStart, epochAt(part, at)
	case latestTieredTimestamp, earliestPendingUpload:
	default:
		return part.OffsetForTimestamp(p.Timestamp, isolation)
	}
	return found, nil
}

// epochAt is the leader epoch that holds the log start: the first one that ends beyond it. Epochs end in their order, so it is searched by halving.
func epochAt(part Partition, at log.Offsets) protocol.LeaderEpoch {
	e := sort.Search(int(at.Epoch), func(e int) bool {
		_, end, err := part.EpochEnd(protocol.NoLeaderEpoch, protocol.LeaderEpoch(e))
		return err == nil && end > at.LogStart
	})
	return protocol.LeaderEpoch(e)
}

func checkIsolation(level int8) error {
	if level != 0 && level != readCommitted {
		return kerr.InvalidRequest
	}
	return nil
}

func repeatedPartitions(topics []kmsg.ListOffsetsRequestTopic) map[protocol.TopicPartition]bool {
	var all []protocol.TopicPartition
	for _, t := range topics {
		for _, p := range t.Partitions {
			all = append(all, protocol.TopicPartition{Topic: t.Topic, Partition: p.Partition})
		}
	}
	return repeated(all, func(tp *protocol.TopicPartition) protocol.TopicPartition { return *tp })
}
