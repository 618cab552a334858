package controller

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/quorum"
	"ottla/protocol"
)

// submission is one request on its way to the driver.
type submission struct {
	principal protocol.Principal
	request   kmsg.Request
	done      func(kmsg.Response, error)
	here      bool // it is not passed on to the leader
}

// maxMessageBytes is what messages of other members may hold that wait for the driver. More are dropped, as raft expects of a network; one alone may be larger: a snapshot.
const maxMessageBytes = 64 << 20

// queue hands work from any goroutine to the driver.
type queue struct {
	// filled has room for one: it says "look", not how often.
	filled chan struct{}
	limit  int // of submissions

	mu       sync.Mutex
	work     work
	messages int // bytes that they hold
	closed   bool
}

// work is what waits for the driver, each part in its order.
type work struct {
	submissions []submission
	calls       []func(*quorum.Machine) // what happened to other members, and questions; called with nil when the driver has ended
}

// put queues s, or tells why not.
func (q *queue) put(s submission) error {
	q.mu.Lock()
	closed, full := q.closed, len(q.work.submissions) >= q.limit
	if !closed && !full {
		q.work.submissions = append(q.work.submissions, s)
	}
	q.mu.Unlock()
	switch {
	case closed:
		return quorum.ErrNotController
	case full:
		return protocol.Errorf(kerr.RequestTimedOut, "%d changes of metadata are waiting already", q.limit)
	}
	q.wake()
	return nil
}

// call queues f. False: nobody will call it, because the driver has ended.
func (q *queue) call(f func(*quorum.Machine)) bool {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.work.calls = append(q.work.calls, f)
	}
	q.mu.Unlock()
	if !closed {
		q.wake()
	}
	return !closed
}

// receive queues a message of another member, if there is room.
func (q *queue) receive(m *quorum.Message) {
	size := quorum.MessageSize(m)
	q.mu.Lock()
	taken := !q.closed && (q.messages == 0 || q.messages+size <= maxMessageBytes)
	if taken {
		q.messages += size
		q.work.calls = append(q.work.calls, func(machine *quorum.Machine) {
			if machine != nil {
				machine.Step(m)
			}
		})
	}
	q.mu.Unlock()
	if taken {
		q.wake()
	}
}

func (q *queue) wake() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take empties the queue into spare's memory.
func (q *queue) take(spare work) work {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.work
	q.work = work{spare.submissions[:0], spare.calls[:0]}
	q.messages = 0
	return taken
}

// close refuses what comes from now on, and returns what came before.
func (q *queue) close() work {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	taken := q.work
	q.work = work{}
	return taken
}
