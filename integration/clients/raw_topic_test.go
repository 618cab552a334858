//go:build clients

package clients

import (
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What cases stand on: topics, records and producer ids that have to be there before the questions begin.

// patiently repeats try until it reports success: brokers apply what they have acknowledged a moment later.
func patiently(what string, try func() error) {
	var err error
	for deadline := time.Now().Add(rawSilence); time.Now().Before(deadline); {
		if err = try(); err == nil {
			return
		}
	}
	panic(setupError{errors.Join(errors.New(what), err)})
}

// createOf asks for one topic; configs are "name=value".
func createOf(name string, partitions int32, configs ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for _, pair := range configs {
		k, v, _ := strings.Cut(pair, "=")
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
	}
	req.Topics = append(req.Topics, t)
	return req
}

// topic creates a topic and waits until every partition answers.
func (x *exchange) topic(name string, partitions int32, configs ...string) [16]byte {
	r := must[*kmsg.CreateTopicsResponse](x, 7, createOf(name, partitions, configs...)).Topics[0]
	mustCode("create "+name, r.ErrorCode)
	x.known.topic(r.TopicID, name)
	x.settled(name, partitions)
	return r.TopicID
}

// settled waits until every partition of a topic answers.
func (x *exchange) settled(name string, partitions int32) {
	req := listOf(name, -1)
	for p := range partitions - 1 {
		more := req.Topics[0].Partitions[0]
		more.Partition = p + 1
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, more)
	}
	patiently(name+" has leaders", func() error {
		for _, p := range must[*kmsg.ListOffsetsResponse](x, 1, req).Topics[0].Partitions {
			if p.ErrorCode != 0 {
				return kerr.ErrorForCode(p.ErrorCode)
			}
		}
		return nil
	})
}

// drop deletes a topic and waits until it is gone.
func (x *exchange) drop(name string) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.TimeoutMillis = []string{name}, 10_000
	mustCode("delete "+name, must[*kmsg.DeleteTopicsResponse](x, 5, req).Topics[0].ErrorCode)
	x.gone(name)
}

// gone waits until the broker knows name no more. Apache Kafka's answers to ListOffsets follow the metadata, those to Fetch the replicas, which are removed a moment later.
func (x *exchange) gone(name string) {
	patiently(name+" is gone", func() error {
		listed := must[*kmsg.ListOffsetsResponse](x, 1, listOf(name, -1)).Topics[0].Partitions[0].ErrorCode
		fetched := must[*kmsg.FetchResponse](x, 12, fetchOf(name, [16]byte{}, 0)).Topics[0].Partitions[0].ErrorCode
		for _, c := range []int16{listed, fetched} {
			if c != kerr.UnknownTopicOrPartition.Code {
				return errors.Join(errors.New("still known"), kerr.ErrorForCode(c))
			}
		}
		return nil
	})
}

// listOf asks for one offset of partition 0.
func listOf(topic string, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	req.TimeoutMillis = 5000
	return req
}

// produceOf sends records to one partition with acks -1; topic and id are used as the version wants.
func produceOf(topic string, id [16]byte, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: records}}}}
	return req
}

// filled is a topic of one partition with these batches, one request each.
func (x *exchange) filled(name string, batches ...batch) [16]byte {
	id := x.topic(name, 1)
	x.fill(name, 0, batches...)
	return id
}

func (x *exchange) fill(topic string, partition int32, batches ...batch) {
	for _, b := range batches {
		resp := must[*kmsg.ProduceResponse](x, 9, produceOf(topic, [16]byte{}, partition, b.bytes()))
		mustCode("produce to "+topic, resp.Topics[0].Partitions[0].ErrorCode)
	}
}

// producerID takes a new producer id and names it.
func (x *exchange) producerID(name string) (id int64, epoch int16) {
	patiently("a producer id", func() error {
		req := kmsg.NewPtrInitProducerIDRequest()
		r := must[*kmsg.InitProducerIDResponse](x, 4, req)
		id, epoch = r.ProducerID, r.ProducerEpoch
		return kerr.ErrorForCode(r.ErrorCode)
	})
	x.known.producer(id, name)
	return id, epoch
}

// nowhere is an id that no topic has.
var nowhere = [16]byte{0xde, 0xad, 0xbe, 0xef, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}
