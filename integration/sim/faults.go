package sim

import (
	"fmt"
	"time"
)

// startFaults plans the first of each kind.
func (s *simulation) startFaults() {
	p := &s.plan
	s.often(p.crashes, s.crashOne)
	s.often(p.stops, func() { s.withOne(func(n *node) { n.stop() }) })
	s.often(p.cuts, s.net.split)
	s.often(p.pauses, func() { s.withOne(func(n *node) { n.pause(s.about(p.pauseFor)) }) })
	s.often(p.jumps, func() { s.withOne(func(n *node) { n.jump(s.about(p.jump)) }) })
	s.often(p.slow, func() { s.withOne(func(n *node) { n.slow(s.about(p.slowFor) * 20) }) })
	s.often(p.diskErrors, func() { s.withOne(func(n *node) { n.breakDisk() }) })
	s.often(p.diskFull, func() { s.withOne(func(n *node) { n.fillDisk() }) })
	s.startMembers()
}

// withOne lets something happen to a node that runs, if one does.
func (s *simulation) withOne(do func(*node)) {
	if n := s.someone(); n != nil {
		do(n)
	}
}

// someone is a node that runs; nil if none does.
func (s *simulation) someone() *node {
	up := 0
	for _, n := range s.nodes {
		if n.up {
			up++
		}
	}
	if up == 0 {
		return nil
	}
	k := s.dice.IntN(up)
	for _, n := range s.nodes {
		if n.up {
			if k == 0 {
				return n
			}
			k--
		}
	}
	return nil
}

// survival is how much of what was not synced outlives a crash.
func (s *simulation) survival() float64 {
	if s.plan.survive >= 0 {
		return s.plan.survive
	}
	if k := s.dice.IntN(4); k < 2 {
		return float64(k)
	}
	return s.dice.Float64()
}

// crashOne crashes a node, between two events or in the middle of writing; now and then all of them at once.
func (s *simulation) crashOne() {
	if s.dice.IntN(12) == 0 {
		for _, n := range s.nodes {
			if n.up {
				n.crash(s.survival())
			}
		}
		return
	}
	n := s.someone()
	if n == nil {
		return
	}
	if !s.chance(s.plan.inWrites) || n.disk.sick {
		n.crash(s.survival())
		return
	}
	n.disk.cutAt(1+s.dice.IntN(12), s.dice.IntN(2) == 0)
	starts := n.starts
	s.after(time.Second, func() {
		if n.up && n.starts == starts {
			n.crash(s.survival()) // it has not written
		}
	})
}

// pause lets the process sleep. When it wakes up its clock has gone on.
func (n *node) pause(d time.Duration) {
	n.s.cover.Pauses++
	n.s.say("%d sleeps for %v", n.number, d)
	n.busyUntil = max(n.busyUntil, n.s.now+d)
}

// wake ends its sleep early: its deadline was put off until the end that was planned.
func (n *node) wake() {
	n.busyUntil = min(n.busyUntil, n.s.now)
	if n.up {
		n.controller.tick = time.Time{}
		n.controller.plan()
	}
}

// jump sets the clock forward, as one does that was wrong or a machine that was suspended. (Backward the clock that Go's timers follow never goes.)
func (n *node) jump(d time.Duration) {
	n.s.cover.Jumps++
	n.s.say("%d's clock jumps by %v", n.number, d)
	n.clock.jump(n.s.now, d)
	n.controller.plan()
}

// slow makes every write of the disk take some time for a while.
func (n *node) slow(d time.Duration) {
	n.s.cover.SlowDisks++
	n.s.say("%d's disk is slow for %v", n.number, d)
	n.slowUntil = n.s.now + d
}

func (n *node) breakDisk() {
	n.s.cover.DiskErrors++
	n.s.say("%d's disk fails", n.number)
	n.disk.failing(n.s.dice)
	n.healDiskLater()
}

func (n *node) fillDisk() {
	n.s.cover.DiskFull++
	n.s.say("%d's disk is full", n.number)
	if err := n.disk.fill(n.s.dice); err != nil {
		n.s.fail(err)
	}
	n.healDiskLater()
}

func (n *node) breakOrFill() {
	if n.s.dice.IntN(2) == 0 {
		n.breakDisk()
	} else {
		n.fillDisk()
	}
}

func (n *node) healDiskLater() {
	d := n.disk.fs
	n.s.after(n.s.about(n.s.plan.fullFor), func() {
		if n.disk.fs == d {
			n.disk.heal()
		}
	})
}

// expectFailure accepts the end of a node whose disk fails, and of no other.
func (s *simulation) expectFailure(n *node, err error) {
	if !n.disk.sick {
		s.fail(fmt.Errorf("node %d is at its end, and its disk is well: %w", n.number, err))
	}
}
