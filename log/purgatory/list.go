package purgatory

import (
	"sync"
	"sync/atomic"

	"ottla/protocol"
)

// List is the waiters of one partition and how far it has come. The zero value stands at offset 0 and must not be copied after first use.
type List struct {
	mu     sync.Mutex
	offset protocol.Offset
	failed bool // by Fail, until the next Advance
	// offsets is sorted by the offset awaited, so an Advance looks only at those that it satisfies; every reader in bytes is told of every Advance.
	offsets, bytes nodeList

	// Read without mu, changed under it.
	visible                      atomic.Int64
	offsetsWaiting, bytesWaiting atomic.Int32
}

// Advance says that the partition reached the offset to (lower ones change nothing) and that bytes more bytes became visible to readers. It never blocks and
// calls wakers after its lock was released. It ends the state that Fail began, and then takes over any offset.
func (l *List) Advance(to protocol.Offset, bytes int64) {
	l.mu.Lock()
	if l.failed || to > l.offset {
		l.offset = to
	}
	l.failed = false
	var fired *wakes
	for n := l.offsets.head; n != nil && n.at <= l.offset; n = l.offsets.head {
		l.drop(n, Reached)
		if n.waiter.settle(1) {
			fired = fired.add(n.waiter)
		}
	}
	if bytes > 0 {
		l.visible.Add(bytes)
		for n := l.bytes.head; n != nil; n = n.next {
			if n.waiter.gain(bytes) {
				fired = fired.add(n.waiter)
			}
		}
	}
	l.mu.Unlock()
	fired.call()
}

// Fail settles everything that waits here: leadership lost, partition deleted, log truncated. Until the next Advance, waiters that register are failed at once,
// so that a reply parked just after a failure does not wait for its deadline. (If a Fail and an Advance both fall between an append and its Offset the new
// leadership's offset is what counts: whoever answers compares leader epochs.)
func (l *List) Fail() {
	l.mu.Lock()
	l.failed = true
	var fired *wakes
	for n := l.offsets.head; n != nil; n = l.offsets.head {
		l.drop(n, Failed)
		n.waiter.hurt.Store(true)
		if n.waiter.settle(1) {
			fired = fired.add(n.waiter)
		}
	}
	for n := l.bytes.head; n != nil; n = l.bytes.head {
		l.drop(n, Failed)
		if n.waiter.complete(Failed) {
			fired = fired.add(n.waiter)
		}
	}
	l.mu.Unlock()
	fired.call()
}

// Visible is how many bytes became visible here since the list began. Note it before a read, and give it to Waiter.Bytes.
func (l *List) Visible() int64 { return l.visible.Load() }

// Waiting tells whether anyone waits for an offset, and whether anyone for bytes; without a lock, so it may be asked at every append. A waiter that registers
// at the same moment is seen by the next one to ask: its own registration compares with what has been reached.
func (l *List) Waiting() (offsets, bytes bool) {
	return l.offsetsWaiting.Load() > 0, l.bytesWaiting.Load() > 0
}

// drop unlinks n with its outcome. The caller holds mu.
func (l *List) drop(n *node, outcome Reason) {
	n.outcome = outcome
	if n.bytes {
		l.bytes.remove(n)
		l.bytesWaiting.Add(-1)
	} else {
		l.offsets.remove(n)
		l.offsetsWaiting.Add(-1)
	}
}

// unlink takes n out if it is still in. After it returns no other goroutine touches n's waiter through this list.
func (l *List) unlink(n *node) {
	l.mu.Lock()
	if n.linked {
		l.drop(n, Waiting)
	}
	l.mu.Unlock()
}

// node is one waiter's place in one list. Its links, outcome and linked are guarded by the list's lock.
type node struct {
	list       *List
	waiter     *Waiter
	next, prev *node
	at         protocol.Offset // offset conditions
	bytes      bool            // which of the list's two queues
	linked     bool
	outcome    Reason
}

// nodeList is a doubly linked list through nodes.
type nodeList struct{ head, tail *node }

func (q *nodeList) pushBack(n *node) { q.insertAfter(q.tail, n) }

// insertSorted keeps the queue sorted by at, equal ones in order of arrival. Offsets are awaited in nearly rising order, so the walk starts at the tail.
func (q *nodeList) insertSorted(n *node) {
	after := q.tail
	for after != nil && after.at > n.at {
		after = after.prev
	}
	q.insertAfter(after, n)
}

// insertAfter links n behind p, or first if p is nil.
func (q *nodeList) insertAfter(p, n *node) {
	n.linked, n.prev = true, p
	if p == nil {
		n.next, q.head = q.head, n
	} else {
		n.next, p.next = p.next, n
	}
	if n.next == nil {
		q.tail = n
	} else {
		n.next.prev = n
	}
}

func (q *nodeList) remove(n *node) {
	if n.prev == nil {
		q.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		q.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.next, n.prev, n.linked = nil, nil, false
}
