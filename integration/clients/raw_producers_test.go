//go:build clients

package clients

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// sequenced is one batch of an idempotent producer: values records at a sequence.
type sequenced struct {
	epoch    int16
	sequence int32
	records  int
}

// producerScripts are what idempotent producers send to one partition, in order.
var producerScripts = map[string][]sequenced{
	"in order":                     {{0, 0, 2}, {0, 2, 1}, {0, 3, 5}},
	"the last again":               {{0, 0, 2}, {0, 0, 2}},
	"an earlier one again":         {{0, 0, 2}, {0, 2, 2}, {0, 4, 2}, {0, 0, 2}, {0, 2, 2}},
	"older than five":              {{0, 0, 1}, {0, 1, 1}, {0, 2, 1}, {0, 3, 1}, {0, 4, 1}, {0, 5, 1}, {0, 0, 1}, {0, 1, 1}},
	"part of the last":             {{0, 0, 3}, {0, 1, 2}, {0, 0, 2}, {0, 2, 1}},
	"more than the last":           {{0, 0, 2}, {0, 0, 3}},
	"a gap":                        {{0, 0, 2}, {0, 5, 1}, {0, 2, 1}},
	"begins in the middle":         {{0, 5, 1}, {0, 6, 1}},
	"epoch bump":                   {{0, 0, 2}, {1, 0, 1}, {1, 1, 1}},
	"epoch bump, sequence goes on": {{0, 0, 2}, {1, 2, 1}},
	"epoch bump by two":            {{0, 0, 2}, {2, 0, 1}},
	"older epoch":                  {{0, 0, 2}, {1, 0, 1}, {0, 2, 1}, {0, 0, 2}},
	"begins at an epoch":           {{7, 0, 2}, {7, 2, 1}},
	"wrap":                         {{0, math.MaxInt32 - 1, 2}, {0, 0, 1}, {0, 1, 1}},
	"wrap within a batch":          {{0, math.MaxInt32, 3}, {0, 2, 1}, {0, math.MaxInt32, 3}},
	"negative sequence":            {{0, -5, 1}, {0, 0, 1}},
	"last epoch":                   {{math.MaxInt16, 0, 1}, {math.MaxInt16, 1, 1}},
}

func producerCases() []rawCase {
	var cases []rawCase
	for i, name := range sortedKeys(producerScripts) {
		cases = append(cases, rawCase{"producer: " + name, func(x *exchange) {
			topic := fmt.Sprintf("producer-%d", i)
			id := x.topic(topic, 1)
			producer, _ := x.producerID("PID(" + name + ")")
			for _, s := range producerScripts[name] {
				b := batchOf(slices.Repeat([]string{"v"}, s.records)...).from(producer, s.epoch, s.sequence)
				x.ask(9, produceOf(topic, id, 0, b.bytes()))
			}
			x.ask(11, fetchOf(topic, id, 0))
		}})
	}
	cases = append(cases, each(0, 3, "producer: duplicates and gaps", func(x *exchange, v int16) {
		topic := fmt.Sprintf("producer-version-%d", v)
		id := x.topic(topic, 1)
		producer, epoch := x.producerID("PID(" + topic + ")")
		for _, sequence := range []int32{0, 0, 1, 5, 0} {
			x.ask(v, produceOf(topic, id, 0, batchOf("v").from(producer, epoch, sequence).bytes()))
		}
	})...)
	cases = append(cases, each(22, 0, "init producer id", func(x *exchange, v int16) { initProducer(x, v) })...)
	return append(cases, transactionCases()...)
}

// initProducer walks through InitProducerID without a transactional id.
func initProducer(x *exchange, v int16) {
	x.producerID("PID(first)")
	x.ask(v, kmsg.NewPtrInitProducerIDRequest())
	for _, timeout := range []int32{-1, 0, 60_000, math.MaxInt32} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = timeout
		x.ask(v, req)
	}
	if v < 3 {
		return
	}
	for _, has := range []struct {
		id    int64
		epoch int16
	}{{5, 0}, {5, -1}, {-1, 5}, {-2, -2}, {1 << 40, 3}, {5, math.MaxInt16}} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.ProducerID, req.ProducerEpoch = has.id, has.epoch
		x.ask(v, req)
	}
}

