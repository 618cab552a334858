package purgatory

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol"
)

// modelList and modelWaiter say in the plainest way what List and Waiter do.
type modelList struct {
	offset  protocol.Offset
	visible int64
	failed  bool
}

type modelCondition struct {
	list    int
	bytes   bool
	at      protocol.Offset
	outcome Reason
}

type modelWaiter struct {
	conditions []modelCondition
	short      int64
	ready      bool
	deadline   time.Time
	reason     Reason
}

func (m *modelWaiter) settle() {
	if m.reason != Waiting {
		return
	}
	done, reason := m.ready && m.short <= 0, Reached
	for _, c := range m.conditions {
		switch {
		case c.bytes && c.outcome == Failed:
			m.reason = Failed
			return
		case !c.bytes && c.outcome == Waiting:
			done = false
		case c.outcome == Failed:
			reason = Failed
		}
	}
	if done {
		m.reason = reason
	}
}

// TestAgainstModel runs random calls on one goroutine in virtual time and compares every waiter with the model after each.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func runModel(t *testing.T, r *rand.Rand) {
	const waiters, lists = 12, 4
	p := New()
	var real [lists]List
	var model [lists]modelList
	var ws [waiters]*Waiter
	var ms [waiters]*modelWaiter
	var bells [waiters]*bell
	each := func(f func(m *modelWaiter, c *modelCondition)) {
		for _, m := range ms {
			if m == nil {
				continue
			}
			for i := range m.conditions {
				f(m, &m.conditions[i])
			}
			m.settle()
		}
	}
	for i := range ws {
		ws[i] = new(Waiter)
	}
	for range 400 {
		l := r.IntN(lists)
		switch r.IntN(10) {
		case 0, 1, 2, 3:
			n := int64(r.IntN(20))
			to := model[l].offset + protocol.Offset(r.IntN(4)) - 1
			real[l].Advance(to, n)
			if model[l].failed || to > model[l].offset {
				model[l].offset = to
			}
			model[l].failed = false
			model[l].visible += n
			each(func(m *modelWaiter, c *modelCondition) {
				switch {
				case c.list != l || c.outcome != Waiting:
				case c.bytes:
					m.short -= n
				case model[l].offset >= c.at:
					c.outcome = Reached
				}
			})
		case 4:
			if r.IntN(4) > 0 {
				continue
			}
			real[l].Fail()
			model[l].failed = true
			each(func(m *modelWaiter, c *modelCondition) {
				if c.list == l && c.outcome == Waiting {
					c.outcome = Failed
				}
			})
		case 5, 6:
			time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
			synctest.Wait()
			for _, m := range ms {
				if m != nil && m.reason == Waiting && time.Since(m.deadline) >= 0 {
					m.reason = Expired
				}
			}
		default:
			i := r.IntN(waiters)
			if ms[i] != nil {
				finishAndCompare(t, ws[i], ms[i], bells[i])
				ms[i] = nil
				continue
			}
			bells[i] = newBell()
			ms[i] = startRandom(p, ws[i], bells[i], &real, &model, r)
		}
		for i, m := range ms {
			if m == nil {
				continue
			}
			if got, want := bells[i].rings.Load() == 1, m.reason != Waiting; got != want {
				t.Fatalf("waiter %d: fired %t, the model says %t (%+v)", i, got, want, *m)
			}
		}
	}
	for i, m := range ms {
		if m != nil {
			finishAndCompare(t, ws[i], m, bells[i])
		}
	}
	nothingIsLinked(t, p, &real[0], &real[1], &real[2], &real[3])
}

// startRandom starts w with random conditions; some were noted a moment before their list moved on. Deadlines stand on ticks, where the wheel is exact.
func startRandom(p *Purgatory, w *Waiter, b *bell, real *[4]List, model *[4]modelList, r *rand.Rand) *modelWaiter {
	wait := time.Duration(1+r.IntN(30)) * tick
	if r.IntN(8) == 0 {
		wait += 11 * time.Second // more than a turn of the wheel
	}
	m := &modelWaiter{deadline: p.wheel.epoch.Add(time.Since(p.wheel.epoch).Truncate(tick) + wait)}
	p.Start(w, b, m.deadline)
	for range r.IntN(5) {
		c := modelCondition{list: r.IntN(4), bytes: r.IntN(2) == 0}
		l := &model[c.list]
		if l.failed {
			c.outcome = Failed
		}
		if c.bytes {
			late := min(int64(r.IntN(5)), l.visible)
			w.Bytes(&real[c.list], l.visible-late)
			if !l.failed {
				m.short -= late
			}
		} else {
			c.at = l.offset + protocol.Offset(r.IntN(5)) - 1
			w.Offset(&real[c.list], c.at)
			if !l.failed && l.offset >= c.at {
				c.outcome = Reached
			}
		}
		m.conditions = append(m.conditions, c)
	}
	need := int64(r.IntN(30))
	m.short, m.ready = m.short+need, true
	w.Ready(need)
	m.settle()
	return m
}

func finishAndCompare(t *testing.T, w *Waiter, m *modelWaiter, b *bell) {
	t.Helper()
	if got := w.Finish(); got != m.reason {
		t.Fatalf("reason %d, the model says %d (%+v)", got, m.reason, *m)
	}
	if b.rings.Load() > 1 {
		t.Fatal("woken twice")
	}
	for i, c := range m.conditions {
		if got := w.Outcome(i); got != c.outcome {
			t.Fatalf("outcome of %d is %d, the model says %d (%+v)", i, got, c.outcome, *m)
		}
	}
}
