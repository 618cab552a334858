//go:build clients

package clients

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oddBatches are batches that lie, or that look as if. Each is produced to a topic of its own and, if it was taken, fetched.
func oddBatches() map[string][]byte {
	two := batchOf("one", "two")
	change := func(f func(b *batch)) []byte {
		b := two
		b.records = append([]record(nil), two.records...)
		f(&b)
		return b.bytes()
	}
	plain := func() []byte {
		var raw []byte
		for i, r := range two.records {
			raw = r.append(raw, i)
		}
		return raw
	}()
	odd := map[string][]byte{
		"honest":                         two.bytes(),
		"crc":                            change(func(b *batch) { b.badCRC = true }),
		"count too high":                 change(func(b *batch) { b.count = 1 }),
		"count too high, delta with it":  change(func(b *batch) { b.count, b.lastDelta = 1, 1 }),
		"count too low":                  change(func(b *batch) { b.count = -1 }),
		"count too low, delta with it":   change(func(b *batch) { b.count, b.lastDelta = -1, -1 }),
		"count negative":                 change(func(b *batch) { b.count = -3 }),
		"count huge":                     change(func(b *batch) { b.count = math.MaxInt32 - 2 }),
		"last delta too high":            change(func(b *batch) { b.lastDelta = 1 }),
		"last delta too low":             change(func(b *batch) { b.lastDelta = -1 }),
		"last delta negative":            change(func(b *batch) { b.lastDelta = -2 }),
		"magic 0":                        change(func(b *batch) { b.magic = 0 }),
		"magic 1":                        change(func(b *batch) { b.magic = 1 }),
		"magic 3":                        change(func(b *batch) { b.magic = 3 }),
		"magic -1":                       change(func(b *batch) { b.magic = -1 }),
		"control":                        change(func(b *batch) { b.attributes = 0x20 }),
		"delete horizon":                 change(func(b *batch) { b.attributes = 0x40 }),
		"unused attributes":              change(func(b *batch) { b.attributes = 0x7f80 }),
		"log append time by the client":  change(func(b *batch) { b.attributes = 8 }),
		"transactional without producer": change(func(b *batch) { b.attributes = 0x10 }),
		"base offset":                    change(func(b *batch) { b.base = 7 }),
		"base offset negative":           change(func(b *batch) { b.base = -1 }),
		"leader epoch":                   change(func(b *batch) { b.epoch = 99 }),
		"sequence without producer":      change(func(b *batch) { b.sequence = 5 }),
		"epoch without producer":         change(func(b *batch) { b.producerEpoch = 5 }),
		"producer without sequence":      change(func(b *batch) { b.producer, b.producerEpoch = 4000, 0 }),
		"producer without epoch":         change(func(b *batch) { b.producer, b.sequence = 4000, 0 }),
		"producer -2":                    change(func(b *batch) { b.producer = -2 }),
		"max timestamp too high":         change(func(b *batch) { b.max = rawTime + 5 }),
		"max timestamp too low":          change(func(b *batch) { b.max = rawTime - 5 }),
		"max timestamp none":             change(func(b *batch) { b.max = -1 }),
		"no timestamps":                  change(func(b *batch) { b.first, b.max = -1, -1 }),
		"timestamps far past":            change(func(b *batch) { b.first, b.max = 0, 0 }),
		"timestamps before 1970":         change(func(b *batch) { b.first, b.max = -1000, -1000 }),
		"timestamps in two hours":        change(func(b *batch) { b.first = time.Now().Add(2 * time.Hour).UnixMilli(); b.max = b.first }),
		"timestamp delta overflows":      change(func(b *batch) { b.first, b.max = math.MaxInt64-1, math.MaxInt64-1; b.records[1].at = 100 }),
		"timestamps in disorder":         change(func(b *batch) { b.records[0].at, b.records[1].at, b.max = 50, -50, rawTime+50 }),
		"no records":                     change(func(b *batch) { b.records = nil }),
		"no records, delta 0":            change(func(b *batch) { b.records, b.lastDelta = nil, 1 }),
		"records without bytes":          change(func(b *batch) { b.raw = []byte{} }),
		"records are junk":               change(func(b *batch) { b.raw = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }),
		"trailing bytes in the batch":    change(func(b *batch) { b.raw = append(append([]byte(nil), plain...), 0, 0, 0) }),
		"trailing bytes in a record":     change(func(b *batch) { b.records[1].trailing = []byte{1} }),
		"record length too high":         change(func(b *batch) { b.records[1].length = 5 }),
		"record length too low":          change(func(b *batch) { b.records[0].length = -1 }),
		"record length negative":         change(func(b *batch) { b.records[0].length = -100 }),
		"record length huge":             change(func(b *batch) { b.records[0].length = 1 << 30 }),
		"record offset gap":              change(func(b *batch) { b.records[1].delta = 1; b.lastDelta = 1 }),
		"record offsets repeat":          change(func(b *batch) { b.records[1].delta = -1 }),
		"record attributes":              change(func(b *batch) { b.records[0].attributes = 0x7f }),
		"null value":                     change(func(b *batch) { b.records[0].value = nil }),
		"null key":                       change(func(b *batch) { b.records[0].nilKey = true }),
		"headers":                        change(func(b *batch) { b.records[0].headers = []kmsg.Header{{Key: "h", Value: []byte("v")}, {Key: ""}} }),
		"length too low":                 change(func(b *batch) { b.length = -5 }),
		"length too high":                change(func(b *batch) { b.length = 5 }),
		"length negative":                change(func(b *batch) { b.length = -1000 }),
		"length huge":                    change(func(b *batch) { b.length = 1 << 30 }),
		"two batches":                    append(two.bytes(), batchOf("three").bytes()...),
		"two batches, the second bad":    append(two.bytes(), batchOf("three").with(func(b *batch) { b.badCRC = true }).bytes()...),
		"two batches, the second cut":    append(two.bytes(), batchOf("three").bytes()[:40]...),
		"two batches in offset order":    append(two.bytes(), batchOf("three").with(func(b *batch) { b.base = 2 }).bytes()...),
		"a batch and an old message":     append(two.bytes(), oldMessage(1, "old")...),
		"seven bytes":                    make([]byte, 7),
		"sixty zeros":                    make([]byte, 60),
		"a hundred zeros":                make([]byte, 100),
	}
	for codec := int16(1); codec < 8; codec++ {
		if codec != 2 {
			odd[fmt.Sprintf("codec %d", codec)] = change(func(b *batch) { b.attributes = codec })
			odd[fmt.Sprintf("codec %d, count too high", codec)] = change(func(b *batch) { b.attributes = codec; b.count = 1 })
			odd[fmt.Sprintf("codec %d, offset gap", codec)] = change(func(b *batch) { b.attributes = codec; b.records[1].delta = 1; b.lastDelta = 1 })
			odd[fmt.Sprintf("codec %d, trailing bytes within", codec)] = change(func(b *batch) {
				b.attributes = codec
				b.raw = compressRaw(codec, append(append([]byte(nil), plain...), 0, 0, 0))
			})
		}
		odd[fmt.Sprintf("codec %d, not compressed", codec)] = change(func(b *batch) { b.attributes = codec; b.raw = plain })
		odd[fmt.Sprintf("codec %d, nothing", codec)] = change(func(b *batch) { b.attributes = codec; b.raw = []byte{} })
	}
	return odd
}

