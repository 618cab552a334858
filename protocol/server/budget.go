package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// budget is a byte semaphore for the whole node: first come, first served, so that a large frame is not starved by small ones.
type budget struct {
	total   int64
	gauge   func(used int64)  // may be nil
	reclaim func(bytes int64) // called without locks when those who wait have lost their patience, with what all of them lack; may be nil

	overdrawn atomic.Bool // more than total is used

	mu      sync.Mutex
	used    int64
	waiters []*budgetWaiter // in order of arrival
	timer   *time.Timer     // runs lookForLate while somebody waits; nil until needed
}

type budgetWaiter struct {
	n       int64
	granted chan struct{} // closed with the bytes taken
}

// clamp keeps a wish that is larger than everything from waiting for ever: it gets all there is, alone.
func (b *budget) clamp(n int) int64 { return min(int64(n), b.total) }

// tryAcquire takes n bytes if they are free and nobody waits.
func (b *budget) tryAcquire(n int) bool {
	b.mu.Lock()
	ok := len(b.waiters) == 0 && b.used+b.clamp(n) <= b.total
	if ok {
		b.add(b.clamp(n))
	}
	b.mu.Unlock()
	return ok
}

// add changes what is used. The caller holds mu.
func (b *budget) add(n int64) {
	b.used += n
	b.overdrawn.Store(b.used > b.total)
	if b.gauge != nil {
		b.gauge(b.used)
	}
}

// overdraw takes n bytes without asking: they are there already. It is given back by repay.
func (b *budget) overdraw(n int64) {
	b.mu.Lock()
	b.add(n)
	b.mu.Unlock()
}

// repay gives back what overdraw or tryHalf took.
func (b *budget) repay(n int64) {
	b.mu.Lock()
	b.add(-n)
	b.grant()
	b.mu.Unlock()
}

// tryHalf takes n bytes if half of the budget stays free: for what may be kept for long.
func (b *budget) tryHalf(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.total/2 {
		return false
	}
	b.add(n)
	return true
}

// acquire takes n bytes, waiting for its turn until one of the channels is closed; false then, with nothing taken. The caller must not hold bytes of the budget
// meanwhile: two that wait for each other would never end.
func (b *budget) acquire(n int, gone, stop <-chan struct{}) bool {
	if b.tryAcquire(n) {
		return true
	}
	w := b.enqueue(n)
	select {
	case <-w.granted:
		return true
	case <-gone:
	case <-stop:
	}
	b.withdraw(w)
	return false
}

// enqueue puts a waiter at the end. The first one has others looked for who are late.
func (b *budget) enqueue(n int) *budgetWaiter {
	w := &budgetWaiter{n: b.clamp(n), granted: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters = append(b.waiters, w)
	b.grant()
	if len(b.waiters) == 1 && b.waiters[0] == w && b.reclaim != nil {
		b.lookAgain(patience)
	}
	return w
}

// lookAgain runs lookForLate after d. The caller holds mu.
func (b *budget) lookAgain(d time.Duration) {
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.lookForLate)
	} else {
		b.timer.Reset(d)
	}
}

// lookForLate reclaims what all who wait lack, not only the first of them: a queue of thousands would else move on by one at a time.
func (b *budget) lookForLate() {
	b.mu.Lock()
	if len(b.waiters) == 0 {
		b.mu.Unlock()
		return
	}
	lack := b.used - b.total
	for _, w := range b.waiters {
		lack += w.n
	}
	b.lookAgain(impatience)
	b.mu.Unlock()
	if lack > 0 {
		b.reclaim(lack)
	}
}

// withdraw takes a waiter back out, and its bytes back if they were granted at the same moment.
func (b *budget) withdraw(w *budgetWaiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.waiters {
		if b.waiters[i] == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			b.grant()
			return
		}
	}
	b.add(-w.n)
	b.grant()
}

func (b *budget) release(n int) {
	b.mu.Lock()
	b.add(-b.clamp(n))
	b.grant()
	b.mu.Unlock()
}

// grant serves the waiters at the front that fit. The caller holds mu. (Closing a channel never blocks.)
func (b *budget) grant() {
	for len(b.waiters) > 0 && b.used+b.waiters[0].n <= b.total {
		w := b.waiters[0]
		b.add(w.n)
		b.waiters[0] = nil
		b.waiters = b.waiters[1:]
		close(w.granted)
	}
}
