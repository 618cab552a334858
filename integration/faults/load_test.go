//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla/integration/faults/history"
)

// mode is how a producer of the load asks for acknowledgement.
type mode struct {
	idempotent bool // by franz-go, which retries through faults; the others are raw connections that never do
	acks       int16
	promised   bool // the faults of the case may not take back what was acknowledged
}

// everyMode is one producer of each kind, as a killed process may treat them: what acks=1 was told is in the page cache, which survives.
var everyMode = []mode{{idempotent: true, acks: -1, promised: true}, {acks: -1, promised: true}, {acks: 1, promised: true}, {acks: 0}}

// durableModes are those whose acknowledgements also a power cut may not take back, and acks=0 among them.
var durableModes = []mode{{idempotent: true, acks: -1, promised: true}, {acks: -1, promised: true}, {acks: 0}}

// load is producers and a reader of one topic, and the history that they write.
type load struct {
	rig   *rig
	node  *node
	topic string
	id    [16]byte
	parts int32
	run   uint64
	zero  time.Time // of the history's clock

	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	idem    []*kgo.Client
	reader  *kgo.Client

	mu    sync.Mutex
	ops   [][]*history.Op // by producer
	seen  []history.Session
	odd   []string
	acked atomic.Int64
}

func (n *node) client(opts ...kgo.Opt) *kgo.Client {
	n.rig.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.kafka), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.DialTimeout(2 * time.Second)}, opts...)...)
	n.rig.must(err, "client")
	return cl
}

// topic creates a topic with the given configs (KEY, VALUE, ...).
func (n *node) topic(name string, partitions int32, configs ...string) {
	n.rig.Helper()
	n.rig.must(n.createTopic(name, partitions, configs...), "create %s", name)
}

func (n *node) createTopic(name string, partitions int32, configs ...string) error {
	cl := n.client()
	defer cl.Close()
	m := map[string]*string{}
	for i := 0; i+1 < len(configs); i += 2 {
		m[configs[i]] = &configs[i+1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, 1, m, name)
	return err
}

func (n *node) deleteTopic(name string) {
	n.rig.Helper()
	cl := n.client()
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := kadm.NewClient(cl).DeleteTopics(ctx, name)
	n.rig.must(errors.Join(err, r.Error()), "delete %s", name)
}

// load starts a reader and a producer of each mode, on a topic that exists.
func (n *node) load(topic string, partitions int32, modes []mode) *load {
	n.rig.Helper()
	l := &load{rig: n.rig, node: n, topic: topic, parts: partitions, run: n.rig.rnd.Uint64(), zero: time.Now()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	n.rig.Cleanup(l.abandon)
	for i, m := range modes {
		l.ops = append(l.ops, nil)
		seed := n.rig.rnd.Uint64()
		if m.idempotent {
			cl := n.client(kgo.ProducerLinger(2*time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(500))
			l.idem = append(l.idem, cl)
			l.workers.Go(func() { l.produceIdempotent(cl, uint32(i), m, seed) })
			continue
		}
		l.workers.Go(func() { l.producePlain(uint32(i), m, seed) })
	}
	l.reader = n.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: fromStart(partitions)}), kgo.FetchMaxWait(100*time.Millisecond))
	l.workers.Go(func() { l.read(l.reader) })
	return l
}

func fromStart(partitions int32) map[int32]kgo.Offset {
	m := map[int32]kgo.Offset{}
	for p := range partitions {
		m[p] = kgo.NewOffset().At(0)
	}
	return m
}

func (l *load) now() int64 { return int64(time.Since(l.zero)) + 1 }

