package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// internal is the topic that variants configure, instead of the workload's own: one that exists as long as the broker.
	internal string
	// per is how many requests one unit is; 0: one.
	per int64
	// goalS is the seconds that ottla may take; 0: they are not judged.
	goalS float64
}

// measured are the variants that take part.
func (w *workload) measured() []variant {
	if !*alone {
		return w.variants
	}
	return slices.DeleteFunc(slices.Clone(w.variants), func(v variant) bool { return v.broker == apacheKafka })
}

// work is what a run did.
type work struct {
	bytes, requests int64
	counted         span // the part of the run that counts; zero: all of it
}

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
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, goalS: 1, run: createTopics{topics: 100, partitions: 100}.run},
	{name: "topic-wide", what: "10,000 partitions in one topic created, described and deleted", unit: "request",
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, goalS: 1, run: createTopics{topics: 1, partitions: 10_000}.run},
	{name: "topics-many", what: "10,000 topics of one partition created, described and deleted", unit: "request",
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, goalS: 1, run: createTopics{topics: 10_000, partitions: 1}.run},
	{name: "groups", what: "1,000 groups of 5 members that commit once a second and send heartbeats every 3 s, a connection each", unit: "1,000 commits", per: 1000, partitions: 5,
		internal: offsetsTopic, variants: bothDurabilities, comparisons: atBothDurabilities(0.3), run: commits{groups: 1000, size: 5, seconds: 20}.run},
	{name: "groups-pooled", what: "the same over 50 connections", unit: "1,000 commits", per: 1000, partitions: 5,
		internal: offsetsTopic, variants: bothDurabilities, comparisons: atBothDurabilities(0.3), run: commits{groups: 1000, size: 5, seconds: 20, conns: 50}.run},
	{name: "big-group", what: "500 members join one group at once, heartbeats every 500 ms, until all hold an assignment of one generation", unit: "group",
		variants: []variant{kafkaDefault, ottlaDefault}, comparisons: []comparison{{ottlaDefault, kafkaDefault, 1}}, goalS: 3, run: crowd{size: 500, interval: 500 * time.Millisecond}.run},
	{name: "load-offsets", what: "a node with 1,000,000 offsets of 1,000 groups, 10 to a commit, started until every group answers", unit: "start",
		variants: []variant{ottlaDefault}, goalS: 2, run: loadOffsets{groups: 1000, partitions: 1000, each: 10}.run},
	{name: "load-commits", what: "the same with an offset to a commit", unit: "start",
		variants: []variant{ottlaDefault}, goalS: 2, run: loadOffsets{groups: 1000, partitions: 1000, each: 1}.run},
}

// measured is one run's figures.
type measured struct {
	CPUPerUnit float64 `json:"cpuSecondsPerUnit"`
	Seconds    float64 `json:"seconds"`
	MBPerS     float64 `json:"mbPerSecond,omitempty"`
	RSSMB      float64 `json:"rssMB"`
}

// measure runs w once on b, over a topic of its own that is gone afterwards.
func measure(ctx context.Context, b broker, w workload, v variant) (_ measured, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return measured{}, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	config := v.config
	if w.internal != "" {
		config = nil
		restore, err := configure(ctx, admin, b, w.internal, v.config)
		if err != nil {
			return measured{}, err
		}
		defer restore(&err)
	}
	if w.partitions > 0 {
		if _, err := admin.CreateTopic(ctx, w.partitions, 1, config, topic); err != nil {
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

// configure sets what a variant wants of an internal topic; restore takes it back.
func configure(ctx context.Context, admin *kadm.Client, b broker, topic string, config map[string]*string) (restore func(*error), err error) {
	alter := func(op kadm.IncrementalOp) error {
		var changes []kadm.AlterConfig
		for name, value := range config {
			changes = append(changes, kadm.AlterConfig{Op: op, Name: name, Value: value})
		}
		if len(changes) == 0 {
			return nil
		}
		altered, err := admin.AlterTopicConfigs(ctx, changes, topic)
		if err != nil {
			return err
		}
		_, err = altered.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
		return err
	}
	if err := awaitCoordinator(ctx, b.address); err != nil {
		return nil, err
	}
	return func(to *error) { *to = errors.Join(*to, alter(kadm.DeleteConfig)) }, alter(kadm.SetConfig)
}

// counted runs w and makes figures of it.
func counted(ctx context.Context, b broker, w workload, topic string) (measured, error) {
	var did work
	all, err := spent(b, func() (err error) {
		did, err = w.run(ctx, b, topic)
		return err
	})
	if err != nil {
		return measured{}, err
	}
	if did.counted == (span{}) {
		did.counted = all
	}
	units := float64(did.bytes) / 1e9
	if did.bytes == 0 {
		units = float64(did.requests) / float64(max(w.per, 1))
	}
	s := did.counted
	return measured{CPUPerUnit: s.cpuS / units, Seconds: s.seconds, MBPerS: float64(did.bytes) / 1e6 / s.seconds, RSSMB: s.rssMB}, nil
}
