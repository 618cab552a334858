package quorum

import "testing"

// TestForgottenLeaderIsReplacedAtOnce: the voters that know it gone do not wait for the election timeout, and do not split the votes.
func TestForgottenLeaderIsReplacedAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		c := of(t, 100+seed, []int{3, 5}[seed%2])
		gone := c.leader()
		c.run(int(seed % 7))
		term := gone.term
		gone.kill()
		for _, n := range c.up() {
			n.Forget(gone.raftID)
			n.turn()
		}
		ticks := 0
		for ; c.leader() == nil; ticks++ {
			c.run(1)
		}
		if l := c.leader(); ticks > turnTicks || l.term != term+1 {
			t.Errorf("seed %d: %d ticks, term %d after %d", seed, ticks, l.term, term)
		}
	}
}

// TestTheNextSuccessorTakesItsTurn: the first one is gone too.
func TestTheNextSuccessorTakesItsTurn(t *testing.T) {
	c := of(t, 11, 5)
	gone := c.leader()
	gone.kill()
	var first *node
	for _, n := range c.up() {
		n.Forget(gone.raftID)
		if n.succession.ticks == 1 {
			first = n
		}
	}
	first.kill()
	ticks := 0
	for ; c.leader() == nil; ticks++ {
		c.run(1)
	}
	if ticks > 3*turnTicks {
		t.Errorf("%d ticks", ticks)
	}
}

// TestForgottenByMistake: a leader that is there stays, and so does its term.
func TestForgottenByMistake(t *testing.T) {
	c := of(t, 12, 3)
	l := c.leader()
	term := l.term
	for round := range 10 {
		for i, n := range c.nodes {
			if n != l && (round%2 == 0 || i == 1) {
				n.Forget(l.raftID)
				n.turn()
			}
		}
		c.run(40)
		c.retention(round + 1)
	}
	if c.leader() == nil || c.leader().term > term+10 {
		t.Errorf("leader %v", c.leader())
	}
	c.checkEqual()
	// One voter alone never gets the others to leave a leader that they hear.
	c = of(t, 13, 3)
	l, term = c.leader(), c.leader().term
	for range 20 {
		c.nodes[1].Forget(l.raftID)
		c.nodes[1].turn()
		c.run(10)
	}
	if c.leader() != l || l.term != term {
		t.Errorf("term %d became %d", term, c.leader().term)
	}
}
