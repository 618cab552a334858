package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Options of a run.
type Options struct {
	// Events is how many there are at least before everything heals.
	Events int
	// Watch, if not nil, is told every event.
	Watch io.Writer
}

// Result is what became of a run.
type Result struct {
	Hash     uint64 // of the trace
	Coverage Coverage
	Plan     string
	Err      error  // what was violated; nil: nothing
	Tail     string // the end of the trace
}

const (
	// minCrashes, and an election, belong to every run.
	minCrashes = 3
	// maxVirtual ends the time of faults in a run in which hardly anything happens.
	maxVirtual = 10 * time.Minute
)

// simulation is one run. Nothing in it may depend on anything but the seed: no clock, no goroutine, no order of a map.
type simulation struct {
	plan   plan
	dice   *rand.Rand // of what happens
	queue  queue
	now    time.Duration
	trace  trace
	cover  Coverage
	nodes  []*node
	net    network
	judge  judge
	client client
	calm   time.Duration // when a node was started last, or a leader elected
	healed bool          // no fault begins any more
	err    error
}

// Run plays a seed. testing/cryptotest.SetGlobalRandom has been called with it: raft and the ids draw from crypto/rand.
func Run(seed uint64, o Options) (r Result) {
	s := &simulation{dice: rand.New(rand.NewPCG(seed, 1)), trace: newTrace(o.Watch)}
	s.plan = newPlan(rand.New(rand.NewPCG(seed, 2)))
	s.net, s.judge, s.client = newNetwork(s), newJudge(s), newClient(s)
	defer func() {
		if p := recover(); p != nil {
			s.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
		r = Result{Hash: s.trace.hash, Coverage: s.cover, Plan: fmt.Sprintf("%+v", s.plan), Err: s.err, Tail: s.trace.tail()}
	}()
	s.begin()
	for s.err == nil && !s.enough(o.Events) {
		s.step()
	}
	if s.err == nil {
		s.heal()
	}
	return r
}

// begin founds the cluster and plans the first of everything.
func (s *simulation) begin() {
	for range s.plan.nodes {
		s.addNode()
	}
	s.startFaults()
	s.client.start()
}

// enough tells whether what belongs to every run has happened.
func (s *simulation) enough(events int) bool {
	return s.cover.Events >= events && (s.cover.Crashes >= minCrashes && s.cover.Elections > 0 || s.now > maxVirtual)
}

// at plans something. Nothing happens in the past.
func (s *simulation) at(when time.Duration, run func()) { s.queue.push(max(when, s.now), run) }

func (s *simulation) after(d time.Duration, run func()) { s.at(s.now+d, run) }

// step lets the next event happen.
func (s *simulation) step() {
	if len(s.queue.heap) == 0 {
		s.fail(errors.New("nothing is going to happen any more"))
		return
	}
	e := s.queue.pop()
	s.now = e.at
	s.cover.Events++
	e.run()
}

func (s *simulation) say(format string, args ...any) { s.trace.say(s.now, format, args...) }

// fail notes the first thing that is wrong.
func (s *simulation) fail(err error) {
	if s.err == nil && err != nil {
		s.err = err
		s.say("VIOLATED %v", err)
	}
}

// chance throws a die. Without a probability none is thrown.
func (s *simulation) chance(p float64) bool { return p > 0 && s.dice.Float64() < p }

// about is a time of the given mean.
func (s *simulation) about(mean time.Duration) time.Duration {
	return min(time.Duration(s.dice.ExpFloat64()*float64(mean)), 20*mean)
}

// often lets something happen again and again, until all heals. A mean of zero is never.
func (s *simulation) often(mean time.Duration, run func()) {
	if mean == 0 {
		return
	}
	s.after(s.about(mean), func() {
		if s.healed {
			return
		}
		run()
		s.often(mean, run)
	})
}
