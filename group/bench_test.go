package group

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/group/classic"
	"ottla/group/runtime"
	"ottla/log/timeline"
	"ottla/protocol"
)

// bench drives one shard by hand: its log is a slice, its time stands still until it is moved, and records are committed at once unless they are held.
type bench struct {
	t        testing.TB
	c        *Coordinator
	topics   *fakeTopics
	shard    *Shard
	timeline *timeline.Timeline
	now      time.Time
	log      []runtime.Record
	parked   []parkedEffects
	hold     bool
	failing  error // what appends fail with, nil if they do not
	ids      int
	// wrote is called with records that were appended.
	wrote func(at int, r runtime.Record)
}

type parkedEffects struct {
	end     int // the length of the log that has to be committed
	effects runtime.Effects
}

// epoch is when benches begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newBench(t testing.TB, s Settings) *bench {
	b := &bench{t: t, now: epoch, topics: newFakeTopics()}
	newID := func() string { b.ids++; return fmt.Sprint("id", b.ids) }
	b.c = &Coordinator{Options: Options{Settings: s, Topics: b.topics, NewID: newID}, shards: b}
	b.load()
	return b
}

// load makes the shard anew from what is committed: another broker has taken over, or this one has started again.
func (b *bench) load() {
	if b.shard != nil {
		b.shard.Close(kerr.NotCoordinator)
		for _, p := range b.parked {
			if p.effects.Failed != nil {
				p.effects.Failed(kerr.NotCoordinator)
			}
		}
		b.log = b.log[:b.committed()]
		b.parked = nil
	}
	b.shard, b.timeline = b.replay()
	b.do(b.shard.Loaded(b.now))
}

func (b *bench) replay() (*Shard, *timeline.Timeline) {
	t := timeline.New()
	s := NewShard(b.c.Settings, b.topics, b.c.NewID, t)
	for at, r := range b.log {
		if err := s.Apply(protocol.Offset(at), lent(r)); err != nil {
			b.t.Fatal(err)
		}
	}
	t.Mark(int64(len(b.log)))
	return s, t
}

// lent is a copy of a record that nobody may keep: it is overwritten when it was applied.
func lent(r runtime.Record) runtime.Record {
	return runtime.Record{Key: slices.Clone(r.Key), Value: slices.Clone(r.Value)}
}

func (b *bench) committed() int {
	if len(b.parked) == 0 {
		return len(b.log)
	}
	return int(b.timeline.Committed())
}

func (b *bench) Write(_ int32, decide func(*Shard, time.Time) runtime.Effects, _ func(error)) {
	b.do(decide(b.shard, b.now))
	b.expire()
}

func (b *bench) WriteLater(shard int32, decide func(*Shard, time.Time) runtime.Effects, failed func(error)) {
	b.Write(shard, decide, failed)
}

func (b *bench) Touch(_ int32, touch func(*Shard, time.Time), _ func(error)) {
	touch(b.shard, b.now)
	b.expire()
}

func (b *bench) Read(_ int32, read func(*Shard, protocol.Offset, time.Time), _ func(error)) {
	read(b.shard, protocol.Offset(b.timeline.Committed()), b.now)
}

func (b *bench) ReadAll(read func(int32, *Shard, protocol.Offset, time.Time), done func(error)) {
	read(0, b.shard, protocol.Offset(b.timeline.Committed()), b.now)
	done(nil)
}

func (b *bench) do(e runtime.Effects) {
	if len(e.Records) == 0 {
		if e.Committed != nil {
			e.Committed()
		}
		return
	}
	next := len(b.log)
	size := 0
	for n, r := range e.Records {
		if size += len(r.Key) + len(r.Value) + 32; size > 1<<20-1<<10 {
			b.t.Fatalf("the runtime would not append %d records", len(e.Records))
		}
		l := lent(r)
		if err := b.shard.Apply(protocol.Offset(next+n), l); err != nil {
			b.t.Fatal(err)
		}
		for _, lentBytes := range [][]byte{l.Key, l.Value} {
			for i := range lentBytes {
				lentBytes[i] = 0xff
			}
		}
	}
	if b.failing != nil {
		b.timeline.Revert(int64(next))
		if e.Failed != nil {
			e.Failed(b.failing)
		}
		return
	}
	for n, r := range e.Records {
		b.log = append(b.log, r)
		if b.wrote != nil {
			b.wrote(next+n, r)
		}
	}
	b.timeline.Mark(int64(len(b.log)))
	b.parked = append(b.parked, parkedEffects{len(b.log), e})
	if !b.hold {
		b.commit()
	}
}

