package runtime

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// worker runs the turns of shards, one after the other, on a goroutine of its own. What it gathers belongs to the turn at hand.
type worker[M Machine] struct {
	runtime *Runtime[M]
	now     time.Time // of the turn
	batch   pending
}

func newWorker[M Machine](r *Runtime[M]) *worker[M] {
	return &worker[M]{runtime: r, batch: newPending()}
}

func (w *worker[M]) run() {
	t := &w.runtime.turns
	unsettled := 0
	for s := t.pull(); s != nil; s = t.pull() {
		w.take(s)
		if unsettled++; t.ended() || unsettled == settleAfter {
			w.runtime.Settle()
			unsettled = 0
		}
	}
}

// settleAfter is how many turns a worker takes before it settles though there is more to do.
const settleAfter = 64

// take takes the turn of a shard that is queued.
func (w *worker[M]) take(s *shard[M]) {
	s.start()
	w.turn(s)
	s.finish()
}

// turn does all that has come up for a shard: leadership that went or came, the high watermark, operations, time.
func (w *worker[M]) turn(s *shard[M]) {
	leadership, loaded, queue := s.take()
	w.now = time.Now()
	if s.live != nil && s.live.leadership != leadership {
		w.unload(s)
	}
	if loaded != nil {
		s.live = loaded
		w.runtime.Metrics.loaded(1)
	}
	if s.live != nil && w.commit(s) && !s.live.begun {
		s.live.begun = true
		w.do(s, s.live.machine.Loaded(w.now), true)
	}
	w.operateAll(s, queue)
	w.rest(s)
}

func (w *worker[M]) operateAll(s *shard[M], queue []operation[M]) {
	for i := range queue {
		w.operate(s, &queue[i])
	}
	s.recycle(queue)
}

// operate decides or reads. A new leader's high watermark may be behind what the leader before has answered for, so nobody reads before it has reached what was loaded (as
// in KIP-207): a commit that was acknowledged would seem to be undone.
func (w *worker[M]) operate(s *shard[M], o *operation[M]) {
	switch {
	case s.live == nil:
		s.answered()
		o.failed(notCoordinator(w.runtime.Topic, s.id))
	case o.read != nil && s.live.high < s.live.begins:
		s.answered()
		o.failed(protocol.Errorf(kerr.CoordinatorLoadInProgress, "%s-%d is led by this broker from offset %d on, which is not known to be committed yet", w.runtime.Topic, s.id, s.live.begins))
	case o.read != nil:
		s.answered()
		o.read(s.live.machine, protocol.Offset(s.live.timeline.Committed()), w.now)
	case o.touch != nil:
		o.touch(s.live.machine, w.now)
		s.answered()
		w.runtime.Metrics.unwritten()
	default:
		w.do(s, o.decide(s.live.machine, w.now), false)
	}
}

// rest ends a turn: what was gathered is appended, time is looked at, and the shard is set up to be called again. Time comes last: what has queued up while a shard could
// not work, a heartbeat, or lingers counts before the session's end does.
func (w *worker[M]) rest(s *shard[M]) {
	if s.live != nil && w.due(s) {
		w.operateAll(s, s.takeLingering())
	}
	_ = w.append(s) // its operations were told
	if s.live != nil && w.due(s) {
		s.live.pause = w.now.Add(minPause)
		w.do(s, s.live.machine.Expire(w.now), true)
		_ = w.append(s)
	}
	if s.live == nil || !w.commit(s) {
		return
	}
	w.await(s)
	w.runtime.deadlines.set(&s.alarm, s.live.deadline())
}

const (
	minPause    = time.Millisecond       // between two calls of Expire, whatever the machine wants
	failedPause = 500 * time.Millisecond // before Expire after an append that failed: the machine wants the same again
)

func (w *worker[M]) due(s *shard[M]) bool {
	at := s.live.deadline()
	return !at.IsZero() && !w.now.Before(at)
}

// deadline is when Expire is to be called.
func (v *live[M]) deadline() time.Time {
	at := v.machine.Deadline()
	if at.IsZero() || v.pause.Before(at) {
		return at
	}
	return v.pause
}

// commit looks how far the high watermark is and answers whom it has passed. False: the leadership was lost.
func (w *worker[M]) commit(s *shard[M]) bool {
	v := s.live
	o, err := v.leadership.log.Offsets()
	v.high = max(v.high, o.HighWatermark)
	if err != nil {
		w.runtime.Logger.Warn("coordinator gave up a partition", slog.String("topic", w.runtime.Topic), slog.Int("partition", int(s.id)), slog.Any("error", err))
		s.ended(v.leadership, idle)
		w.unload(s)
		return false
	}
	if v.parked.empty() || v.parked.first().at > v.high {
		return true
	}
	v.timeline.Forget(int64(v.high))
	for !v.parked.empty() && v.parked.first().at <= v.high {
		p := v.parked.pop()
		if p.effects.Committed != nil {
			p.effects.Committed()
		}
		if !p.own {
			s.answered()
			w.runtime.Metrics.committed(w.now.Sub(p.since))
		}
	}
	return true
}

// await asks the log to come back when the high watermark reaches the first that is parked.
func (w *worker[M]) await(s *shard[M]) {
	v := s.live
	if v.parked.empty() || v.awaiting.Swap(true) {
		return
	}
	v.leadership.log.Await(v.parked.first().at, func() {
		v.awaiting.Store(false)
		s.schedule()
	})
}

// unload drops the machine and answers whoever waits.
func (w *worker[M]) unload(s *shard[M]) {
	v, err := s.live, notCoordinator(w.runtime.Topic, s.id)
	s.live = nil
	w.runtime.deadlines.set(&s.alarm, time.Time{})
	w.runtime.Metrics.loaded(-1)
	v.machine.Close(err)
	for !v.parked.empty() {
		p := v.parked.pop()
		w.fail(s, &p.effects, p.own, err)
	}
}

// fail answers one operation that was not committed.
func (w *worker[M]) fail(s *shard[M], e *Effects, own bool, err error) {
	if e.Failed != nil {
		e.Failed(err)
	}
	if !own {
		s.answered()
		w.runtime.Metrics.failed()
	}
}
