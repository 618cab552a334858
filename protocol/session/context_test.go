package session

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/wire"
)

func TestNextEpochWraps(t *testing.T) {
	for epoch, want := range map[int32]int32{0: 1, 1: 2, math.MaxInt32 - 1: math.MaxInt32, math.MaxInt32: 1} {
		if got := nextEpoch(epoch); got != want {
			t.Errorf("after %d comes %d", epoch, got)
		}
	}
}

func TestSessionWrapsItsEpoch(t *testing.T) {
	m := newMetadata()
	m.create("a", 1)
	c := NewCache(Options{Slots: 1, MaxPartitions: 10})
	f := fetch{version: 18, replica: -1, want: []wanted{{id: topicID(1)}}}
	x := c.mustBegin(t, f, m, 0)
	f.id, f.epoch, f.want = x.SessionID(), math.MaxInt32, nil
	x.End()
	c.sessions[f.id].epoch = math.MaxInt32
	c.mustBegin(t, f, m, 0).End()
	f.epoch = 1
	c.mustBegin(t, f, m, 0).End()
}

func TestSessionIDsArePositiveAndUnused(t *testing.T) {
	draws := []uint32{0, 1, 7 << 1, 7 << 1, 0, math.MaxUint32}
	c := NewCache(Options{Slots: 2, MaxPartitions: 10, Random: func() (n uint32) { n, draws = draws[0], draws[1:]; return n }})
	f := fetch{version: 18, replica: -1}
	for _, want := range []int32{7, math.MaxInt32} {
		if x := c.mustBegin(t, f, newMetadata(), 0); x.SessionID() != want {
			t.Errorf("id %d, want %d", x.SessionID(), want)
		}
	}
}

// What a request needs is copied: the frame may be overwritten while it waits.
func TestContextOutlivesTheFrame(t *testing.T) {
	m := newMetadata()
	m.create("known", 1)
	c := NewCache(Options{Slots: 10, MaxPartitions: 100})
	for _, epoch := range []int32{wire.FinalSessionEpoch, wire.InitialSessionEpoch} {
		var s wire.FetchScanner
		body := fetch{version: 12, replica: -1, epoch: epoch, want: []wanted{{name: "known"}, {name: "unknown", partition: 1}}}.body()
		if err := s.Reset(12, body); err != nil {
			t.Fatal(err)
		}
		x := new(Context)
		if err := c.Begin(x, &s, m, start); err != nil {
			t.Fatal(err)
		}
		for i := range body {
			body[i] = 0xee
		}
		var names []string
		x.Each(func(p *Partition) { names = append(names, p.Topic) })
		if got := strings.Join(names, " "); got != "known unknown" {
			t.Errorf("epoch %d: %q", epoch, got)
		}
		x.End()
	}
}

func TestContextLetsGoOfALargeRequest(t *testing.T) {
	f := fetch{version: 18, replica: -1, epoch: wire.FinalSessionEpoch}
	for i := range int32(keepPartitions + 1) {
		f.want = append(f.want, wanted{id: topicID(1), partition: i})
	}
	c := NewCache(Options{})
	x := c.mustBegin(t, f, newMetadata(), 0)
	if x.Len() != len(f.want) {
		t.Fatal(x.Len())
	}
	x.End()
	if cap(x.asked) > keepPartitions {
		t.Errorf("keeps room for %d", cap(x.asked))
	}
}

// Many goroutines share one cache, some of them one session: run with -race.
func TestCacheIsSafeForManyGoroutines(t *testing.T) {
	m := newMetadata()
	m.create("a", 1)
	c := NewCache(Options{Slots: 4, MaxPartitions: 64, MinEviction: time.Millisecond})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			x := new(Context)
			f := fetch{version: 18, replica: int32(g%3) - 1}
			for i := range 300 {
				f.want = []wanted{{id: topicID(1), partition: int32(i % 5)}}
				if err := c.Begin(x, f.scanner(t), m, start.Add(time.Duration(i)*time.Millisecond)); err != nil {
					f.id, f.epoch = 0, 0
					continue
				}
				x.Each(func(p *Partition) { x.Include(p, &wire.FetchResult{RecordsSize: i % 2}) })
				f.id = x.SessionID()
				x.End()
				if f.id != 0 {
					f.epoch++
				}
				if i%50 == 0 {
					f.id, f.epoch = 1+f.id/2, f.epoch+1 // a stranger's
				}
			}
		})
	}
	wg.Wait()
	c.check(t)
}

// steady is one request over and over, with an answer for each partition.
type steady struct {
	c       *Cache
	m       *metadata
	x       Context
	s       wire.FetchScanner
	f       fetch
	body    []byte
	result  wire.FetchResult
	include func(*Partition)
}

func newSteady(t testing.TB, version int16, partitions int) *steady {
	st := &steady{m: newMetadata(), c: NewCache(Options{Slots: 10, MaxPartitions: 1 << 20}), result: wire.FetchResult{PreferredReadReplica: protocol.NoBroker}}
	st.include = func(p *Partition) { st.x.Include(p, &st.result) }
	st.m.create("topic", 1)
	st.f = fetch{version: version, replica: -1}
	for i := range partitions {
		w := wanted{name: "topic", partition: int32(i)}
		if version >= topicIDVersion {
			w.name, w.id = "", topicID(1)
		}
		st.f.want = append(st.f.want, w)
	}
	return st
}

func (st *steady) sessionless() {
	st.f.epoch = wire.FinalSessionEpoch
	st.body = st.f.body()
}

func (st *steady) incremental(t testing.TB) {
	st.body = st.f.body()
	st.request(t)
	st.f.id, st.f.want = 1, nil
	for id := range st.c.sessions {
		st.f.id = id
	}
	st.f.epoch = 1
	st.body = st.f.body()
}

const epochAt = 4 + 4 + 4 + 1 + 4 // in the body of a Fetch request v15+: max wait, min bytes, max bytes, isolation, session id

func (st *steady) nextEpoch() { st.body[epochAt+3]++; st.carry() }

func (st *steady) carry() {
	for i := epochAt + 3; i > epochAt && st.body[i] == 0; i-- {
		st.body[i-1]++
	}
}

func (st *steady) request(t testing.TB) {
	if err := st.s.Reset(st.f.version, st.body); err != nil {
		t.Fatal(err)
	}
	if err := st.c.Begin(&st.x, &st.s, st.m, start); err != nil {
		t.Fatal(err)
	}
	st.x.Each(st.include)
	st.x.End()
}

func TestSteadyFetchesAllocateNothing(t *testing.T) {
	for _, version := range []int16{4, 11, 12, 13, 18} {
		st := newSteady(t, version, 100)
		st.sessionless()
		if n := testing.AllocsPerRun(100, func() { st.request(t) }); n != 0 {
			t.Errorf("version %d without a session: %v allocations", version, n)
		}
	}
	st := newSteady(t, 18, 100)
	st.incremental(t)
	st.result.RecordsSize = 1
	if n := testing.AllocsPerRun(1000, func() { st.request(t); st.nextEpoch() }); n != 0 {
		t.Errorf("incremental: %v allocations", n)
	}
}

func BenchmarkSessionless(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			st := newSteady(b, 12, n)
			st.sessionless()
			b.ReportAllocs()
			for b.Loop() {
				st.request(b)
			}
		})
	}
}

func BenchmarkIncremental(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			st := newSteady(b, 18, n)
			st.incremental(b)
			b.ReportAllocs()
			for b.Loop() {
				st.request(b)
				st.nextEpoch()
			}
		})
	}
}
