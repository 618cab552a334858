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
}

// queue hands submissions from any goroutine to the driver.
type queue struct {
	// filled has room for one: it says "look", not how often.
	filled chan struct{}
	limit  int

	mu      sync.Mutex
	waiting []submission
	closed  bool
}

// put queues s, or tells why not.
func (q *queue) put(s submission) error {
	q.mu.Lock()
	closed, full := q.closed, len(q.waiting) >= q.limit
	if !closed && !full {
		q.waiting = append(q.waiting, s)
	}
	q.mu.Unlock()
	switch {
	case closed:
		return quorum.ErrNotController
	case full:
		return protocol.Errorf(kerr.RequestTimedOut, "%d changes of metadata are waiting already", q.limit)
	}
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return nil
}

// take empties the queue into spare's memory.
func (q *queue) take(spare []submission) []submission {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = spare[:0]
	return taken
}

// close refuses what comes from now on, and returns what came before.
func (q *queue) close() []submission {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	taken := q.waiting
	q.waiting = nil
	return taken
}