// commit lets the high watermark reach the log's end.
func (b *bench) commit() {
	b.timeline.Forget(int64(len(b.log)))
	parked := b.parked
	b.parked = nil
	for _, p := range parked {
		if p.effects.Committed != nil {
			p.effects.Committed()
		}
	}
}

// expire does what is due.
func (b *bench) expire() {
	for range 10_000 {
		d := b.shard.Deadline()
		if d.IsZero() || d.After(b.now) {
			return
		}
		b.do(b.shard.Expire(b.now))
	}
	b.t.Fatal("the deadline does not move")
}

// advance moves time.
func (b *bench) advance(d time.Duration) {
	until := b.now.Add(d)
	for {
		next := b.shard.Deadline()
		if next.IsZero() || next.After(until) {
			b.now = until
			return
		}
		if next.After(b.now) {
			b.now = next
		}
		b.expire()
	}
}

// checkReplay compares the state with what its log gives to a new coordinator.
func (b *bench) checkReplay() {
	b.t.Helper()
	if len(b.parked) > 0 {
		return
	}
	live, replayed := b.dump(b.shard), ""
	s, _ := b.replay()
	s.Loaded(b.now)
	replayed = b.dump(s)
	if live != replayed {
		b.t.Fatalf("live:\n%s\nreplayed:\n%s", live, replayed)
	}
	at := protocol.Offset(len(b.log))
	for id := range s.groups.IDs() {
		now, _ := b.shard.groups.View(at, id)
		then, _ := s.groups.View(at, id)
		if now.State == "Stable" && len(now.Members) <= b.c.Settings.MaxSize && !reflect.DeepEqual(lasting(now), lasting(then)) {
			b.t.Fatalf("group %s is stable and not what the log says:\n%+v\n%+v", id, lasting(now), lasting(then))
		}
	}
}

// lasting is what a log must say of a stable group.
func lasting(v classic.View) classic.View {
	v.Rebalance, v.Pending, v.Until, v.Since = classic.Rebalance{}, nil, time.Time{}, time.Time{}
	for n := range v.Members {
		v.Members[n].Joined, v.Members[n].Heard, v.Members[n].Joining = time.Time{}, time.Time{}, time.Time{}
		v.Members[n].Assignment = append([]byte{}, v.Members[n].Assignment...)
	}
	return v
}

// dump is a shard's replayed state.
func (b *bench) dump(s *Shard) string {
	var out strings.Builder
	at := protocol.Offset(len(b.log))
	for _, id := range slices.Sorted(s.groups.IDs()) {
		fmt.Fprintf(&out, "group %s %s\n", id, s.groups.Image(id))
		for _, p := range s.partitions(at, id) {
			fmt.Fprintf(&out, "  %s %+v\n", p.TopicPartition, p.Committed)
		}
	}
	return out.String()
}

// fakeTopics are the topics of a bench: one partition each of which something is known.
type fakeTopics struct {
	ids        map[string]protocol.TopicID
	bounds     map[protocol.TopicPartition][2]protocol.Offset
	timestamps map[protocol.TopicPartition]int64
}

func newFakeTopics() *fakeTopics {
	return &fakeTopics{ids: map[string]protocol.TopicID{}, bounds: map[protocol.TopicPartition][2]protocol.Offset{}, timestamps: map[protocol.TopicPartition]int64{}}
}

func (f *fakeTopics) ID(name string) (protocol.TopicID, bool) { id, ok := f.ids[name]; return id, ok }

func (f *fakeTopics) Name(id protocol.TopicID) (string, bool) {
	for name, i := range f.ids {
		if i == id {
			return name, true
		}
	}
	return "", false
}

func (f *fakeTopics) Bounds(tp protocol.TopicPartition) (start, end protocol.Offset, known bool) {
	b, ok := f.bounds[tp]
	return b[0], b[1], ok
}

func (f *fakeTopics) Timestamp(tp protocol.TopicPartition, _ protocol.Offset) (int64, error) {
	return f.timestamps[tp], nil
}

func (f *fakeTopics) GroupPartitions() int32 { return 1 }
