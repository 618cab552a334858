package handlers

// DescribeProducers (key 61), version 0: the idempotent producers that partitions remember, and the transactions that they have open (KIP-664). Tools look for hanging transactions with it.
//
// Read on the topic is needed, else its partitions are TOPIC_AUTHORIZATION_FAILED. INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.
// Differs from Apache Kafka: producers come by id, where Kafka's order is that of a hash table.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

func describeProducers(r *request, req *kmsg.DescribeProducersRequest) kmsg.Response {
	type out = kmsg.DescribeProducersResponseTopicPartition
	img := r.Controller.Image()
	fail := func(partition *int32, err error) out { // without words, as Kafka says it
		o := kmsg.NewDescribeProducersResponseTopicPartition()
		o.Partition, o.ErrorCode = *partition, r.code(err)
		return o
	}
	failTopic := func(partition *int32, err error) out {
		o := fail(partition, err)
		o.ErrorMessage = protocol.ErrorMessage(err)
		return o
	}
	call := func(partition *int32, _ *image.Topic, part Partition) (out, error) {
		o := kmsg.NewDescribeProducersResponseTopicPartition()
		o.Partition = *partition
		producers, err := part.Producers()
		for _, p := range producers {
			a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
			a.ProducerID, a.ProducerEpoch, a.LastSequence, a.LastTimestamp = int64(p.ID), int32(p.Epoch), int32(p.LastSequence), p.LastTimestamp
			a.CoordinatorEpoch, a.CurrentTxnStartOffset = p.CoordinatorEpoch, int64(p.TxnFirst)
			o.ActiveProducers = append(o.ActiveProducers, a)
		}
		return o, err
	}

	resp := kmsg.NewPtrDescribeProducersResponse()
	for _, t := range req.Topics {
		answer := kmsg.NewDescribeProducersResponseTopic()
		answer.Topic = t.Topic
		if topic, err := r.producersOf(img, t.Topic); err != nil {
			answer.Partitions = failAll(t.Partitions, err, failTopic)
		} else {
			answer.Partitions = walk(r.Handlers, topic, true, t.Partitions, func(partition *int32) int32 { return *partition }, call, fail)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

// producersOf is the topic, for a caller who may read it. A name that no topic can have is told to everybody.
func (r *request) producersOf(img *image.Image, name string) (*image.Topic, error) {
	topic := img.Topic(name)
	switch err := unknownTopic(name); {
	case err != kerr.UnknownTopicOrPartition:
		return nil, err
	case !r.mayTopic(protocol.OpRead, name):
		return nil, kerr.TopicAuthorizationFailed
	case topic == nil:
		return nil, err
	}
	return topic, nil
}
