package quorum

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/log/vfs"
	"ottla/protocol"
)

// told is what became of a question.
type told struct {
	at    protocol.Offset
	err   error
	count int
}

func (n *node) committed() *told {
	a := &told{}
	n.Committed(func(at protocol.Offset, err error) { a.at, a.err, a.count = at, err, a.count+1 })
	n.turn()
	return a
}

// TestCommitted: whoever is asked, it names nothing less than what had been answered before.
func TestCommitted(t *testing.T) {
	c := of(t, 5, 3)
	learner := c.add(true)
	c.change(Change{learner.raftID, Learner})
	c.until("the learner has the log", c.level)
	for i, n := range c.nodes {
		c.retention(i + 1)
		want := protocol.Offset(c.leader().applied + 1)
		a := n.committed()
		c.run(2)
		if a.count != 1 || a.err != nil || a.at < want || a.at > protocol.Offset(c.leader().lastIndex+1) {
			t.Errorf("node %d: %+v, want %d", n.id, a, want)
		}
	}
}

// TestCommittedAlone: a sole voter, which never ticks, knows at once, and one that has not begun to lead as soon as it does.
func TestCommittedAlone(t *testing.T) {
	v := open(t, vfs.NewMem())
	n := &node{c: &cluster{t: t}, Machine: v.Machine}
	for i := range 3 {
		a := n.committed()
		if a.count != 1 || a.err != nil || a.at > protocol.Offset(v.applied+1) || i > 0 && a.at != protocol.Offset(v.applied+1) {
			t.Errorf("%+v, applied %d", a, v.applied)
		}
	}
	v.Close()
}

// TestQuestionsOfManyAreOne: a thousand observers that start at once are one question to the leader.
func TestQuestionsOfManyAreOne(t *testing.T) {
	c := of(t, 6, 3)
	n := c.nodes[2]
	if n == c.leader() {
		n = c.nodes[1]
	}
	asked := 0
	c.lose = func(_, _ *node, m *Message) bool {
		if m.GetType() == pb.MsgReadIndex {
			asked++
		}
		return false
	}
	answered := 0
	for range 1000 {
		n.Committed(func(protocol.Offset, error) { answered++ })
	}
	n.turn()
	c.run(1)
	if answered != 1000 || asked != 1 {
		t.Errorf("%d answers to %d questions", answered, asked)
	}
}

// TestQuestionsAreAskedAgain when they or their answers are lost; what was meant for another process is no answer, and without a leader there is none.
func TestQuestionsAreAskedAgain(t *testing.T) {
	c := of(t, 7, 3)
	n := c.nodes[2]
	if n == c.leader() {
		n = c.nodes[1]
	}
	var kept []*Message
	c.lose = func(_, _ *node, m *Message) bool {
		if m.GetType() == pb.MsgReadIndexResp {
			kept = append(kept, m)
			return true
		}
		return false
	}
	a := n.committed()
	c.run(questionTicks / 2)
	if a.count != 0 || len(kept) < 5 {
		t.Fatalf("%+v after %d questions", a, len(kept))
	}
	n.crash()
	n.start()
	c.lose = func(_, _ *node, m *Message) bool {
		return m.GetType() == pb.MsgReadIndex || m.GetType() == pb.MsgReadIndexResp
	}
	c.until("it has a leader", func() bool { return n.leader != 0 })
	a = n.committed()
	for _, m := range kept {
		n.Step(m)
		n.turn()
	}
	if a.count != 0 {
		t.Fatalf("an answer to another process was believed: %+v", a)
	}
	c.lose = nil
	c.run(2 * askEvery)
	if a.count != 1 || a.err != nil {
		t.Errorf("%+v", a)
	}
	c.lose = func(from, to *node, _ *Message) bool { return from == n || to == n }
	a = n.committed()
	c.run(questionTicks + 1)
	if a.count != 1 || !errors.Is(a.err, kerr.NotController) {
		t.Errorf("cut off: %+v", a)
	}
	a = n.committed()
	n.Close()
	if a.count != 1 || !errors.Is(a.err, kerr.NotController) {
		t.Errorf("at the end: %+v", a)
	}
	n.Machine = nil
}

// TestInContact: who hears of no leader says so, voter, leader and learner; an election alone is no reason.
func TestInContact(t *testing.T) {
	c := of(t, 8, 3)
	learner := c.add(true)
	c.change(Change{learner.raftID, Learner})
	c.until("the learner has the log", c.level)
	for _, n := range c.nodes {
		c.lose = func(from, to *node, _ *Message) bool { return from == n || to == n }
		c.run(contactTicks / 2)
		if !n.InContact() {
			t.Errorf("node %d is out of contact after a second", n.id)
		}
		c.run(2 * contactTicks)
		if n.InContact() {
			t.Errorf("node %d is cut off, and does not know", n.id)
		}
		for _, other := range c.nodes {
			if other != n && !other.InContact() {
				t.Errorf("node %d is out of contact because node %d is", other.id, n.id)
			}
		}
		c.lose = nil
		c.until("it is back", n.InContact)
	}
	sole := open(t, vfs.NewMem())
	if _, err := sole.Ready(c.now); err != nil || !sole.InContact() {
		t.Errorf("a sole voter: %v", err)
	}
	sole.Close()
}
