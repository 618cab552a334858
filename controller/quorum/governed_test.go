package quorum

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ottla/controller/image"
)

// TestGovernedThroughFaults: nodes die, lose power, lose their disks and one another, for longer than it takes to be replaced. What was answered is in every image, there are never two or four
// voters, and in the end there are three, which all nodes agree on.
func TestGovernedThroughFaults(t *testing.T) {
	const seeds = 8
	sets := 0
	for seed := range uint64(seeds) {
		c := newCluster(t, 1000+seed)
		c.govern, c.entries = true, 30
		for n := range 5 {
			c.add(n > 0)
		}
		for _, n := range c.nodes {
			c.register(n)
		}
		c.watch()
		c.until("three voters", func() bool { return len(c.voters()) == 3 && !c.leader().changing() })
		f := faults{c: c, sets: map[string]bool{}, dice: rand.New(rand.NewPCG(seed, 9))}
		for range 40 {
			f.step()
		}
		f.heal()
		sets += len(f.sets)
	}
	t.Logf("%d seeds, %d sets of voters", seeds, sets)
	if sets < 2*seeds {
		t.Errorf("only %d sets of voters in %d seeds", sets, seeds)
	}
}

type faults struct {
	c    *cluster
	dice *rand.Rand
	cut  *node           // from all others
	last int             // what was answered last
	sets map[string]bool // of voters
}

func (f *faults) step() {
	c := f.c
	n := c.nodes[f.dice.IntN(len(c.nodes))]
	switch f.dice.IntN(12) {
	case 0:
		f.down(n)
	case 1, 2:
		f.up(n)
	case 3:
		f.cut = n
		n.lose(true)
	case 4:
		f.cut = nil
		n.lose(false)
	case 5:
		f.wipe(n)
	case 6: // replaced is who is down, or cut off
		c.run(int(11 * time.Minute / Tick))
	}
	c.run(f.dice.IntN(60))
	f.change()
	f.check()
}

func (f *faults) down(n *node) {
	switch {
	case n.Machine == nil:
	case f.dice.IntN(2) == 0:
		n.kill()
	default:
		n.crash()
	}
}

func (f *faults) up(n *node) {
	if n.Machine == nil {
		n.start()
	}
}

// change asks the leader for something, if there is one; what it answers counts.
func (f *faults) change() {
	l := f.c.leader()
	if l == nil {
		return
	}
	next := f.last + 1
	a := l.ask(propertyOf(next))
	f.c.run(20)
	if a.resp != nil {
		f.last = next
	}
}

// wipe takes the disk of a node away that the others can do without: everything is as it should be, and each voter's disk is there.
func (f *faults) wipe(n *node) {
	c := f.c
	if len(c.up()) < len(c.nodes) || f.cut != nil || n == c.leader() || !c.level() || len(c.voters()) != 3 || c.leader().changing() {
		return
	}
	for _, id := range c.leader().conf.GetVoters() {
		if c.find(id) == nil {
			return
		}
	}
	n.wipe()
	c.register(n)
}

// check looks for a leader that misses what was answered.
func (f *faults) check() {
	l := f.c.leader()
	if l == nil {
		return
	}
	f.sets[fmt.Sprint(l.conf.GetVoters())] = true
	if number(l) < f.last {
		f.c.t.Fatalf("node %d leads with %d, %d was answered", l.id, number(l), f.last)
	}
}

func (f *faults) heal() {
	c := f.c
	c.lose = nil
	for _, n := range c.nodes {
		f.up(n)
	}
	c.until("three voters, all of them there", func() bool {
		l := c.leader()
		return l != nil && !l.changing() && len(l.conf.GetVoters()) == 3 && len(l.conf.GetLearners()) == 2 &&
			!slices.ContainsFunc(l.conf.GetVoters(), func(id uint64) bool { return c.find(id) == nil })
	})
	c.checkEqual()
	for _, n := range c.nodes {
		if number(n) < f.last || !image.Diff(c.leader().shown, n.shown).Empty() {
			c.t.Errorf("node %d shows %d, %d was answered", n.id, number(n), f.last)
		}
	}
}
