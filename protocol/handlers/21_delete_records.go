package handlers

// DeleteRecords (key 21), versions 0 to 2: moves the start of a partition's log, so that what is before it is gone (KIP-107). Offset -1 is the high watermark.
//
//	v0  as above
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//
// OFFSET_OUT_OF_RANGE for another negative offset or one beyond the high watermark, POLICY_VIOLATION where cleanup.policy does not have "delete", INVALID_TOPIC_EXCEPTION for internal topics.
// Not done: waiting, up to the request's time-out, until every replica has moved its start: the leader is the only one so far. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

func deleteRecords(r *request, req *kmsg.DeleteRecordsRequest) kmsg.Response {
	type in = kmsg.DeleteRecordsRequestTopicPartition
	type out = kmsg.DeleteRecordsResponseTopicPartition
	img := r.Controller.Image()
	fail := func(p *in, err error) out {
		o := kmsg.NewDeleteRecordsResponseTopicPartition()
		o.Partition, o.ErrorCode, o.LowWatermark = p.Partition, r.code(err), -1
		return o
	}
	call := func(p *in, t *image.Topic, part Partition) (out, error) {
		o := kmsg.NewDeleteRecordsResponseTopicPartition()
		switch {
		case isInternal(t.Name):
			return o, kerr.InvalidTopicException
		case p.Offset < -1:
			return o, kerr.OffsetOutOfRange
		}
		low, err := part.DeleteRecords(protocol.Offset(p.Offset))
		o.Partition, o.LowWatermark = p.Partition, int64(low)
		return o, err
	}

	resp := kmsg.NewPtrDeleteRecordsResponse()
	for _, t := range req.Topics {
		answer := kmsg.NewDeleteRecordsResponseTopic()
		answer.Topic = t.Topic
		answer.Partitions = walk(r.Handlers, img.Topic(t.Topic), r.mayTopic(protocol.OpDelete, t.Topic), t.Partitions,
			func(p *in) int32 { return p.Partition }, call, fail)
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}