// batchTopics are the kinds of topic that treat a batch differently.
var batchTopics = map[string][]string{
	"":              nil,
	"converted":     {"compression.type=lz4"},
	"uncompressed":  {"compression.type=uncompressed"},
	"append time":   {"message.timestamp.type=LogAppendTime"},
	"compacted":     {"cleanup.policy=compact"},
	"narrow window": {"message.timestamp.before.max.ms=1000", "message.timestamp.after.max.ms=1000"},
}

// kindsOf are the batches that are worth trying on every kind of topic.
var kindsOf = map[string]bool{"honest": true, "null key": true, "no timestamps": true, "timestamps in two hours": true, "two batches": true, "codec 1": true, "codec 4": true, "codec 4, count too high": true,
	"codec 1, offset gap": true, "count too high": true, "record offset gap": true, "no records": true, "max timestamp too high": true, "timestamps in disorder": true, "codec 3, not compressed": true,
	"timestamps far past": true, "log append time by the client": true, "trailing bytes in the batch": true, "headers": true, "null value": true, "codec 1, trailing bytes within": true}

func batchCases() []rawCase {
	var cases []rawCase
	odd := oddBatches()
	for _, name := range sortedKeys(odd) {
		for _, kind := range sortedKeys(batchTopics) {
			if kind != "" && !kindsOf[name] {
				continue
			}
			full := "batch: " + name
			if kind != "" {
				full += ", " + kind + " topic"
			}
			topic := fmt.Sprintf("batch-%d", len(cases))
			cases = append(cases, rawCase{full, func(x *exchange) {
				id := x.topic(topic, 1, batchTopics[kind]...)
				x.ask(9, produceOf(topic, id, 0, odd[name]))
				x.ask(11, fetchOf(topic, id, 0))
				x.ask(5, listOf(topic, -1))
			}})
		}
	}
	return append(cases,
		rawCase{"batch: zstd on v6", func(x *exchange) {
			id := x.topic("batch-zstd", 1)
			for _, v := range []int16{3, 6, 7} {
				x.ask(v, produceOf("batch-zstd", id, 0, batchOf("one").with(func(b *batch) { b.attributes = 4 }).bytes()))
			}
			x.topic("batch-zstd-topic", 1, "compression.type=zstd")
			x.ask(6, produceOf("batch-zstd-topic", id, 0, batchOf("one").bytes()))
			x.ask(4, fetchOf("batch-zstd", id, 0))
			x.ask(9, fetchOf("batch-zstd", id, 0))
			x.ask(10, fetchOf("batch-zstd", id, 0))
		}},
		rawCase{"batch: null keys on a compacted topic, by version", func(x *exchange) {
			id := x.topic("batch-keyless", 1, "cleanup.policy=compact")
			b := batchOf("one", "two", "three")
			b.records[0].nilKey, b.records[2].nilKey = true, true
			for v := int16(3); v <= 13; v++ {
				x.ask(v, produceOf("batch-keyless", id, 0, b.bytes()))
			}
		}},
		rawCase{"batch: a bad partition between good ones", func(x *exchange) {
			id := x.topic("batch-between", 3)
			req := produceOf("batch-between", id, 0, batchOf("one").bytes())
			req.Topics[0].Partitions = append(req.Topics[0].Partitions,
				kmsg.ProduceRequestTopicPartition{Partition: 1, Records: batchOf("two").with(func(b *batch) { b.badCRC = true }).bytes()},
				kmsg.ProduceRequestTopicPartition{Partition: 2, Records: batchOf("three").bytes()})
			x.ask(9, req)
		}},
	)
}