// transactionCases use what comes later in ottla: it refuses.
func transactionCases() []rawCase {
	named := func(id string) *kmsg.InitProducerIDRequest {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
		return req
	}
	transactional := func(b *batch) { b.attributes |= 0x10 }
	return []rawCase{
		{"transaction: empty id", func(x *exchange) { x.ask(4, named("")) }},
		{"transaction: id", func(x *exchange) { x.ask(4, named("tx")) }},
		{"transaction: timeouts", func(x *exchange) {
			for _, timeout := range []int32{0, -1, math.MaxInt32} {
				req := named("tx-timeout")
				req.TransactionTimeoutMillis = timeout
				x.ask(4, req)
			}
		}},
		{"transaction: produce a transactional batch without an id", func(x *exchange) {
			id := x.topic("tx-none", 1)
			producer, epoch := x.producerID("PID(tx-none)")
			x.ask(9, produceOf("tx-none", id, 0, batchOf("v").from(producer, epoch, 0).with(transactional).bytes()))
			x.ask(5, listOf("tx-none", -1))
		}},
		{"transaction: produce an ordinary batch with an id", func(x *exchange) {
			id := x.topic("tx-plain", 1)
			req := produceOf("tx-plain", id, 0, batchOf("v").bytes())
			tx := "tx"
			req.TransactionID = &tx
			x.ask(9, req)
			x.ask(5, listOf("tx-plain", -1))
		}},
		{"transaction: produce with an id nobody began", func(x *exchange) {
			id := x.topic("tx-batch", 1)
			producer, epoch := x.producerID("PID(tx-batch)")
			tx := "tx-unknown"
			for _, v := range []int16{9, 11, 12, 13} {
				req := produceOf("tx-batch", id, 0, batchOf("v").from(producer, epoch, 0).with(transactional).bytes())
				req.TransactionID = &tx
				x.ask(v, req)
			}
			x.ask(5, listOf("tx-batch", -1))
		}},
		{"transaction: a control batch of a producer", func(x *exchange) {
			id := x.topic("tx-control", 1)
			producer, epoch := x.producerID("PID(tx-control)")
			x.ask(9, produceOf("tx-control", id, 0, batchOf("v").from(producer, epoch, 0).with(func(b *batch) { b.attributes = 0x30 }).bytes()))
		}},
		{"producer: two batches of one producer", func(x *exchange) {
			id := x.topic("producer-two", 1)
			producer, epoch := x.producerID("PID(producer-two)")
			b := append(batchOf("a").from(producer, epoch, 0).bytes(), batchOf("b").from(producer, epoch, 1).bytes()...)
			x.ask(9, produceOf("producer-two", id, 0, b))
			x.ask(11, fetchOf("producer-two", id, 0))
		}},
		{"producer: an id that nobody gave out", func(x *exchange) {
			id := x.topic("producer-invented", 1)
			x.ask(9, produceOf("producer-invented", id, 0, batchOf("a").from(1<<60, 0, 0).bytes()))
			x.ask(9, produceOf("producer-invented", id, 0, batchOf("a").from(1<<60, 0, 1).bytes()))
		}},
		{"producer: after its records were deleted", func(x *exchange) {
			id := x.topic("producer-deleted", 1)
			producer, epoch := x.producerID("PID(producer-deleted)")
			x.ask(9, produceOf("producer-deleted", id, 0, batchOf("a").from(producer, epoch, 0).bytes()))
			x.ask(1, deleteOf("producer-deleted", 0, -1))
			x.ask(9, produceOf("producer-deleted", id, 0, batchOf("a").from(producer, epoch, 0).bytes()))
			x.ask(9, produceOf("producer-deleted", id, 0, batchOf("a").from(producer, epoch, 1).bytes()))
		}},
	}
}
