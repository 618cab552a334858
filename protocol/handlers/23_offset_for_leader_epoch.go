package handlers

// OffsetForLeaderEpoch (key 23), versions 2 to 4: where a leader epoch ends, so that a consumer notices after a leader change whether what it has read is still there (KIP-101, KIP-279).
// The answer is the largest epoch up to the one asked for, and one past its last offset; -1 and -1 if this leader knows no such epoch.
//
//	v2  current leader epoch, throttle time (KIP-320)
//	v3  replica id (KIP-392): -1 a consumer, -2 anybody
//	v4  flexible (KIP-482)
//
// Describe on the topic is enough, or ClusterAction as for a broker. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

func offsetForLeaderEpoch(r *request, req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	type in = kmsg.OffsetForLeaderEpochRequestTopicPartition
	type out = kmsg.OffsetForLeaderEpochResponseTopicPartition
	img := r.Controller.Image()
	broker := r.mayCluster(protocol.OpClusterAction)
	fail := func(p *in, err error) out {
		o := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		o.Partition, o.ErrorCode = p.Partition, r.code(err)
		return o
	}
	call := func(p *in, _ *image.Topic, part Partition) (out, error) {
		epoch, end, err := part.EpochEnd(protocol.LeaderEpoch(p.CurrentLeaderEpoch), protocol.LeaderEpoch(p.LeaderEpoch))
		o := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		o.Partition, o.LeaderEpoch, o.EndOffset = p.Partition, int32(epoch), int64(end)
		return o, err
	}

	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range req.Topics {
		answer := kmsg.NewOffsetForLeaderEpochResponseTopic()
		answer.Topic = t.Topic
		answer.Partitions = walk(r.Handlers, img.Topic(t.Topic), broker || r.mayTopic(protocol.OpDescribe, t.Topic), t.Partitions,
			func(p *in) int32 { return p.Partition }, call, fail)
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}
