package cluster

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ottla"
)

var allCodecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

// producers is every way to ask for acknowledgement.
var producers = map[string][]kgo.Opt{
	"idempotent": {},
	"acks=all":   {kgo.DisableIdempotentWrite()},
	"acks=1":     {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())},
	"acks=0":     {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.NoAck())},
}

// sizes of values, from nothing to 10 MB.
var sizes = []int{0, 1, 100, 4096, 100_000, 1_000_000, 10_000_000}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // never fails
	return b
}

func TestEveryRecordComesBackByteForByte(t *testing.T) {
	n := startNode(t, ottla.Config{})
	for codecName, codec := range allCodecs {
		for how, opts := range producers {
			t.Run(codecName+" "+how, func(t *testing.T) {
				topic := fmt.Sprintf("t-%s-%x", codecName, fnvOf(how))
				n.topic(t, topic, 1, "max.message.bytes", "20000000")
				cl := n.client(t, append([]kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(20_000_000)}, opts...)...)
				var sent []*kgo.Record
				for i, size := range sizes {
					r := &kgo.Record{Value: noise(uint64(i), size), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)*1000),
						Headers: []kgo.RecordHeader{{Key: "n", Value: []byte{byte(i)}}, {Key: "empty", Value: []byte{}}, {Key: "none"}}}
					if i%2 == 0 {
						r.Key = noise(99, i)
					}
					sent = append(sent, r)
					if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
				tombstone := &kgo.Record{Key: []byte("k"), Timestamp: time.UnixMilli(1_750_000_000_000)}
				if err := cl.ProduceSync(t.Context(), tombstone).FirstErr(); err != nil {
					t.Fatal(err)
				}
				sent = append(sent, tombstone)
				got := n.consumeAll(t, topic, len(sent))
				for i, r := range got {
					sameRecord(t, i, r, sent[i])
				}
			})
		}
	}
}

func fnvOf(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum32()
}

func sameRecord(t *testing.T, i int, got, sent *kgo.Record) {
	t.Helper()
	if got.Offset != int64(i) {
		t.Fatalf("record %d came at offset %d", i, got.Offset)
	}
	if !bytes.Equal(got.Key, sent.Key) || !bytes.Equal(got.Value, sent.Value) || (got.Value == nil) != (sent.Value == nil) {
		t.Fatalf("record %d: key or value differ", i)
	}
	if !got.Timestamp.Equal(sent.Timestamp) {
		t.Fatalf("record %d: timestamp %v, sent %v", i, got.Timestamp, sent.Timestamp)
	}
	if len(got.Headers) != len(sent.Headers) {
		t.Fatalf("record %d: %d headers, sent %d", i, len(got.Headers), len(sent.Headers))
	}
	for h := range got.Headers {
		if got.Headers[h].Key != sent.Headers[h].Key || !bytes.Equal(got.Headers[h].Value, sent.Headers[h].Value) {
			t.Fatalf("record %d: header %d differs", i, h)
		}
	}
}

// A million records over eight partitions, by an idempotent producer: the same out, in the order of each partition.
func TestAMillionRecords(t *testing.T) {
	const total, partitions = 1_000_000, 8
	n := startNode(t, ottla.Config{})
	n.topic(t, "million", partitions)
	cl := n.client(t, kgo.DefaultProduceTopic("million"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(100_000))
	value := func(i int) []byte { return fmt.Appendf(nil, "%d-%x", i, fnvOf(fmt.Sprint(i))) }
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for i := range total {
		cl.Produce(ctx, &kgo.Record{Partition: int32(i % partitions), Value: value(i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil || ctx.Err() != nil {
		t.Fatal(err, context.Cause(ctx))
	}
	consumer := n.client(t, kgo.ConsumeTopics("million"))
	var next [partitions]int64
	for got := 0; got < total; {
		fs := consumer.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if r.Offset != next[r.Partition] {
				t.Fatalf("partition %d: offset %d, want %d", r.Partition, r.Offset, next[r.Partition])
			}
			if want := value(int(r.Offset)*partitions + int(r.Partition)); !bytes.Equal(r.Value, want) {
				t.Fatalf("partition %d, offset %d: %q, want %q", r.Partition, r.Offset, r.Value, want)
			}
			next[r.Partition]++
			got++
		})
	}
}

func TestRecordsAndTopicsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	first := startNode(t, ottla.Config{Data: dir})
	first.topic(t, "kept", 3, "retention.ms", "123456789")
	cl := first.client(t, kgo.DefaultProduceTopic("kept"))
	for i := range 100 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	closeNode(t, first.Node)
	second := startNode(t, ottla.Config{Data: dir})
	if got := second.consumeAll(t, "kept", 100); len(got) != 100 {
		t.Fatalf("%d records after the restart", len(got))
	}
	configs, err := second.admin(t).DescribeTopicConfigs(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "123456789" {
			t.Fatalf("retention.ms is %s after the restart", c.MaybeValue())
		}
	}
}
