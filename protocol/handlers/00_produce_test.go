package handlers

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

func produceRequest(version, acks int16, topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 10_000
	addProduce(req, topic, partition, records)
	return req
}

func addProduce(req *kmsg.ProduceRequest, topic string, partition int32, records []byte) {
	t := kmsg.NewProduceRequestTopic()
	if req.Version >= 13 {
		t.TopicID = idOf(topic)
	} else {
		t.Topic = topic
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
}

func only(t *testing.T, resp *kmsg.ProduceResponse) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("answer %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

func TestProduceAppends(t *testing.T) {
	each(t, 0, func(t *testing.T, b *broker, c *client, v int16) {
		resp := ask[*kmsg.ProduceResponse](c, v, produceRequest(v, 1, "t", 0, records(2)))
		if v >= 13 && resp.Topics[0].TopicID != idOf("t") || v < 13 && resp.Topics[0].Topic != "t" {
			t.Errorf("topic %+v", resp.Topics[0])
		}
		want := kmsg.NewProduceResponseTopicPartition()
		if v >= 5 {
			want.LogStartOffset = 0
		}
		if got := only(t, resp); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		second := only(t, ask[*kmsg.ProduceResponse](c, v, produceRequest(v, 1, "t", 0, records(1))))
		if second.BaseOffset != 2 || b.p0.Offsets().LogEnd != 3 || b.p0.state().acks != 1 {
			t.Errorf("second batch at %d, log end %d", second.BaseOffset, b.p0.Offsets().LogEnd)
		}
	})
}

func TestProduceErrors(t *testing.T) {
	zstd := batch.NewBuilder()
	zstd.Codec = batch.Zstd
	zstd.Add(1, nil, []byte("x"))
	transactional := batch.NewBuilder()
	transactional.Transactional, transactional.ProducerID, transactional.ProducerEpoch, transactional.BaseSequence = true, 1, 0, 0
	transactional.Add(1, nil, []byte("x"))
	id := "tx"

	type test struct {
		name      string
		version   int16
		change    func(*broker, *kmsg.ProduceRequest)
		topic     string
		partition int32
		records   []byte
		want      *kerr.Error
	}
	for _, tt := range []test{
		{"unknown topic", 9, nil, "nope", 0, records(1), kerr.UnknownTopicOrPartition},
		{"unknown topic id", 13, nil, "nope", 0, records(1), kerr.UnknownTopicID},
		{"unknown partition", 9, nil, "t", 9, records(1), kerr.UnknownTopicOrPartition},
		{"negative partition", 9, nil, "t", -1, records(1), kerr.UnknownTopicOrPartition},
		{"led elsewhere", 9, nil, "t", 2, records(1), kerr.NotLeaderForPartition},
		{"denied", 9, func(b *broker, _ *kmsg.ProduceRequest) {
			b.authorizer.deny(protocol.OpWrite, protocol.ResourceTopic, "t")
		}, "t", 0, records(1), kerr.TopicAuthorizationFailed},
		{"denied by id", 13, func(b *broker, _ *kmsg.ProduceRequest) {
			b.authorizer.deny(protocol.OpWrite, protocol.ResourceTopic, "t")
		}, "t", 0, records(1), kerr.TopicAuthorizationFailed},
		{"denied and unknown", 9, func(b *broker, _ *kmsg.ProduceRequest) { with(func() { b.authorizer.denyAll = true }) }, "nope", 0, records(1), kerr.TopicAuthorizationFailed},
		{"denied and unknown partition", 9, func(b *broker, _ *kmsg.ProduceRequest) { with(func() { b.authorizer.denyAll = true }) }, "t", 77, records(1), kerr.TopicAuthorizationFailed},
		{"zstd before v7", 6, nil, "t", 0, zstd.Build(nil), kerr.UnsupportedCompressionType},
		{"zstd", 7, nil, "t", 0, zstd.Build(nil), nil},
		{"acks 2", 9, func(_ *broker, r *kmsg.ProduceRequest) { r.Acks = 2 }, "t", 0, records(1), kerr.InvalidRequiredAcks},
		{"acks -2", 9, func(_ *broker, r *kmsg.ProduceRequest) { r.Acks = -2 }, "t", 0, records(1), kerr.InvalidRequiredAcks},
		{"transactional batch without id", 9, nil, "t", 0, transactional.Build(nil), kerr.TransactionalIDAuthorizationFailed},
		{"transactional batch denied", 9, func(b *broker, r *kmsg.ProduceRequest) {
			r.TransactionID = &id
			b.authorizer.deny(protocol.OpWrite, protocol.ResourceTransactionalID, id)
		}, "t", 0, transactional.Build(nil), kerr.TransactionalIDAuthorizationFailed},
		{"transactional batch", 9, func(_ *broker, r *kmsg.ProduceRequest) { r.TransactionID = &id }, "t", 0, transactional.Build(nil), kerr.InvalidTxnState},
		{"id without transactional batch", 9, func(_ *broker, r *kmsg.ProduceRequest) { r.TransactionID = &id }, "t", 0, records(1), nil},
		{"the log says no", 9, func(b *broker, _ *kmsg.ProduceRequest) { with(func() { b.p0.err = kerr.OutOfOrderSequenceNumber }) }, "t", 0, records(1), kerr.OutOfOrderSequenceNumber},
		{"a bug", 9, func(b *broker, _ *kmsg.ProduceRequest) { with(func() { b.p0.err = errString("secret") }) }, "t", 0, records(1), kerr.UnknownServerError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBroker(t)
			req := produceRequest(tt.version, 1, tt.topic, tt.partition, tt.records)
			if tt.change != nil {
				tt.change(b, req)
			}
			got := only(t, ask[*kmsg.ProduceResponse](b.dial(t), tt.version, req))
			want := int16(0)
			if tt.want != nil {
				want = tt.want.Code
			}
			logStart := int64(-1)
			if tt.want == kerr.OutOfOrderSequenceNumber || tt.want == kerr.UnknownServerError {
				logStart = 0 // the log was asked
			}
			if got.ErrorCode != want || want != 0 && (got.BaseOffset != -1 || got.LogAppendTime != -1 || got.LogStartOffset != logStart) {
				t.Errorf("got %+v, want code %d", got, want)
			}
			if got.ErrorMessage != nil && *got.ErrorMessage == "secret" {
				t.Error("an inner error's text is told")
			}
			if p := b.p0.state(); want != 0 && p.appends != 0 && p.err == nil {
				t.Error("something was appended")
			}
		})
	}
}

type errString string

func (e errString) Error() string { return string(e) }

func TestProduceTellsTheLeader(t *testing.T) {
	each(t, 0, func(t *testing.T, b *broker, c *client, v int16) {
		resp := ask[*kmsg.ProduceResponse](c, v, produceRequest(v, 1, "t", 2, records(1)))
		got := only(t, resp).CurrentLeader
		if v < 10 {
			if got.LeaderID != -1 || resp.Brokers != nil {
				t.Errorf("told %+v %+v", got, resp.Brokers)
			}
			return
		}
		if got.LeaderID != 3 || got.LeaderEpoch != 5 || len(resp.Brokers) != 1 || resp.Brokers[0].Host != "h3" || resp.Brokers[0].NodeID != 3 || *resp.Brokers[0].Rack != "r1" {
			t.Errorf("told %+v %+v", got, resp.Brokers)
		}
	})
}

func TestProduceTellsRefusedRecords(t *testing.T) {
	b := newBroker(t)
	with(func() { b.p0.err = protocol.Errorf(kerr.InvalidRecord, "one record is invalid") })
	with(func() { b.p0.refused = []log.RecordError{{Index: 3, Message: "no key"}} })
	with(func() { b.p0.offsets.LogStart = 4 })
	got := only(t, ask[*kmsg.ProduceResponse](b.dial(t), 11, produceRequest(11, 1, "t", 0, records(1))))
	if got.ErrorCode != kerr.InvalidRecord.Code || *got.ErrorMessage != "one record is invalid" || got.LogStartOffset != 4 ||
		len(got.ErrorRecords) != 1 || got.ErrorRecords[0].RelativeOffset != 3 || *got.ErrorRecords[0].ErrorMessage != "no key" {
		t.Errorf("got %+v", got)
	}
}

func TestProduceToManyPartitions(t *testing.T) {
	b := newBroker(t)
	req := produceRequest(9, 1, "t", 0, records(1))
	addProduce(req, "nope", 0, records(1))
	addProduce(req, "t", 1, records(5))
	addProduce(req, "t", 0, records(1))
	resp := ask[*kmsg.ProduceResponse](b.dial(t), 9, req)
	var codes []int16
	var bases []int64
	for _, topic := range resp.Topics {
		codes, bases = append(codes, topic.Partitions[0].ErrorCode), append(bases, topic.Partitions[0].BaseOffset)
	}
	if !reflect.DeepEqual(codes, []int16{0, kerr.UnknownTopicOrPartition.Code, 0, 0}) || !reflect.DeepEqual(bases, []int64{0, -1, 0, 1}) {
		t.Errorf("codes %v, base offsets %v", codes, bases)
	}
}

func TestProduceWithoutAcks(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	c.send(9, produceRequest(9, 0, "t", 0, records(1)))
	if second := only(t, ask[*kmsg.ProduceResponse](c, 9, produceRequest(9, 1, "t", 0, records(1)))); second.BaseOffset != 1 {
		t.Errorf("got %+v", second)
	}
	c.send(9, produceRequest(9, 0, "t", 2, records(1)))
	c.closed()
}

func TestProduceWaitsForTheHighWatermark(t *testing.T) {
	each(t, 0, func(t *testing.T, b *broker, c *client, v int16) {
		req := produceRequest(v, -1, "t", 0, records(2))
		c.send(v, req)
		// The next request of the same connection begins meanwhile, and its answer waits its turn.
		c.send(v, produceRequest(v, 1, "t", 1, records(1)))
		waitFor(t, func() bool { return b.p1.Offsets().LogEnd == 1 })
		b.p0.commit()
		if got := only(t, answerTo[*kmsg.ProduceResponse](c, v, req)); got.ErrorCode != 0 || got.BaseOffset != 0 {
			t.Errorf("got %+v", got)
		}
		answerTo[*kmsg.ProduceResponse](c, v, req)
	})
}

func TestProduceAnswersEachPartitionsOwnFate(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := produceRequest(9, -1, "t", 0, records(2))
	addProduce(req, "t", 1, records(1))
	c.send(9, req)
	waitFor(t, func() bool { return b.p1.Offsets().LogEnd == 1 })
	b.p0.waiters.Fail()
	b.p1.commit()
	resp := answerTo[*kmsg.ProduceResponse](c, 9, req)
	lost, kept := resp.Topics[0].Partitions[0], resp.Topics[1].Partitions[0]
	if lost.ErrorCode != kerr.NotLeaderForPartition.Code || lost.BaseOffset != 0 || kept.ErrorCode != 0 {
		t.Errorf("got %+v and %+v", lost, kept)
	}
}

func TestProduceTimesOut(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := produceRequest(11, -1, "t", 0, records(2))
	req.TimeoutMillis = 1
	got := only(t, ask[*kmsg.ProduceResponse](c, 11, req))
	if got.ErrorCode != kerr.RequestTimedOut.Code || got.BaseOffset != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestProduceEndsWithTheConnection(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	c.send(9, produceRequest(9, -1, "t", 0, records(1)))
	waitFor(t, func() bool { offsets, _ := b.p0.waiters.Waiting(); return offsets })
	_ = c.conn.Close()
	waitFor(t, func() bool { offsets, _ := b.p0.waiters.Waiting(); return !offsets })
}

func TestMalformedProduceTouchesNothing(t *testing.T) {
	b := newBroker(t)
	req := produceRequest(9, 1, "t", 0, records(1))
	addProduce(req, "t", 1, records(1))
	req.SetVersion(9)
	frame := formatter.AppendRequest(nil, req, 1)
	frame = append(frame, 0) // one byte too many, after both partitions
	frame[3]++
	c := b.dial(t)
	c.write(frame)
	c.closed()
	if b.p0.state().appends != 0 {
		t.Error("appended")
	}
}

// waitFor waits for what another goroutine does.
func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !what(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
		<-time.After(time.Millisecond)
	}
}
