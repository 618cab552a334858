package runtime

import (
	"context"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync"
	"time"

	"ottla/log/timeline"
	"ottla/protocol"
)

// Options of a Runtime. Topic, NewMachine and Logger are needed.
type Options[M Machine] struct {
	Topic string // the internal topic, for errors and the log
	// NewMachine makes the empty machine of a shard; its replayed state lives on t. It is called from several goroutines.
	NewMachine func(shard int32, t *timeline.Timeline) M
	Logger     *slog.Logger
	Metrics    *Metrics      // nil: counted, but shown nowhere
	MaxBatch   int           // bytes of one append, and so of one operation's records; 0: 1 MiB, which Kafka's topics take
	MaxQueue   int           // operations of one shard that wait, for their turn or for the high watermark; 0: 100,000
	Workers    int           // shards that work at a time; 0: one a processor, at least 2
	Linger     time.Duration // how long what came by WriteLater lingers; negative: up to the runtime, which has it linger only while much comes
	Settle     func()        // called when workers have nothing to do at the moment: the flush that Append asked for may be left to it. nil: nothing
	Loads      int           // shards that load at a time; 0: 2
}

const (
	defaultMaxBatch = 1 << 20
	defaultMaxQueue = 100_000
	defaultLoads    = 2
)

// Runtime drives the shards of one internal topic. Its methods are safe for concurrent use and never wait, but for Close.
type Runtime[M Machine] struct {
	Options[M]

	mu     sync.RWMutex
	shards map[int32]*shard[M]
	closed bool

	turns     turns[M]
	linger    linger[M]
	loads     loads[M]
	deadlines deadlines
}

// New starts a runtime that leads nothing. Its goroutines (Workers, and Loads while there is something to load) end with Close.
func New[M Machine](o Options[M]) *Runtime[M] {
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil, o.Topic)
	}
	o.MaxBatch = orDefault(o.MaxBatch, defaultMaxBatch)
	o.MaxQueue = orDefault(o.MaxQueue, defaultMaxQueue)
	o.Workers = orDefault(o.Workers, max(goruntime.GOMAXPROCS(0), 2)) // one may be held up by Settle
	o.Loads = orDefault(o.Loads, defaultLoads)
	if o.Settle == nil {
		o.Settle = func() {}
	}
	r := &Runtime[M]{Options: o, shards: make(map[int32]*shard[M])}
	r.linger.worker, r.linger.pace.fixed = newWorker(r), o.Linger
	r.turns.wake.L = &r.turns.mu
	for range o.Workers {
		r.turns.workers.Go(newWorker(r).run)
	}
	return r
}

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

// Lead says that this broker leads the shard in an epoch, with log. The state is loaded in the background; operations are answered with COORDINATOR_LOAD_IN_PROGRESS
// meanwhile. An epoch that is not newer than all that was heard of changes nothing.
func (r *Runtime[M]) Lead(id int32, epoch protocol.LeaderEpoch, log PartitionLog) {
	r.mu.Lock()
	defer r.mu.Unlock() // so that Close finds every shard and is not overtaken
	if r.closed {
		return
	}
	s := r.shards[id]
	if s == nil {
		s = newShard(r, id)
		r.shards[id] = s
	}
	s.lead(epoch, log)
}

// Resign says that this broker does not lead the shard in an epoch: its last one, or the one in which somebody else leads. The state is dropped, and who waits gets
// NOT_COORDINATOR. An epoch older than what was heard of changes nothing. NoLeaderEpoch says that the partition was deleted: whatever epoch follows is another topic's.
func (r *Runtime[M]) Resign(id int32, epoch protocol.LeaderEpoch) {
	if s := r.shard(id); s != nil {
		s.resign(epoch)
	}
}

// Write takes a decision on the shard's turn and does what it wants. If there is no machine to decide, failed is called instead, from any goroutine and possibly before
// Write returns, with NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, or COORDINATOR_NOT_AVAILABLE (the log does not load, too many wait).
// Otherwise exactly one of the effects' Committed and Failed is called.
func (r *Runtime[M]) Write(id int32, decide func(m M, now time.Time) Effects, failed func(error)) {
	r.submit(id, operation[M]{decide: decide, failed: failed}, false)
}

// WriteLater is Write for a decision that may linger (see Options) with those that come soon after, for any shard: the next Write to its own takes it along, in the order in which they
// came; a Read or a Touch overtakes it.
func (r *Runtime[M]) WriteLater(id int32, decide func(m M, now time.Time) Effects, failed func(error)) {
	r.submit(id, operation[M]{decide: decide, failed: failed}, r.linger.lingers(time.Now()))
}

// Lingers tells whether operations linger at present, of the runtime's own accord. It is cheap.
func (r *Runtime[M]) Lingers() bool { return r.linger.on() }

// Touch changes soft state alone, on the shard's turn. failed is as for Write.
func (r *Runtime[M]) Touch(id int32, touch func(m M, now time.Time), failed func(error)) {
	r.submit(id, operation[M]{touch: touch, failed: failed}, false)
}

// Read looks at the machine on the shard's turn. committed is the offset to read as of, with GetAt and AllAt. failed is as for Write, with COORDINATOR_LOAD_IN_PROGRESS also
// until what was loaded is known to be committed: a moment after a change of leaders.
func (r *Runtime[M]) Read(id int32, read func(m M, committed protocol.Offset, now time.Time), failed func(error)) {
	r.submit(id, operation[M]{read: read, failed: failed}, false)
}

func (r *Runtime[M]) submit(id int32, o operation[M], lingers bool) {
	s := r.shard(id)
	if s == nil {
		o.failed(notCoordinator(r.Topic, id))
		return
	}
	if err := s.enqueue(o, lingers); err != nil {
		r.Metrics.refused()
		o.failed(err)
	}
}

// ReadAll reads every shard that this broker leads, in no order and one at a time, and then calls done once, possibly before it returns: with the error of a shard that
// could not be read (COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE), while the others were. Shards whose leadership was lost are not missed.
func (r *Runtime[M]) ReadAll(read func(shard int32, m M, committed protocol.Offset, now time.Time), done func(error)) {
	r.mu.RLock()
	all := make([]*shard[M], 0, len(r.shards))
	for _, s := range r.shards {
		all = append(all, s)
	}
	r.mu.RUnlock()
	rest := newRound(len(all), done)
	for _, s := range all {
		o := operation[M]{
			read: func(m M, committed protocol.Offset, now time.Time) {
				rest.answer(func() { read(s.id, m, committed, now) })
			},
			failed: rest.fail,
		}
		if err := s.enqueue(o, false); err != nil {
			rest.fail(err)
		}
	}
}

func (r *Runtime[M]) shard(id int32) *shard[M] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.shards[id]
}

// Close drops all state, answers who waits with NOT_COORDINATOR, and waits for the goroutines; it is called once. Operations that come later are answered the same way.
func (r *Runtime[M]) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, s := range r.shards { // closed: it does not change any more
		s.resign(protocol.NoLeaderEpoch)
	}
	r.loads.stop()
	ended := make(chan struct{})
	go func() {
		r.loads.running.Wait()
		r.turns.stop()
		r.turns.workers.Wait()
		r.deadlines.stop()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the coordinator of %s: %w", r.Topic, ctx.Err())
	}
}
