package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch reads a topic of one partition from its start, several times.
type fetch struct{ passes int }

func (f fetch) run(ctx context.Context, b broker, topic string) (work, error) {
	end, err := endOffset(ctx, b, topic)
	if err != nil {
		return work{}, err
	}
	var did work
	var buf []byte
	for range f.passes {
		conn, err := dial(ctx, b.address)
		if err != nil {
			return did, err
		}
		for at := int64(0); at < end; {
			if _, err := conn.Write(encodeFetch(topic, at)); err != nil {
				return did, err
			}
			if buf, err = readFrame(conn, buf); err != nil {
				return did, err
			}
			records, err := fetched(buf)
			if err != nil {
				return did, err
			}
			did.bytes += int64(len(records))
			did.requests++
			if at, err = behind(records, at); err != nil {
				return did, err
			}
		}
		if err := conn.Close(); err != nil {
			return did, err
		}
	}
	return did, nil
}

// fetchVersion is one that both brokers know, without flexible fields.
const fetchVersion = 11

func encodeFetch(topic string, at int64) []byte {
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.FetchOffset, fp.PartitionMaxBytes = at, 4<<20
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.Partitions = topic, append(ft.Partitions, fp)
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.SessionEpoch, q.Topics = fetchVersion, 8<<20, 1, 500, -1, append(q.Topics, ft)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, q, 1)
}

func fetched(body []byte) ([]byte, error) {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = fetchVersion
	if err := resp.UnsafeReadFrom(body); err != nil {
		return nil, err
	}
	p := &resp.Topics[0].Partitions[0]
	return p.RecordBatches, kerr.ErrorForCode(p.ErrorCode)
}

// behind is the offset after the last whole batch, of which there must be one.
func behind(records []byte, at int64) (int64, error) {
	next := at
	for len(records) > 61 {
		n := int(binary.BigEndian.Uint32(records[8:])) + 12
		if n > len(records) {
			break
		}
		next = int64(binary.BigEndian.Uint64(records)) + int64(binary.BigEndian.Uint32(records[23:])) + 1
		records = records[n:]
	}
	if next == at {
		return 0, fmt.Errorf("no whole batch at offset %d", at)
	}
	return next, nil
}

// createTopics makes topics and waits until their partitions have leaders; then it deletes them.
type createTopics struct{ topics, partitions int }

func (c createTopics) run(ctx context.Context, b broker, _ string) (work, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return work{}, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var names []string
	for i := range max(int(float64(c.topics)**scale), 1) {
		names = append(names, fmt.Sprintf("bench-%d-%d", time.Now().UnixNano(), i))
	}
	created, err := admin.CreateTopics(ctx, int32(c.partitions), 1, nil, names...)
	if err != nil {
		return work{}, err
	}
	if err := created.Error(); err != nil {
		return work{}, err
	}
	for led := false; !led; {
		md, err := admin.Metadata(ctx, names...)
		if err != nil {
			return work{}, err
		}
		led = true
		for _, t := range md.Topics {
			led = led && t.Err == nil && len(t.Partitions) == c.partitions
			for _, p := range t.Partitions {
				led = led && p.Err == nil && p.Leader >= 0
			}
		}
	}
	deleted, err := admin.DeleteTopics(ctx, names...)
	if err != nil {
		return work{}, err
	}
	return work{requests: 1}, deleted.Error()
}

func endOffset(ctx context.Context, b broker, topic string) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	end, _ := ends.Lookup(topic, 0)
	return end.Offset, end.Err
}

// partitionsOf waits until the leader of every partition answers for it, and gives how many there are.
func partitionsOf(ctx context.Context, b broker, topic string) (int32, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	for {
		ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err == nil && ends.Error() == nil && len(ends[topic]) > 0:
			return int32(len(ends[topic])), nil
		}
	}
}
