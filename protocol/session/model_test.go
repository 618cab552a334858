package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/wire"

	"github.com/twmb/franz-go/pkg/kerr"
)

// model is what the cache must do, said as plainly as possible: no slots, no index, no reuse.
type model struct {
	sessions map[int32]*modelSession
}

type modelSession struct {
	epoch      int32
	byID       bool
	inUse      bool
	partitions []modelPartition
}

type modelPartition struct {
	wanted
	highWatermark protocol.Offset
}

func (p modelPartition) is(w wanted) bool {
	return p.name == w.name && p.id == w.id && p.partition == w.partition
}

func apply(partitions []modelPartition, f fetch) []modelPartition {
	for _, w := range f.want {
		if i := slices.IndexFunc(partitions, func(p modelPartition) bool { return p.is(w) }); i >= 0 {
			partitions[i].offset = w.offset
		} else {
			partitions = append(partitions, modelPartition{w, -1})
		}
	}
	for _, w := range f.drop {
		partitions = slices.DeleteFunc(partitions, func(p modelPartition) bool { return p.is(w) })
	}
	return partitions
}

// begin gives the session (nil: none), the partitions in order and the error. newID is what the cache gave to a new session; 0 if it made none.
func (m *model) begin(f fetch, newID int32) (*modelSession, []modelPartition, error) {
	if f.epoch == 0 || f.epoch == -1 {
		delete(m.sessions, f.id)
		asWished := f
		asWished.drop = nil
		s := &modelSession{epoch: 1, byID: f.version >= 13, inUse: true, partitions: apply(nil, asWished)}
		if newID == 0 {
			return nil, plain(f), nil
		}
		m.sessions[newID] = s
		return s, s.partitions, nil
	}
	s := m.sessions[f.id]
	switch {
	case s == nil:
		return nil, nil, kerr.FetchSessionIDNotFound
	case s.inUse:
		return nil, nil, ErrInUse
	case s.epoch != f.epoch:
		return nil, nil, kerr.InvalidFetchSessionEpoch
	case s.byID != (f.version >= 13):
		return nil, nil, kerr.FetchSessionTopicIDError
	}
	if s.partitions = apply(s.partitions, f); len(s.partitions) == 0 {
		delete(m.sessions, f.id)
		return nil, plain(f), nil
	}
	s.epoch++
	s.inUse = true
	return s, s.partitions, nil
}

func plain(f fetch) (all []modelPartition) {
	for _, w := range f.want {
		all = append(all, modelPartition{wanted: w})
	}
	return all
}

// running is a request between its begin and its end, in both worlds.
type running struct {
	x           *Context
	session     *modelSession
	incremental bool
}

type world struct {
	t     *testing.T
	r     *rand.Rand
	cache *Cache
	model *model
	m     *metadata
	runs  []running
	next  map[int32]int32 // the epoch that a client would send next
	spare []*Context
}

// TestCacheBehavesAsTheModel runs random clients, several at a time, good and bad, against cache and model.
func TestCacheBehavesAsTheModel(t *testing.T) {
	for seed := range uint64(20) {
		w := &world{
			t: t, r: rand.New(rand.NewPCG(seed, 1)), cache: NewCache(Options{Slots: 1000, MaxPartitions: 1 << 20, MinEviction: time.Minute, Random: counting()}),
			model: &model{sessions: make(map[int32]*modelSession)}, m: newMetadata(), next: make(map[int32]int32),
		}
		for i, name := range []string{"a", "b", "c"} {
			w.m.create(name, byte(i+1))
		}
		for range 1500 {
			if len(w.runs) > 0 && w.r.IntN(2) == 0 {
				w.end(w.r.IntN(len(w.runs)))
			} else {
				w.begin(w.request())
			}
			w.cache.check(t)
		}
		if len(w.cache.sessions) != len(w.model.sessions) {
			t.Fatalf("%d sessions, the model has %d", len(w.cache.sessions), len(w.model.sessions))
		}
	}
}

