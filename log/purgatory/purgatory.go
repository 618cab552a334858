// Package purgatory parks replies: a Waiter waits without a goroutine until partitions reach an offset, until enough bytes became visible to a reader,
// until a partition fails, or until its deadline.
//
// It sits beside log, above nothing: replica advances one List per partition, handlers park their Produce and Fetch replies on them. It holds no data and
// nothing is durable. The only goroutine is the one in which package time runs the wheel's timer; every other step runs on its caller's.
//
// Locks: each List has one, the wheel has one, and no goroutine holds two of them, nor any while it calls a Waker. Start reading at waiter.go.
package purgatory

import (
	"sync"
	"time"
)

// Purgatory is the deadlines of all waiters of a node; one is enough for every partition.
type Purgatory struct {
	wheel wheel
}

// New returns a Purgatory with nothing in it. Inside a synctest bubble it belongs to the bubble.
func New() *Purgatory {
	p := &Purgatory{}
	p.wheel.epoch = time.Now()
	return p
}

// Waker is told, from any goroutine, that its Waiter has fired. Wake must not block. It is called at most once per Start; a Finish that does not wait for it
// (a dead connection's) may be overtaken by a Wake that was already under way, so a Waker must bear one that comes late.
type Waker interface{ Wake() }

// wakes gathers the wakers of waiters that fired under a lock, to be called after it was released.
type wakes struct{ list []Waker }

var wakesPool = sync.Pool{New: func() any { return new(wakes) }}

// add notes w's waker; the first one takes a list from the pool. The caller holds a lock that keeps w from being unlinked, hence reused.
func (k *wakes) add(w *Waiter) *wakes {
	if k == nil {
		k = wakesPool.Get().(*wakes)
	}
	k.list = append(k.list, w.wake)
	return k
}

// call runs the gathered wakers, without a lock.
func (k *wakes) call() {
	if k == nil {
		return
	}
	for _, w := range k.list {
		w.Wake()
	}
	clear(k.list)
	k.list = k.list[:0]
	wakesPool.Put(k)
}
