//go:build faults

package faults

import (
	"bytes"
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// bulk writes about so many bytes to a topic, spread over its partitions, in large batches.
func (n *node) bulk(topic string, partitions int32, size int64) {
	n.rig.Helper()
	cl := n.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1_000_000), kgo.MaxBufferedRecords(2000), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()), kgo.ProducerLinger(10*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	value := bytes.Repeat([]byte("bulk"), 25_000)
	for i := int64(0); i < size/int64(len(value)); i++ {
		cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i/8) % partitions, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel()
			}
		})
	}
	n.rig.must(cl.Flush(ctx), "fill %s", topic)
}

// bulkInBackground makes a topic and writes to it until the end that it gives back is called: segments roll all the time. What becomes of the records does not matter.
func (n *node) bulkInBackground(topic string, partitions int32) (end func()) {
	cl := n.client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchMaxBytes(500_000), kgo.MaxBufferedRecords(50), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DefaultProduceTopic(topic))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil && n.createTopic(topic, partitions, "segment.bytes", "1048576") != nil {
			elapse(50 * time.Millisecond)
		}
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			cl.Produce(ctx, &kgo.Record{Value: make([]byte, 100_000)}, func(*kgo.Record, error) {})
			<-pace.C
		}
	}()
	return func() {
		cancel()
		cl.Close()
		<-done
	}
}