// send notes a new record of a producer before it is sent.
func (l *load) send(producer uint32, m mode, partition int32, size int) (*history.Op, []byte) {
	op := &history.Op{ID: history.ID{Producer: producer}, Partition: partition, Promised: m.promised, Offset: history.NoOffset, Invoke: l.now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	op.ID.Seq = uint64(len(l.ops[producer]))
	l.ops[producer] = append(l.ops[producer], op)
	return op, history.Value{Run: l.run, Topic: l.topic, Partition: partition, ID: op.ID}.Append(nil, size)
}

// told notes what was heard of a record.
func (l *load) told(op *history.Op, outcome history.Outcome, offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.Outcome, op.Offset, op.Done = outcome, offset, l.now()
	if outcome == history.OK {
		l.acked.Add(1)
	}
}

// waitAcked waits until n more records were acknowledged.
func (l *load) waitAcked(n int64) error {
	want := l.acked.Load() + n
	return poll(fmt.Sprintf("%d acknowledgements", n), func() bool { return l.acked.Load() >= want })
}

// read polls until the load ends. What the reader meets is one session: franz-go goes on where it was.
func (l *load) read(cl *kgo.Client) {
	s := history.Session{Name: "reader"}
	for {
		fs := cl.PollFetches(l.ctx)
		if fs.IsClientClosed() || l.ctx.Err() != nil {
			break
		}
		l.meet(&s, fs.Records())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, s)
}

// meet adds what was read to a session.
func (l *load) meet(s *history.Session, records []*kgo.Record) {
	for _, rec := range records {
		id, err := history.ParseValue(rec.Value, l.run, l.topic, rec.Partition)
		if err != nil {
			l.mu.Lock()
			l.odd = append(l.odd, fmt.Sprintf("partition %d offset %d: %v", rec.Partition, rec.Offset, err))
			l.mu.Unlock()
		}
		s.Reads = append(s.Reads, history.Read{Partition: rec.Partition, Offset: rec.Offset, ID: id})
	}
}

// halt stops producers and reader and waits for what is under way. The node must be up, or the idempotent producer waits in vain: after patience it is left unknown.
func (l *load) halt() {
	l.rig.Helper()
	l.cancel()
	l.workers.Wait()
	l.reader.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, cl := range l.idem {
		if err := cl.Flush(ctx); err != nil {
			l.rig.Errorf("stuck: an idempotent producer has not got rid of its records: %v", err)
		}
		cl.Close()
	}
}

// abandon ends the load whatever becomes of its records.
func (l *load) abandon() {
	l.cancel()
	for _, cl := range l.idem {
		cl.Close()
	}
	l.workers.Wait()
	if l.reader != nil {
		l.reader.Close()
	}
}

// history reads every partition to its end, but for those given, and puts everything together. The load is over.
func (l *load) history(except ...int32) *history.History {
	l.rig.Helper()
	h := &history.History{Ends: map[int32]int64{}, Final: history.Session{Name: "final"}}
	l.finalRead(h, except)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ops := range l.ops {
		for _, op := range ops {
			if !slices.Contains(except, op.Partition) {
				h.Ops = append(h.Ops, *op)
			}
		}
	}
	for _, s := range l.seen {
		s.Reads = slices.DeleteFunc(slices.Clone(s.Reads), func(r history.Read) bool { return slices.Contains(except, r.Partition) })
		h.Sessions = append(h.Sessions, s)
	}
	h.Strange = l.odd
	return h
}

// finalRead reads each partition from its start to where it ends now.
func (l *load) finalRead(h *history.History, except []int32) {
	l.rig.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := l.node.client()
	defer cl.Close()
	ends := l.settledEnds(ctx, kadm.NewClient(cl))
	from, left := fromStart(l.parts), 0
	for p := range l.parts {
		if slices.Contains(except, p) {
			delete(from, p)
			continue
		}
		o, _ := ends.Lookup(l.topic, p)
		l.rig.must(o.Err, "end offset of partition %d", p)
		h.Ends[p] = o.Offset
		if o.Offset > 0 {
			left++
		}
	}
	reader := l.node.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.topic: from}), kgo.FetchMaxWait(50*time.Millisecond), kgo.FetchMaxBytes(32<<20), kgo.KeepRetryableFetchErrors())
	defer reader.Close()
	for left > 0 {
		fs := reader.PollFetches(ctx)
		l.rig.must(ctx.Err(), "stuck: the final read misses %d partitions: %v", left, fs.Errors())
		for _, rec := range fs.Records() {
			if rec.Offset == h.Ends[rec.Partition]-1 {
				left--
			}
		}
		l.meet(&h.Final, slices.DeleteFunc(fs.Records(), func(rec *kgo.Record) bool { return rec.Offset >= h.Ends[rec.Partition] }))
	}
}

// settling is how long a record may be invisible that was acknowledged before it was flushed (acks=1); what has not shown up by then is lost.
const settling = 10 * time.Second

// settledEnds are the end offsets, once they are past everything that was promised, or after settling.
func (l *load) settledEnds(ctx context.Context, admin *kadm.Client) kadm.ListedOffsets {
	l.rig.Helper()
	want := l.promised()
	for began := time.Now(); ; elapse(10 * time.Millisecond) {
		ends, err := admin.ListEndOffsets(ctx, l.topic)
		l.rig.must(err, "end offsets")
		settled := true
		for p, end := range want {
			o, _ := ends.Lookup(l.topic, p)
			settled = settled && (o.Err != nil || o.Offset >= end)
		}
		if settled || time.Since(began) > settling {
			return ends
		}
	}
}

// promised is one past the last offset of each partition that an acknowledgement has promised.
func (l *load) promised() map[int32]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := map[int32]int64{}
	for _, ops := range l.ops {
		for _, op := range ops {
			if op.Outcome == history.OK && op.Promised {
				want[op.Partition] = max(want[op.Partition], op.Offset+1)
			}
		}
	}
	return want
}

// judge holds a history against all that a broker promises.
func (r *rig) judge(h *history.History) {
	r.Helper()
	r.outcome.Counts.Add(h.Counts())
	r.hear(history.Log(h), history.Order(h), history.Reads(h))
}

// hear fails the case for every verdict that objects.
func (r *rig) hear(verdicts ...history.Verdict) {
	r.Helper()
	for _, v := range verdicts {
		if !v.Valid() {
			r.outcome.Judges = append(r.outcome.Judges, v)
			r.Errorf("judge %s objects %d times: %q", v.Judge, v.Violations, v.Witnesses)
		}
	}
}
