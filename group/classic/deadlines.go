package classic

import (
	"container/heap"
	"time"
)

// timer is a deadline that may be in a shard's heap. Putting it off costs nothing: its place in the heap is looked at again when the earlier time has come, so a heartbeat is a
// store and no more.
type timer struct {
	due   time.Time // when it fires
	at    time.Time // its key in the heap, never after due
	index int       // in the heap; -1 if not
	fire  func(*turn)
}

func newTimer(fire func(*turn)) *timer { return &timer{index: -1, fire: fire} }

// deadlines is the heap of a shard.
type deadlines []*timer

func (d *deadlines) set(t *timer, due time.Time) {
	t.due = due
	switch {
	case t.index < 0:
		t.at = due
		heap.Push(d, t)
	case due.Before(t.at):
		t.at = due
		heap.Fix(d, t.index)
	}
}

func (d *deadlines) stop(t *timer) {
	if t.index >= 0 {
		heap.Remove(d, t.index)
	}
}

// clear stops every timer.
func (d *deadlines) clear() {
	for _, t := range *d {
		t.index = -1
	}
	*d = nil
}

// next is when somebody has to look; zero if never.
func (d deadlines) next() time.Time {
	if len(d) == 0 {
		return time.Time{}
	}
	return d[0].at
}

// pop takes out a timer that is due by now, nil if there is none.
func (d *deadlines) pop(now time.Time) *timer {
	for len(*d) > 0 && !(*d)[0].at.After(now) {
		t := (*d)[0]
		if t.due.After(now) {
			t.at = t.due
			heap.Fix(d, 0)
			continue
		}
		heap.Pop(d)
		return t
	}
	return nil
}

// The methods of heap.Interface.

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(a, b int) bool { return d[a].at.Before(d[b].at) }

func (d deadlines) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].index, d[b].index = a, b
}

func (d *deadlines) Push(x any) {
	t := x.(*timer)
	t.index = len(*d)
	*d = append(*d, t)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	t := (*d)[last]
	(*d)[last], *d = nil, (*d)[:last]
	t.index = -1
	return t
}
