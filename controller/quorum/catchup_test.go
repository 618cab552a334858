package quorum

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	pb "go.etcd.io/raft/v3/raftpb"
)

// TestFollowerPublishesWhenItHasCaughtUp: nothing is shown by a node that does not know what had been answered before its start.
func TestFollowerPublishesWhenItHasCaughtUp(t *testing.T) {
	c := of(t, 2, 3)
	n := c.nodes[2]
	c.retention(1)
	n.crash()
	c.retention(2)
	var asked []*Message
	c.lose = func(_, _ *node, m *Message) bool {
		if m.GetType() == pb.MsgReadIndexResp {
			asked = append(asked, m)
			return true
		}
		return false
	}
	n.start()
	c.run(100)
	if n.applied != c.leader().applied {
		t.Fatalf("applied %d of %d", n.applied, c.leader().applied)
	}
	if n.deltas != 0 || len(asked) < 10 {
		t.Fatalf("%d deltas, %d questions", n.deltas, len(asked))
	}
	// The answers of before a start do not count after it.
	n.crash()
	n.start()
	c.until("the log is there", func() bool { return n.applied == c.leader().applied })
	for _, m := range asked[:10] {
		n.Step(m)
		n.turn()
	}
	if n.deltas != 0 {
		t.Fatal("an answer to another process was believed")
	}
	c.lose = nil
	c.until("it shows something", func() bool { return n.deltas > 0 })
	if n.deltas != 1 || n.retention() != "2" {
		t.Errorf("%d deltas, retention %q", n.deltas, n.retention())
	}
}

// TestNobodyPublishesWithoutMajority: a node alone of three shows nothing, and answers nothing.
func TestNobodyPublishesWithoutMajority(t *testing.T) {
	c := of(t, 3, 3)
	for _, n := range c.nodes {
		n.crash()
	}
	n := c.nodes[0]
	n.start()
	a := n.ask(property("log.retention.ms", "5"))
	c.run(400)
	if n.deltas != 0 || !errors.Is(a.err, kerr.NotController) {
		t.Errorf("%d deltas, answer %v", n.deltas, a.err)
	}
}

// TestFounderDoesNotElectItself: it was alone once. A power cut that takes the commit from it must not make it believe that it still is.
func TestFounderDoesNotElectItself(t *testing.T) {
	c := of(t, 4, 3)
	founder := c.nodes[0]
	c.until("the founder is not needed", func() bool { return c.level() })
	founder.crash()
	c.retention(1)
	term := c.leader().term
	c.lose = func(from, to *node, _ *Message) bool { return from == founder || to == founder }
	founder.start()
	c.run(200)
	if founder.leads || founder.deltas > 0 || founder.Status().Term > term {
		t.Fatalf("the founder leads: %+v", founder.Status())
	}
	c.lose = nil
	c.checkEqual()
}
