package sim

import "time"

// event is something that happens at a virtual time. Of two at the same time the one that was planned first comes first.
type event struct {
	at  time.Duration
	seq uint64
	run func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// queue is a binary heap of events.
type queue struct {
	heap []event
	seq  uint64
}

func (q *queue) push(at time.Duration, run func()) {
	q.seq++
	q.heap = append(q.heap, event{at, q.seq, run})
	h := q.heap
	for n := len(h) - 1; n > 0; {
		up := (n - 1) / 2
		if !h[n].before(&h[up]) {
			break
		}
		h[n], h[up] = h[up], h[n]
		n = up
	}
}

// pop takes the earliest event; there is one.
func (q *queue) pop() event {
	h := q.heap
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	q.heap = h
	for n := 0; ; {
		down := 2*n + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && h[right].before(&h[down]) {
			down = right
		}
		if !h[down].before(&h[n]) {
			break
		}
		h[n], h[down] = h[down], h[n]
		n = down
	}
	return first
}
