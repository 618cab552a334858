package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type brokerKind int

const (
	ottla brokerKind = iota
	apacheKafka
)

// variant is a broker with the topic configuration that it is measured with.
type variant struct {
	name   string
	broker brokerKind
	config map[string]*string
}

func value(s string) *string { return &s }

// As they come; and each at the other's durability.
var (
	ottlaDefault = variant{"ottla", ottla, nil}
	ottlaMemory  = variant{"ottla in memory", ottla, map[string]*string{"ottla.durability": value("memory")}}
	kafkaDefault = variant{"kafka", apacheKafka, nil}
	kafkaDurable = variant{"kafka durable", apacheKafka, map[string]*string{"flush.messages": value("1")}}
)

// comparison is a ratio that a workload is judged by: the first's cost over the second's, and what it should be at most.
type comparison struct {
	ours, theirs variant
	goal         float64
}

// workload is one kind of load.
type workload struct {
	name, what  string
	unit        string // what the cost is per
	variants    []variant
	comparisons []comparison
	// run loads b and tells what it did.
	run func(ctx context.Context, b broker, topic string) (work, error)
	// partitions is how many the topic has; 0: no topic is made.
	partitions int32
	// fill is how many bytes are produced before the cost is counted.
	fill int
}

// work is what a run did.
type work struct{ bytes, requests int64 }

var bothDurabilities = []variant{kafkaDefault, ottlaDefault, ottlaMemory, kafkaDurable}

func atBothDurabilities(goal float64) []comparison {
	return []comparison{{ottlaMemory, kafkaDefault, goal}, {ottlaDefault, kafkaDurable, goal}, {ottlaDefault, kafkaDefault, goal}}
}

var workloads = []workload{
	{name: "produce-128k", what: "batches of 128 KiB, 1 connection, 5 in flight, acks=all", unit: "GB", partitions: 1,
		variants: bothDurabilities, comparisons: atBothDurabilities(0.5), run: produce{batch: 128 << 10, conns: 1, depth: 5, bytes: 512e6}.run},
	{name: "produce-16k", what: "batches of 16 KiB, 4 connections, 5 in flight, 8 partitions, acks=all", unit: "GB", partitions: 8,
		variants: bothDurabilities, comparisons: atBothDurabilities(0.4), run: produce{batch: 16 << 10, conns: 4, depth: 5, bytes: 128e6}.run},
	{name: "produce-1k", what: "batches of 1 KB, 10 connections, 5 in flight, 10 partitions, acks=all", unit: "GB", partitions: 10,
		variants: bothDurabilities, comparisons: atBothDurabilities(0.35), run: produce{batch: 1000, conns: 10, depth: 5, bytes: 16e6}.run},
	{name: "fetch-cached", what: "256 MB read 4 times from the page cache, 1 connection", unit: "GB", partitions: 1, fill: 256e6,
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, run: fetch{passes: 4}.run},
	{name: "topics", what: "10,000 partitions in 100 topics created, described and deleted", unit: "request",
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, run: createTopics{topics: 100, partitions: 100}.run},
}

// measured is one run's figures.
type measured struct {
	CPUPerUnit float64 `json:"cpuSecondsPerUnit"`
	Seconds    float64 `json:"seconds"`
	MBPerS     float64 `json:"mbPerSecond,omitempty"`
	RSSMB      float64 `json:"rssMB"`
}

// measure runs w once on b, over a topic of its own that is gone afterwards.
func measure(ctx context.Context, b broker, w workload, v variant) (measured, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return measured{}, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	if w.partitions > 0 {
		if _, err := admin.CreateTopic(ctx, w.partitions, 1, v.config, topic); err != nil {
			return measured{}, err
		}
	}
	if w.fill > 0 {
		if _, err := (produce{batch: 128 << 10, conns: 1, depth: 5, bytes: float64(w.fill)}).run(ctx, b, topic); err != nil {
			return measured{}, err
		}
	}
	m, err := counted(ctx, b, w, topic)
	if err != nil || w.partitions == 0 {
		return m, err
	}
	_, err = admin.DeleteTopic(ctx, topic)
	return m, err
}

// counted runs w between two looks at what b has used.
func counted(ctx context.Context, b broker, w workload, topic string) (measured, error) {
	before, err := usageOf(b)
	if err != nil {
		return measured{}, err
	}
	began := time.Now()
	did, err := w.run(ctx, b, topic)
	if err != nil {
		return measured{}, err
	}
	seconds := time.Since(began).Seconds()
	after, err := usageOf(b)
	if err != nil {
		return measured{}, err
	}
	units := float64(did.bytes) / 1e9
	if did.bytes == 0 {
		units = float64(did.requests)
	}
	return measured{CPUPerUnit: (after.cpuS - before.cpuS) / units, Seconds: seconds, MBPerS: float64(did.bytes) / 1e6 / seconds, RSSMB: after.rssMB}, nil
}
