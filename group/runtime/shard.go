package runtime

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/timeline"
	"ottla/protocol"
)

// phase is how an operation on a shard is met.
type phase int8

const (
	idle    phase = iota // not led here
	loading              // the log is being replayed
	active               // operations are queued
	broken               // the log does not load: until the next leadership
)

// operation is something that waits for the shard's turn: decide, touch or read is set.
type operation[M Machine] struct {
	decide func(m M, now time.Time) Effects
	touch  func(m M, now time.Time)
	read   func(m M, committed protocol.Offset, now time.Time)
	failed func(error)
}

// leadership is one term of this broker as the shard's leader; another pointer is another one.
type leadership struct {
	epoch protocol.LeaderEpoch
	log   PartitionLog
}

// shard is one partition of the topic that this broker leads or has led.
type shard[M Machine] struct {
	runtime *Runtime[M]
	id      int32
	alarm   alarm
	behind  *shard[M]    // the next in the queue for a turn; guarded by turns.mu
	waiting atomic.Int64 // operations that were not answered yet

	mu      sync.Mutex
	phase   phase
	epoch   protocol.LeaderEpoch // the newest that was heard of
	current *leadership          // nil if this broker does not lead
	loaded  *live[M]             // what loading has made for current, until a turn takes it
	queue   []operation[M]
	later   []operation[M] // what lingers, until something is written for which it makes way, or the tick
	ticks   bool           // a tick will look at later
	place   place

	// Owned by the turn.
	live  *live[M]
	spare []operation[M] // memory for the next queue
}

// live is the state of a shard in one leadership. Its turn owns it, before that its loader.
type live[M Machine] struct {
	leadership *leadership
	machine    M
	timeline   *timeline.Timeline
	begins     protocol.Offset // the log's end when it was loaded, and the first mark
	next       protocol.Offset // the log's end, and the last mark: the state between turns is as of it
	high       protocol.Offset // the high watermark, when last looked at
	parked     lineup
	awaiting   atomic.Bool // a wake will come
	begun      bool        // Loaded was called
	pause      time.Time   // Expire is not called before
}

func newShard[M Machine](r *Runtime[M], id int32) *shard[M] {
	s := &shard[M]{runtime: r, id: id, epoch: protocol.NoLeaderEpoch}
	s.alarm = alarm{index: notSet, ring: s.schedule}
	return s
}

func (s *shard[M]) lead(epoch protocol.LeaderEpoch, log PartitionLog) {
	s.mu.Lock()
	if epoch <= s.epoch {
		s.mu.Unlock()
		return
	}
	s.epoch = epoch
	s.begin(&leadership{epoch: epoch, log: log})
	s.mu.Unlock()
	s.schedule() // what was before has to go
}

// begin starts to load. The caller holds mu.
func (s *shard[M]) begin(l *leadership) {
	s.current, s.loaded, s.phase = l, nil, loading
	s.runtime.loads.add(load[M]{s, l})
}

func (s *shard[M]) resign(epoch protocol.LeaderEpoch) {
	s.mu.Lock()
	if epoch != protocol.NoLeaderEpoch && epoch < s.epoch {
		s.mu.Unlock()
		return
	}
	s.epoch = epoch
	s.current, s.loaded, s.phase = nil, nil, idle
	s.hurry()
	s.mu.Unlock()
	s.schedule()
}

// ended says that a leadership is over though nobody told the runtime yet, or that its log cannot be loaded.
func (s *shard[M]) ended(l *leadership, to phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == l {
		s.current, s.loaded, s.phase = nil, nil, to
	}
}

// reload begins the same leadership again.
func (s *shard[M]) reload(l *leadership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == l {
		s.begin(&leadership{epoch: l.epoch, log: l.log})
	}
}

// leads tells whether l is still what counts.
func (s *shard[M]) leads(l *leadership) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current == l
}

// ready hands over what loading has made.
func (s *shard[M]) ready(v *live[M]) {
	s.mu.Lock()
	if s.current == v.leadership {
		s.loaded, s.phase = v, active
	}
	s.mu.Unlock()
	s.schedule()
}

// enqueue queues an operation for the shard's next turn, or for the next tick, or says why not.
func (s *shard[M]) enqueue(o operation[M], lingers bool) error {
	s.mu.Lock()
	if s.phase != active {
		defer s.mu.Unlock()
		return s.refusal()
	}
	if s.waiting.Load() >= int64(s.runtime.MaxQueue) {
		s.mu.Unlock()
		return protocol.Errorf(kerr.CoordinatorNotAvailable, "%d operations wait for %s-%d already", s.runtime.MaxQueue, s.runtime.Topic, s.id)
	}
	s.waiting.Add(1)
	if lingers {
		s.later = append(s.later, o)
		add := !s.ticks
		s.ticks = true
		s.mu.Unlock()
		if add {
			s.runtime.linger.add(s)
		}
		return nil
	}
	if o.decide != nil {
		s.hurry() // in the order in which they came
	}
	s.queue = append(s.queue, o)
	push := s.arrive()
	s.mu.Unlock()
	if push {
		s.runtime.turns.push(s)
	}
	return nil
}

// hurry queues what lingers. The caller holds mu.
func (s *shard[M]) hurry() {
	s.queue = append(s.queue, s.later...)
	clear(s.later)
	if s.later = s.later[:0]; cap(s.later) > keptQueue {
		s.later = nil
	}
}

// takeLingering is what lingers, for the turn at hand.
func (s *shard[M]) takeLingering() []operation[M] {
	s.mu.Lock()
	defer s.mu.Unlock()
	later := s.later
	s.later = nil
	return later
}

// release ends the wait of what lingers, and tells whether the caller is to take the shard's turn.
func (s *shard[M]) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticks = false; len(s.later) == 0 {
		return false
	}
	s.hurry()
	return s.arrive()
}

// refusal is the answer of a shard that is not active. The caller holds mu.
func (s *shard[M]) refusal() error {
	switch s.phase {
	case loading:
		return protocol.Errorf(kerr.CoordinatorLoadInProgress, "%s-%d is being loaded", s.runtime.Topic, s.id)
	case broken:
		return protocol.Errorf(kerr.CoordinatorNotAvailable, "%s-%d could not be loaded", s.runtime.Topic, s.id)
	}
	return notCoordinator(s.runtime.Topic, s.id)
}

// take is what a turn has to do. A leadership that is not the one that v was made for is over.
func (s *shard[M]) take() (l *leadership, v *live[M], queue []operation[M]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, v, queue = s.current, s.loaded, s.queue
	s.loaded, s.queue, s.spare = nil, s.spare[:0], nil
	return l, v, queue
}

// recycle keeps the memory of a queue that was done, if it is little: most shards rest most of the time.
func (s *shard[M]) recycle(queue []operation[M]) {
	if cap(queue) <= keptQueue {
		clear(queue)
		s.spare = queue[:0]
	}
}

// keptQueue bounds, in operations, the memory that recycle keeps.
const keptQueue = 256

// answered counts an operation off.
func (s *shard[M]) answered() { s.waiting.Add(-1) }
