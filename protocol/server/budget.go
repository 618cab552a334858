package server

import "sync"

// budget is a byte semaphore for the whole node: first come, first served, so that a large frame is not starved by small ones.
type budget struct {
	total   int64
	metrics *Metrics

	mu      sync.Mutex
	used    int64
	waiters []*budgetWaiter // in order of arrival
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
		b.used += b.clamp(n)
	}
	b.metrics.setBudget(b.used)
	b.mu.Unlock()
	return ok
}

// acquire takes n bytes, waiting for its turn until one of the channels is closed; false then, with nothing taken. The caller must not hold bytes of the budget
// meanwhile: two that wait for each other would never end.
func (b *budget) acquire(n int, gone, stop <-chan struct{}) bool {
	if b.tryAcquire(n) {
		return true
	}
	w := &budgetWaiter{n: b.clamp(n), granted: make(chan struct{})}
	b.mu.Lock()
	b.waiters = append(b.waiters, w)
	b.grant()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return true
	case <-gone:
	case <-stop:
	}
	b.withdraw(w)
	return false
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
	b.used -= w.n
	b.grant()
}

func (b *budget) release(n int) {
	b.mu.Lock()
	b.used -= b.clamp(n)
	b.grant()
	b.mu.Unlock()
}

// grant serves the waiters at the front that fit. The caller holds mu. (Closing a channel never blocks.)
func (b *budget) grant() {
	for len(b.waiters) > 0 && b.used+b.waiters[0].n <= b.total {
		w := b.waiters[0]
		b.used += w.n
		b.waiters[0] = nil
		b.waiters = b.waiters[1:]
		close(w.granted)
	}
	b.metrics.setBudget(b.used)
}
