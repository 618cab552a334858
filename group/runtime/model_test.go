package runtime

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// story is a random life of one shard: operations, a high watermark that moves now and then, appends that fail, leaderships that change and take uncommitted records with
// them. What must hold is asked of the log alone, which knows nothing of machines.
type story struct {
	*rig
	p        *partition
	r        *rand.Rand
	leads    bool
	fails    bool
	epoch    protocol.LeaderEpoch
	begins   protocol.Offset // the log's end when the epoch began
	asked    int
	outcomes map[int][]string // answers by operation
	order    []int            // operations committed, as they were answered
	writes   map[int]bool     // operations that had records
}

// increment adds one to a counter, and writes its own number beside it: so each record depends on the state that it was decided on.
func (s *story) increment() {
	id := s.asked
	s.asked++
	key := strconv.Itoa(s.r.IntN(4))
	size := s.r.IntN(3)
	answer := func(what string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.outcomes[id] = append(s.outcomes[id], what)
		if what == "ok" {
			s.order = append(s.order, id)
		}
	}
	write := s.Write
	if s.r.IntN(2) == 0 {
		write = s.WriteLater
	}
	write(0, func(m *toy, now time.Time) Effects {
		v, _ := m.values.Get(key)
		e := Effects{Committed: func() { answer("ok") }, Failed: func(err error) { answer(codeOf(err)) }}
		switch size {
		case 0: // nothing to write
		case 1:
			e.Records = []Record{{[]byte(key), strconv.AppendInt(nil, int64(counter(v)+1), 10)}, {fmt.Appendf(nil, "op %d", id), []byte(v)}}
		case 2:
			e.Records = []Record{{[]byte(key), nil}, {fmt.Appendf(nil, "op %d", id), []byte("deleted " + v)}}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writes[id] = len(e.Records) > 0
		return e
	}, func(err error) { answer(codeOf(err)) })
}

const lingering = time.Millisecond

func (s *story) step() {
	switch s.r.IntN(12) {
	case 0, 1, 2, 3, 4, 5:
		for range 1 + s.r.IntN(4) {
			s.increment()
		}
	case 6, 7:
		s.p.commit(s.p.boundary(s.r))
	case 8:
		if s.fails = !s.fails; s.fails {
			s.p.refuse(kerr.NotEnoughReplicas)
		} else {
			s.p.refuse(nil)
		}
	case 9:
		if s.r.IntN(4) == 0 {
			s.moveLeadership()
		}
	case 10:
		synctest.Wait()
		if s.leads {
			s.check()
		}
	case 11:
		time.Sleep(time.Duration(s.r.IntN(3)) * time.Millisecond)
	}
}

// boundary is a batch's end somewhere above the high watermark.
func (p *partition) boundary(r *rand.Rand) protocol.Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := p.high
	for _, b := range p.batches {
		if end := nextOffset(b); end > to && r.IntN(2) == 0 {
			to = end
		}
	}
	return to
}

func (s *story) moveLeadership() {
	s.epoch++
	keep := s.p.high
	if s.r.IntN(2) == 0 {
		keep = s.p.boundary(s.r)
	}
	s.p.moves(s.epoch, keep)
	s.begins = s.p.end
	if s.r.IntN(2) == 0 {
		s.Resign(0, s.epoch-1)
	}
	if s.leads = s.r.IntN(4) > 0; s.leads {
		s.Lead(0, s.epoch, term{s.p, s.epoch})
	} else {
		s.Resign(0, s.epoch)
	}
}

// check: the state is what the log says, and readers see what is committed.
func (s *story) check() {
	s.t.Helper()
	if s.p.high < s.begins {
		if got := s.refusal(0); got != "COORDINATOR_LOAD_IN_PROGRESS" {
			s.t.Fatalf("readers are answered %q, but %d is committed of what was loaded up to %d", got, s.p.high, s.begins)
		}
		return
	}
	now, committed, at := s.state(0)
	if want := replayed(s.p.records(s.t, s.p.end)); !maps.Equal(now, want) {
		s.t.Fatalf("the state is %v, the log says %v", now, want)
	}
	if at > s.p.high {
		s.t.Fatalf("readers see the state as of %d, %d is committed", at, s.p.high)
	}
	if want := replayed(s.p.records(s.t, s.p.high)); !maps.Equal(committed, want) {
		s.t.Fatalf("readers see %v as of %d, what is committed says %v", committed, at, want)
	}
}

// finish commits everything and checks the answers.
func (s *story) finish() {
	s.p.refuse(nil)
	time.Sleep(lingering)
	synctest.Wait()
	s.p.commit(s.p.end)
	synctest.Wait()
	if s.leads {
		s.check()
	}
	written := make(map[string]bool)
	for _, r := range s.p.records(s.t, s.p.end) {
		written[string(r.Key)] = true
	}
	for id := range s.asked {
		got := s.outcomes[id]
		if len(got) != 1 {
			s.t.Fatalf("operation %d was answered %q", id, got)
		}
	}
	// Those that wrote were answered in the order of questions, and are in the log.
	wrote := slices.DeleteFunc(slices.Clone(s.order), func(id int) bool { return !s.writes[id] })
	if !slices.IsSorted(wrote) {
		s.t.Fatalf("answered out of order: %d", wrote)
	}
	for _, id := range wrote {
		if !written[fmt.Sprintf("op %d", id)] {
			s.t.Fatalf("operation %d was answered, but is not in the log", id)
		}
	}
}

func TestRandomStories(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tell(t, seed) })
		})
	}
}

func tell(t *testing.T, seed uint64) {
	s := &story{rig: newRig(t, Options[*toy]{MaxBatch: 250, Workers: 2, Linger: lingering}), r: rand.New(rand.NewPCG(seed, 2)), leads: true, epoch: 1, outcomes: make(map[int][]string), writes: make(map[int]bool)}
	defer s.close()
	s.p = s.lead(0, 1)
	for range 400 {
		s.step()
	}
	s.finish()
}
