//go:build faults

package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/integration/faults/history"
	"ottla/log/batch"
)

// refusals are the errors after which a record is certainly not in the log; after any other it may be.
var refusals = []*kerr.Error{kerr.MessageTooLarge, kerr.InvalidRecord, kerr.InvalidTopicException, kerr.RecordListTooLarge, kerr.UnsupportedForMessageFormat, kerr.NotEnoughReplicas}

func outcomeOf(err error) history.Outcome {
	if err == nil {
		return history.OK
	}
	for _, r := range refusals {
		if errors.Is(err, r) {
			return history.Fail
		}
	}
	return history.Info
}

// sizeOf draws the size of a value: small as a rule, now and then a large one.
func sizeOf(rnd *rand.Rand) int {
	if rnd.IntN(50) == 0 {
		return 20_000
	}
	return 64 + rnd.IntN(200)
}

// produceIdempotent sends records at about 2,000 a second while the load runs. What is under way when the node dies is retried until it is back.
func (l *load) produceIdempotent(cl *kgo.Client, producer uint32, m mode, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-pace.C:
		}
		for range 10 {
			op, value := l.send(producer, m, rnd.Int32N(l.parts), sizeOf(rnd))
			cl.Produce(context.Background(), &kgo.Record{Topic: l.topic, Partition: op.Partition, Value: value}, func(rec *kgo.Record, err error) {
				if outcome := outcomeOf(err); outcome != history.Info {
					l.told(op, outcome, ackedAt(rec.Offset, outcome))
				}
			})
		}
	}
}

func ackedAt(offset int64, outcome history.Outcome) int64 {
	if outcome != history.OK || offset < 0 {
		return history.NoOffset
	}
	return offset
}

// producePlain sends one request after the other while the load runs, on a raw connection, each of a few small batches; none is sent a second time.
func (l *load) producePlain(producer uint32, m mode, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	var c *rawConn
	defer func() { c.close() }()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-pause.C:
		}
		if c == nil {
			if c = l.connect(); c == nil {
				continue
			}
		}
		if err := l.plainRequest(c, producer, m, rnd); err != nil {
			c.close()
			c = nil
		}
	}
}

// connect is a new connection, and the topic's id; nil while there is no node.
func (l *load) connect() *rawConn {
	c, err := dialRaw(l.node.kafka)
	if err != nil {
		return nil
	}
	if l.id, err = c.topicID(l.topic); err != nil {
		c.close()
		return nil
	}
	return c
}

// plainRequest sends a request and notes what comes of it. An error ends the connection, and leaves the records unknown.
func (l *load) plainRequest(c *rawConn, producer uint32, m mode, rnd *rand.Rand) error {
	req := newProduce(l.topic, m.acks)
	ops := map[int32][]*history.Op{}
	for range 1 + rnd.IntN(4) {
		p := rnd.Int32N(l.parts)
		if ops[p] != nil {
			continue
		}
		b := batch.NewBuilder()
		for range 1 + rnd.IntN(3) {
			op, value := l.send(producer, m, p, sizeOf(rnd))
			ops[p] = append(ops[p], op)
			b.Add(time.Now().UnixMilli(), nil, value)
		}
		addBatch(req, p, b.Build(nil))
	}
	if m.acks == 0 {
		return c.send(req)
	}
	resp := kmsg.NewPtrProduceResponse()
	if err := c.call(req, resp); err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			for i, op := range ops[p.Partition] {
				if outcome := outcomeOf(kerr.ErrorForCode(p.ErrorCode)); outcome != history.Info {
					l.told(op, outcome, ackedAt(p.BaseOffset+int64(i), outcome))
				}
			}
		}
	}
	return nil
}
