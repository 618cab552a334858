package purgatory

import (
	"sync/atomic"
	"time"

	"ottla/protocol"
)

// Reason is why a Waiter, or one of its conditions, is over.
type Reason uint8

const (
	Waiting Reason = iota // nothing has happened yet
	Reached               // every offset was reached and enough bytes became visible
	Failed                // a list failed: leadership lost, partition deleted or truncated
	Expired               // the deadline came first
)

// Waiter is one parked reply; it lives in its caller's reusable state and must not be copied. The zero value is ready for Start.
//
// The order of calls is Start, any number of Offset and Bytes, Ready, and after the Wake (or without waiting for it) Finish; then it may be started again.
// Offset conditions are all awaited: one whose list fails is settled, the others go on, so that each partition of a Produce gets its own true answer
// (Outcome). A failing list of a Bytes condition fires the waiter at once: the reader then reads again and finds the error.
type Waiter struct {
	purgatory *Purgatory
	wake      Waker
	deadline  int64 // wheel tick, or noDeadline

	// state is the exactly-once switch. Its reason is set once, by whoever completes the waiter; the waker is called by whoever adds the second of
	// reason and armed.
	state atomic.Uint32
	// unmet counts the offset conditions still open, plus one for the byte count, plus one for Ready; who takes it to zero completes the waiter.
	unmet atomic.Int32
	// short is how many bytes are still missing. Until Ready adds the need it is zero or less.
	short atomic.Int64
	// hurt is set when an offset condition was settled by a failure.
	hurt atomic.Bool

	nodes []*node // stable addresses, kept across uses; the first used ones are registered
	used  int
	// Most waiters have one condition: its node needs no memory of its own.
	first [1]node
	place [1]*node

	// Links of the wheel's slot, guarded by the wheel's lock.
	slotNext, slotPrev *Waiter
	inWheel            bool
}

// The bits of state: a Reason or withdrawn, and whether Ready was called.
const (
	withdrawn  = 0x4 // Finish came before anything else
	reasonMask = 0x7
	armed      = 0x8
)

// Start begins to wait: wake is called once after Ready, when a condition of firing holds or the deadline has passed (none if it is the zero time).
func (p *Purgatory) Start(w *Waiter, wake Waker, deadline time.Time) {
	if w.wake != nil {
		panic("purgatory: waiter started again before Finish")
	}
	w.purgatory, w.wake = p, wake
	w.deadline = p.wheel.tickOf(deadline)
	w.state.Store(0)
	w.unmet.Store(2)
	w.short.Store(0)
	w.hurt.Store(false)
}

// Offset adds a condition: l must reach at. It compares with where l is now, so an Advance since the caller's append is not lost.
func (w *Waiter) Offset(l *List, at protocol.Offset) {
	n := w.take(l)
	n.at = at
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed:
		n.outcome = Failed
		w.hurt.Store(true)
	case l.offset >= at:
		n.outcome = Reached
	default:
		w.unmet.Add(1)
		l.offsets.insertSorted(n)
		l.offsetsWaiting.Add(1)
	}
}

// Bytes counts what becomes visible in l from the moment when the reader noted l.Visible() == seen, which must be before it read.
func (w *Waiter) Bytes(l *List, seen int64) {
	n := w.take(l)
	n.bytes = true
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed {
		n.outcome = Failed
		w.complete(Failed)
		return
	}
	w.gain(l.visible.Load() - seen)
	l.bytes.pushBack(n)
	l.bytesWaiting.Add(1)
}

// Ready says that all conditions are registered and need bytes are missing (0 if only offsets count). If that holds already the waker is called before
// Ready returns. The waiter must not be touched after Ready but by Finish.
func (w *Waiter) Ready(need int64) {
	met := int32(1)
	if w.short.Add(max(need, 0)) <= 0 {
		met++
	}
	w.settle(met)
	if w.state.Load()&reasonMask != 0 {
		w.deadline = noDeadline // it never enters the wheel, and Finish need not look there
	} else if w.deadline != noDeadline {
		w.purgatory.wheel.add(w)
	}
	// From here on, unless this call is the one that fires, another goroutine may finish and reuse the waiter.
	if wake := w.wake; w.state.Or(armed)&reasonMask != 0 {
		wake.Wake()
	}
}

// Finish unlinks the waiter from everything and tells why it fired; Waiting if it had not: then it never will. After Finish it may be started again.
func (w *Waiter) Finish() Reason {
	w.complete(withdrawn)
	for _, n := range w.nodes[:w.used] {
		n.list.unlink(n)
	}
	w.used = 0
	if w.deadline != noDeadline {
		w.purgatory.wheel.remove(w)
		w.deadline = noDeadline
	}
	w.wake = nil
	if r := w.state.Load() & reasonMask; r != withdrawn {
		return Reason(r)
	}
	return Waiting
}

// Outcome is what became of the i-th condition, counting Offset and Bytes calls since Start: Reached, Failed, or Waiting if neither came before Finish.
// A Bytes condition is never Reached by itself. Valid from Finish to the next Start.
func (w *Waiter) Outcome(i int) Reason { return w.nodes[i].outcome }

// complete notes the first reason and tells whether this call was the one that must call the waker: the first, after Ready.
func (w *Waiter) complete(r Reason) bool {
	for {
		s := w.state.Load()
		if s&reasonMask != 0 {
			return false
		}
		if w.state.CompareAndSwap(s, s|uint32(r)) {
			return s&armed != 0
		}
	}
}

// gain takes n visible bytes off what is missing; like settle it tells whether the waker must be called.
func (w *Waiter) gain(n int64) bool {
	if n <= 0 {
		return false
	}
	left := w.short.Add(-n)
	if left <= 0 && left+n > 0 {
		return w.settle(1)
	}
	return false
}

// settle counts n conditions as decided; the last one completes the waiter.
func (w *Waiter) settle(n int32) bool {
	if w.unmet.Add(-n) != 0 {
		return false
	}
	if w.hurt.Load() {
		return w.complete(Failed)
	}
	return w.complete(Reached)
}

// take returns the next node of the waiter, cleared and bound to l.
func (w *Waiter) take(l *List) *node {
	if w.used == len(w.nodes) {
		block := w.first[:]
		if w.nodes == nil {
			w.nodes = w.place[:0]
		} else {
			block = make([]node, len(w.nodes))
		}
		for i := range block {
			w.nodes = append(w.nodes, &block[i])
		}
	}
	n := w.nodes[w.used]
	w.used++
	*n = node{list: l, waiter: w}
	return n
}
