package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// produce replays one encoded batch to the partitions of a topic in turn.
type produce struct {
	batch        int // bytes of the records of a batch
	conns, depth int
	bytes        float64 // in all, at scale 1
}

const recordBytes = 1000

func (p produce) run(ctx context.Context, b broker, topic string) (work, error) {
	raw := encodeBatch(p.batch)
	total := max(int64(p.bytes**scale)/int64(len(raw)), 1)
	partitions, err := partitionsOf(ctx, b, topic)
	if err != nil {
		return work{}, err
	}
	var requests [][]byte
	for i := range partitions {
		requests = append(requests, encodeProduce(topic, i, raw))
	}
	var sent atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for i := range p.conns {
		g.Go(func() error {
			return p.connection(ctx, b.address, requests, i, func() bool { return sent.Add(1) <= total })
		})
	}
	return work{bytes: total * int64(len(raw)), requests: total}, g.Wait()
}

// connection sends as long as more says so, p.depth requests ahead of the answers.
func (p produce) connection(ctx context.Context, address string, requests [][]byte, at int, more func() bool) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	window := make(chan struct{}, p.depth)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(window)
		for ; more(); at++ {
			select {
			case window <- struct{}{}:
			case <-ctx.Done():
				return nil // the reader tells why
			}
			if _, err := conn.Write(requests[at%len(requests)]); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		r := bufio.NewReaderSize(conn, 64<<10)
		for range window {
			if err := readProduced(r); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// produceVersion is one that both brokers know.
const produceVersion = 9

func encodeProduce(topic string, partition int32, raw []byte) []byte {
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, raw
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	r := kmsg.NewPtrProduceRequest()
	r.Version, r.Acks, r.TimeoutMillis, r.Topics = produceVersion, -1, 30000, append(r.Topics, rt)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, r, 0)
}

func readProduced(r *bufio.Reader) error {
	body, err := readFrame(r, nil)
	if err != nil {
		return err
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = produceVersion
	if err := resp.ReadFrom(body[1:]); err != nil { // one byte of header tags
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// readFrame reads a reply's body behind its correlation id, into buf if it is large enough.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:])) - 4
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// encodeBatch builds one batch of records of 1000 bytes, half random and half zero, as logs and JSON compress.
func encodeBatch(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	var records []byte
	n := 0
	for ; len(records)+recordBytes <= max(size, recordBytes+100); n++ {
		v := make([]byte, recordBytes)
		for i := range v {
			if i%16 < 8 {
				v[i] = byte(rng.Uint32())
			}
		}
		if size <= recordBytes {
			v = v[:size-100]
		}
		r := kmsg.Record{OffsetDelta: int32(n), Value: v}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of zero takes one byte
		records = r.AppendTo(records)
	}
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(n - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), Records: records}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}