func (w *world) request() fetch {
	f := fetch{version: 12 + int16(w.r.IntN(2)), replica: -1}
	if w.r.IntN(20) == 0 {
		f.version = 6
		f.epoch = -1
	} else if w.r.IntN(5) > 0 && len(w.next) > 0 {
		f.id = 1 + w.r.Int32N(int32(len(w.next)))
		f.epoch = w.next[f.id]
		if s := w.model.sessions[f.id]; s != nil && w.r.IntN(30) > 0 {
			f.version = 12
			if s.byID {
				f.version = 13
			}
		}
	}
	if w.r.IntN(15) == 0 {
		f.epoch += w.r.Int32N(3) - 1
	}
	for range w.r.IntN(4) {
		f.want = append(f.want, w.partition(f.version))
	}
	if f.version >= 7 {
		for range w.r.IntN(3) {
			f.drop = append(f.drop, w.partition(f.version))
		}
	}
	if f.version < 7 {
		f.id, f.epoch = 0, -1
	}
	return f
}

func (w *world) partition(version int16) wanted {
	n := w.r.IntN(4)
	p := wanted{name: []string{"a", "b", "c", "unknown"}[n], partition: w.r.Int32N(3), offset: w.r.Int64N(100)}
	if version >= 13 {
		p.name, p.id = "", topicID(byte(n+1))
	}
	return p
}

func (w *world) begin(f fetch) {
	x := new(Context)
	if n := len(w.spare); n > 0 {
		x, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	err := w.cache.Begin(x, f.scanner(w.t), w.m, start)
	newID := int32(0)
	if f.epoch == 0 {
		newID = x.SessionID()
	}
	session, partitions, want := w.model.begin(f, newID)
	if err != want || (session == nil) != (x.SessionID() == 0) {
		w.t.Fatalf("%+v: session %d, %v; the model says %v", f, x.SessionID(), err, want)
	}
	w.sameOrder(f.version >= 13, x, partitions)
	switch {
	case err != nil:
		w.spare = append(w.spare, x)
		return
	case newID != 0:
		w.next[newID] = 1
	case session != nil:
		w.next[f.id]++
	}
	w.runs = append(w.runs, running{x: x, session: session, incremental: session != nil && newID == 0})
}

func (w *world) sameOrder(byID bool, x *Context, want []modelPartition) {
	i := 0
	x.Each(func(p *Partition) {
		if i >= len(want) || p.Index != want[i].partition || int64(p.FetchOffset) != want[i].offset || byID && p.ID != want[i].id || !byID && p.Topic != want[i].name {
			w.t.Fatalf("%d: %+v, want %+v", i, p, want)
		}
		i++
	})
	if i != len(want) || x.Len() != i {
		w.t.Fatalf("%d partitions, Len %d, want %d", i, x.Len(), len(want))
	}
}

// end answers a request with random news and compares what is included.
func (w *world) end(i int) {
	run := w.runs[i]
	w.runs = slices.Delete(w.runs, i, i+1)
	var moved []modelPartition
	n := 0
	run.x.Each(func(p *Partition) {
		r := wire.FetchResult{PreferredReadReplica: protocol.NoBroker, HighWatermark: protocol.Offset(w.r.IntN(2)), RecordsSize: max(0, w.r.IntN(5)-3), LogStart: -1}
		got, want := run.x.Include(p, &r), true
		if run.session != nil {
			known := &run.session.partitions[n]
			want = !run.incremental || r.RecordsSize > 0 || known.highWatermark != r.HighWatermark
			if known.highWatermark = r.HighWatermark; run.incremental && r.RecordsSize > 0 {
				moved = append(moved, *known)
			}
		}
		if got != want {
			w.t.Fatalf("partition %d: included %t", n, got)
		}
		n++
	})
	run.x.End()
	w.spare = append(w.spare, run.x)
	if run.session == nil {
		return
	}
	run.session.inUse = false
	for _, m := range moved {
		all := run.session.partitions
		i := slices.IndexFunc(all, func(p modelPartition) bool { return p.is(m.wanted) })
		run.session.partitions = append(slices.Delete(all, i, i+1), m)
	}
}
