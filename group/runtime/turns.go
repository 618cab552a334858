package runtime

import "sync"

// place is where a shard stands with regard to its turn.
type place int8

const (
	resting place = iota // nothing to do: no goroutine, no timer of its own
	queued               // in the queue of turns
	running              // a worker has it
	again                // a worker has it, and something new came
)

// turns is the shards with something to do. A shard is in one worker's hands at a time, which is what makes its operations run one after the other.
type turns[M Machine] struct {
	workers sync.WaitGroup

	mu          sync.Mutex
	wake        sync.Cond
	first, last *shard[M] // a queue through shard.behind
	busy        int       // workers with a shard in hand
	stopping    bool
}

// push adds a shard that has become queued.
func (t *turns[M]) push(s *shard[M]) {
	t.mu.Lock()
	if t.last == nil {
		t.first = s
	} else {
		t.last.behind = s
	}
	t.last = s
	t.mu.Unlock()
	t.wake.Signal()
}

// pull waits for a shard whose turn it is; nil when the runtime stops and nothing is left to do.
func (t *turns[M]) pull() *shard[M] {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.first == nil {
		if t.stopping && t.busy == 0 {
			t.wake.Broadcast()
			return nil
		}
		t.wake.Wait()
	}
	s := t.first
	if t.first, s.behind = s.behind, nil; t.first == nil {
		t.last = nil
	}
	t.busy++
	return s
}

// ended ends a turn, and tells whether there is nothing else to do.
func (t *turns[M]) ended() (idle bool) {
	t.mu.Lock()
	t.busy--
	idle = t.busy == 0 && t.first == nil
	last := t.stopping && t.busy == 0
	t.mu.Unlock()
	if last {
		t.wake.Broadcast()
	}
	return idle
}

// begin is for turns that nobody queues for; ended ends them. False: the runtime has stopped.
func (t *turns[M]) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping && t.busy == 0 && t.first == nil {
		return false
	}
	t.busy++
	return true
}

// stop lets the workers go when all that is queued is done.
func (t *turns[M]) stop() {
	t.mu.Lock()
	t.stopping = true
	t.mu.Unlock()
	t.wake.Broadcast()
}

// schedule asks for a turn.
func (s *shard[M]) schedule() {
	s.mu.Lock()
	push := s.arrive()
	s.mu.Unlock()
	if push {
		s.runtime.turns.push(s)
	}
}

// arrive notes that there is something to do, and tells whether the shard is to be pushed. The caller holds mu.
func (s *shard[M]) arrive() bool {
	switch s.place {
	case resting:
		s.place = queued
		return true
	case running:
		s.place = again
	}
	return false
}

// start and finish are the bounds of a turn.
func (s *shard[M]) start() {
	s.mu.Lock()
	s.place = running
	s.mu.Unlock()
}

func (s *shard[M]) finish() {
	s.mu.Lock()
	more := s.place == again
	s.place = resting
	if more {
		s.place = queued
	}
	s.mu.Unlock()
	if more {
		s.runtime.turns.push(s)
	}
}
