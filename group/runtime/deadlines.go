package runtime

import (
	"container/heap"
	"sync"
	"time"
)

// notSet is the index of an alarm that is not in the heap.
const notSet = -1

// alarm is a shard's next deadline. All but ring is guarded by deadlines.mu.
type alarm struct {
	at    time.Time
	index int
	ring  func()
}

// deadlines holds the alarms of all shards behind one timer, which is armed for the first of them or earlier: an alarm that is put off, as heartbeats do, costs no
// timer.
type deadlines struct {
	mu      sync.Mutex
	alarms  alarms
	timer   *time.Timer
	armed   time.Time // zero: it is not
	stopped bool
}

// set makes a ring at a time; the zero time is never.
func (d *deadlines) set(a *alarm, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case at.IsZero() && a.index == notSet, at.Equal(a.at) && a.index != notSet:
		return
	case at.IsZero():
		heap.Remove(&d.alarms, a.index)
		return
	}
	if a.at = at; a.index == notSet {
		heap.Push(&d.alarms, a)
	} else {
		heap.Fix(&d.alarms, a.index)
	}
	d.arm()
}

// arm sees to it that the timer is early enough. The caller holds mu.
func (d *deadlines) arm() {
	if d.stopped || len(d.alarms) == 0 || !d.armed.IsZero() && !d.alarms[0].at.Before(d.armed) {
		return
	}
	d.armed = d.alarms[0].at
	if wait := time.Until(d.armed); d.timer == nil {
		d.timer = time.AfterFunc(wait, d.fire)
	} else {
		d.timer.Reset(wait)
	}
}

// fire rings what is due, without the lock.
func (d *deadlines) fire() {
	d.mu.Lock()
	d.armed = time.Time{}
	var due []*alarm
	for now := time.Now(); len(d.alarms) > 0 && !d.alarms[0].at.After(now); {
		due = append(due, heap.Pop(&d.alarms).(*alarm))
	}
	d.arm()
	d.mu.Unlock()
	for _, a := range due {
		a.ring()
	}
}

func (d *deadlines) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped = true; d.timer != nil {
		d.timer.Stop()
	}
}

// alarms is a heap, the first deadline on top.
type alarms []*alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarms) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarms) Pop() any {
	n := len(*h) - 1
	a := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	a.index = notSet
	return a
}
