package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"ottla/controller/decide"
	"ottla/controller/record"
)

// plan is what a seed does: which faults there are, and how many. Each is on in about half of the seeds, with an intensity of any order of magnitude (swarm testing): many faults at
// once hide what a few bring to light, and the other way round.
type plan struct {
	nodes int // at the beginning
	spare int // may join later

	governed  bool          // the policy makes the members, not the simulation
	retires   bool          // a voter does not come back when everything heals
	session   time.Duration // of a broker
	silent    bool          // a broker says nothing any more when everything heals
	oldFormat bool          // the cluster is founded with the oldest format of records

	delay             time.Duration // of a message, at least
	jitter            time.Duration // at most so much more
	drop, double      float64       // probabilities of a message
	late, lateness    float64       // probability of a message that comes late; by how many jitters
	cuts, cutFor      time.Duration // mean time between two cuts of the network, and until one heals; 0: none
	oneWay            float64       // how many of them are in one direction
	crashes, downFor  time.Duration
	survive           float64       // of what was not synced, at a crash; negative: another figure each time
	inWrites          float64       // how many crashes come in the middle of writing
	stops             time.Duration // clean ones
	wipes             time.Duration
	joins             time.Duration // and leaves
	changes           time.Duration // of the members, by hand
	pauses, pauseFor  time.Duration
	jumps, jump       time.Duration // of a clock
	drift             float64       // a clock may run so much faster or slower
	slow, slowFor     time.Duration // disks that take their time
	diskErrors        time.Duration
	diskFull, fullFor time.Duration
	requests          time.Duration
	burst             int     // requests at a time, at most
	astray            float64 // how many requests go to any node, not to who leads
	snapshotEntries   uint64
	snapshotFor       time.Duration // the time that writing one takes
	segmentBytes      int64
	badStarts         float64 // how many starts meet a bad disk
}

// features are the levels that the cluster is founded with.
func (p *plan) features() map[string]int16 {
	if p.oldFormat {
		return map[string]int16{record.Feature: record.MinLevel}
	}
	return decide.Founding()
}

// swarm draws intensities.
type swarm struct{ *rand.Rand }

// on says whether a fault is there at all.
func (r swarm) on() bool { return r.IntN(2) == 0 }

// between draws from all orders of magnitude alike.
func (r swarm) between(low, high float64) float64 {
	return math.Exp(math.Log(low) + r.Float64()*(math.Log(high)-math.Log(low)))
}

func (r swarm) duration(low, high time.Duration) time.Duration {
	return time.Duration(r.between(float64(low), float64(high)))
}

// maybe is zero or a duration.
func (r swarm) maybe(low, high time.Duration) time.Duration {
	if !r.on() {
		return 0
	}
	return r.duration(low, high)
}

// chance is zero or a probability.
func (r swarm) chance(low, high float64) float64 {
	if !r.on() {
		return 0
	}
	return r.between(low, high)
}

func newPlan(rng *rand.Rand) plan {
	r := swarm{rng}
	const ms, second = time.Millisecond, time.Second
	p := plan{
		nodes: []int{1, 2, 3, 3, 3, 3, 3, 4, 5, 5}[r.IntN(10)], spare: r.IntN(3),
		delay: r.duration(50*time.Microsecond, 20*ms), jitter: r.duration(50*time.Microsecond, 30*ms),
		drop: r.chance(0.001, 0.2), double: r.chance(0.001, 0.2), late: r.chance(0.001, 0.1), lateness: r.between(5, 100),
		cuts: r.maybe(500*ms, 20*second), cutFor: r.duration(100*ms, 4*second), oneWay: r.Float64(),
		crashes: r.duration(600*ms, 5*second), downFor: r.duration(50*ms, 3*second),
		survive: []float64{0, 0, 1, -1, -1}[r.IntN(5)], inWrites: r.Float64(),
		stops: r.maybe(2*second, 30*second), wipes: r.maybe(second, 20*second), joins: r.maybe(second, 20*second),
		changes: r.duration(100*ms, 3*second),
		pauses:  r.maybe(500*ms, 20*second), pauseFor: r.duration(50*ms, 4*second),
		jumps: r.maybe(second, 30*second), jump: r.duration(10*ms, 3600*second), drift: r.chance(0.001, 0.3),
		slow: r.maybe(second, 20*second), slowFor: r.duration(ms, 300*ms),
		diskErrors: r.maybe(2*second, 30*second), diskFull: r.maybe(2*second, 30*second), fullFor: r.duration(50*ms, 2*second),
		requests: r.duration(5*ms, 300*ms), burst: 1 + r.IntN(6), astray: r.between(0.05, 1),
		snapshotEntries: uint64(r.between(4, 400)), snapshotFor: r.duration(ms, 500*ms),
		segmentBytes: int64(r.between(1500, 100_000)), badStarts: r.chance(0.01, 0.3),
	}
	if p.nodes < 3 && r.on() {
		p.spare += 3 - p.nodes
	}
	p.governed = r.IntN(3) > 0
	p.retires = p.governed && r.IntN(20) == 0
	p.session, p.silent = r.duration(500*ms, 9*second), r.on()
	p.oldFormat = p.governed && r.IntN(4) == 0
	return p
}
