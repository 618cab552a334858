//go:build clients

package clients

import (
	"bytes"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceCases are about the request around the batches; batchCases about what is in them.
func produceCases() []rawCase {
	cases := each(0, 3, "produce", func(x *exchange, v int16) {
		name := fmt.Sprintf("produce-%d", v)
		id := x.topic(name, 2)
		one := batchOf("one", "two").bytes()
		x.ask(v, produceOf(name, id, 0, one))
		x.ask(v, produceOf(name, id, 0, one))
		both := produceOf(name, id, 0, one)
		both.Topics[0].Partitions = append(both.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 1, Records: batchOf("three").bytes()})
		x.ask(v, both)
		loose := produceOf(name, id, 1, one)
		loose.Acks = 1
		x.ask(v, loose)
		x.ask(5, listOf(name, -1))
		empty := kmsg.NewPtrProduceRequest()
		empty.Acks = 1
		x.ask(v, empty)
	})
	cases = append(cases, each(0, 3, "produce: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("produce-wrong-%d", v)
		id := x.topic(name, 1)
		one := batchOf("one").bytes()
		for _, p := range []int32{1, -1, 1<<31 - 1} {
			x.ask(v, produceOf(name, id, p, one))
		}
		x.ask(v, produceOf("never-created", nowhere, 0, one))
		x.ask(v, produceOf("", [16]byte{}, 0, one))
		x.ask(v, produceOf("a/b", nowhere, 0, one))
		for _, acks := range []int16{2, -2, 32767} {
			req := produceOf(name, id, 0, one)
			req.Acks = acks
			x.ask(v, req)
		}
		mixed := produceOf(name, id, 0, one)
		mixed.Topics[0].Partitions = append(mixed.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 9, Records: one})
		mixed.Topics = append(mixed.Topics, produceOf("never-created", nowhere, 0, one).Topics[0])
		x.ask(v, mixed)
		for _, records := range [][]byte{{}, one[:40], one[:len(one)-1], append(bytes.Clone(one), 1, 2, 3), oldMessage(0, "old"), oldMessage(1, "old")} {
			x.ask(v, produceOf(name, id, 0, records))
		}
		x.ask(v, produceOf(name, id, 0, one))
	})...)
	return append(cases,
		rawCase{"produce: acks 0", func(x *exchange) {
			id := x.topic("produce-silent", 1)
			x.silent("produce-silent", id, batchOf("one").bytes())
			x.ask(7, produceOf("produce-silent", id, 0, batchOf("two").bytes()))
		}},
		rawCase{"produce: acks 0 to an unknown topic", func(x *exchange) { x.silent("never-created", nowhere, batchOf("one").bytes()) }},
		rawCase{"produce: acks 0 and a batch that lies", func(x *exchange) {
			id := x.topic("produce-silent-lie", 1)
			x.silent("produce-silent-lie", id, batchOf("one").with(func(b *batch) { b.badCRC = true }).bytes())
		}},
		rawCase{"produce: null records", func(x *exchange) {
			id := x.topic("produce-null", 1)
			x.ask(9, produceOf("produce-null", id, 0, nil))
		}},
		rawCase{"produce: a partition twice", func(x *exchange) {
			id := x.topic("produce-twice", 1)
			req := produceOf("produce-twice", id, 0, batchOf("one").bytes())
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Records: batchOf("two", "three").bytes()})
			x.ask(9, req)
			x.ask(5, listOf("produce-twice", -1))
		}},
		rawCase{"produce: a topic twice", func(x *exchange) {
			id := x.topic("produce-topic-twice", 2)
			req := produceOf("produce-topic-twice", id, 0, batchOf("one").bytes())
			req.Topics = append(req.Topics, produceOf("produce-topic-twice", id, 1, batchOf("two").bytes()).Topics[0])
			x.ask(9, req)
			x.ask(13, req)
		}},
		rawCase{"produce: a recreated topic", func(x *exchange) {
			old := x.topic("produce-again", 1)
			x.drop("produce-again")
			x.known.topic(old, "produce-again, the first")
			id := x.topic("produce-again", 1)
			x.ask(13, produceOf("", old, 0, batchOf("one").bytes()))
			x.ask(13, produceOf("", id, 0, batchOf("one").bytes()))
		}},
		rawCase{"produce: a deleted topic", func(x *exchange) {
			id := x.topic("produce-gone", 1)
			x.drop("produce-gone")
			x.ask(12, produceOf("produce-gone", id, 0, batchOf("one").bytes()))
			x.ask(13, produceOf("produce-gone", id, 0, batchOf("one").bytes()))
		}},
		rawCase{"produce: too large", func(x *exchange) {
			big := batchOf(string(make([]byte, 2000)))
			for _, codec := range []string{"producer", "gzip"} {
				name := "produce-large-" + codec
				id := x.topic(name, 1, "max.message.bytes=1000", "compression.type="+codec)
				x.ask(9, produceOf(name, id, 0, big.bytes()))
				x.ask(9, produceOf(name, id, 0, big.with(func(b *batch) { b.attributes = 1 }).bytes()))
				x.ask(9, produceOf(name, id, 0, batchOf("small").bytes()))
			}
		}},
		rawCase{"produce: as large as may be", func(x *exchange) {
			b := batchOf("four").bytes()
			id := x.topic("produce-fits", 1, fmt.Sprintf("max.message.bytes=%d", len(b)))
			x.ask(9, produceOf("produce-fits", id, 0, b))
			x.ask(9, produceOf("produce-fits", id, 0, batchOf("five5").bytes()))
		}},
		rawCase{"produce: too few replicas in sync", func(x *exchange) {
			id := x.topic("produce-isr", 1, "min.insync.replicas=2")
			req := produceOf("produce-isr", id, 0, batchOf("one").bytes())
			x.ask(9, req)
			req.Acks = 1
			x.ask(9, req)
		}},
		rawCase{"produce: internal topic", func(x *exchange) {
			for _, name := range []string{"__cluster_metadata", "__consumer_offsets"} {
				x.ask(9, produceOf(name, [16]byte{}, 0, batchOf("one").bytes()))
			}
		}},
		rawCase{"produce: timeouts", func(x *exchange) {
			id := x.topic("produce-timeout", 1)
			for _, timeout := range []int32{0, -1, 1<<31 - 1} {
				req := produceOf("produce-timeout", id, 0, batchOf("one").bytes())
				req.TimeoutMillis = timeout
				req.Acks = 1
				x.ask(9, req)
			}
		}},
	)
}

// silent produces with acks 0, and asks something else: its answer is the next one, or the connection has been closed.
func (x *exchange) silent(topic string, id [16]byte, records []byte) {
	x.dial()
	req := produceOf(topic, id, 0, records)
	req.Acks = 0
	req.SetVersion(7)
	if err := x.conn.send(x.conn.frame(headerOf(req), req.AppendTo(nil))); err != nil {
		panic(setupError{err})
	}
	x.ask(5, listOf("produce-silent", -1))
}
