package quorum

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestSnapshotForOneThatWasAway: it installs it, tells its subscribers the difference, and goes on from the log. At its next start it has it.
func TestSnapshotForOneThatWasAway(t *testing.T) {
	c := newCluster(t, 5)
	c.entries = 20
	c.add(false)
	c.add(true)
	c.add(true)
	c.run(1)
	c.grow(1)
	n := c.nodes[2]
	n.lose(true)
	before := n.deltas
	for i := range 100 {
		c.retention(1000 + i)
	}
	if first, _ := c.leader().storage.FirstIndex(); first <= n.applied+1 {
		t.Fatalf("the log from %d on is still there, the node has %d", first, n.applied)
	}
	n.lose(false)
	c.checkEqual()
	if n.retention() != "1099" || n.deltas == before {
		t.Errorf("retention %q, %d deltas", n.retention(), n.deltas-before)
	}
	if n.storage.SnapshotMetadata() == nil {
		t.Error("no snapshot was installed")
	}
	c.retention(7)
	n.crash()
	n.start()
	c.checkEqual()
	if n.retention() != "7" {
		t.Errorf("retention %q", n.retention())
	}
}

// lose cuts a node off.
func (n *node) lose(cut bool) {
	n.c.lose = nil
	if cut {
		n.c.lose = func(from, to *node, _ *Message) bool { return from == n || to == n }
	}
}

// TestSnapshotForANewLearner: the one that there is does not know it, and would be ignored.
func TestSnapshotForANewLearner(t *testing.T) {
	c := newCluster(t, 6)
	c.entries = 20
	c.add(false)
	c.run(1)
	for i := range 100 {
		c.retention(1000 + i)
	}
	c.add(true)
	c.add(true)
	c.grow(1)
	c.checkEqual()
	if n := c.nodes[1]; n.storage.SnapshotMetadata() == nil || !covers(n.storage.SnapshotMetadata().GetConfState(), &pb.ConfState{Learners: []uint64{n.raftID}}) {
		t.Errorf("snapshot %v", n.storage.SnapshotMetadata())
	}
	c.nodes[0].crash()
	c.retention(1)
	c.nodes[0].start()
	c.checkEqual()
}

// TestLostSnapshotIsSentAgain, whether the transport knows of the loss or not, and a damaged one is not taken.
func TestLostSnapshotIsSentAgain(t *testing.T) {
	c := newCluster(t, 8)
	c.entries = 20
	for n := range 3 {
		c.add(n > 0)
	}
	c.run(1)
	c.grow(1)
	n := c.nodes[2]
	n.lose(true)
	for i := range 100 {
		c.retention(1000 + i)
	}
	sent := 0
	c.lose = func(_, to *node, m *Message) bool {
		if m.GetType() != pb.MsgSnap {
			return false
		}
		switch sent++; sent {
		case 1: // nobody tells
			return true
		case 2:
			c.leader().SnapshotSent(to.raftID, false)
			return true
		case 3:
			m.Snapshot.Data[len(m.Snapshot.Data)/2]++
			c.leader().SnapshotSent(to.raftID, true)
		}
		return false
	}
	c.checkEqual()
	if sent < 4 || n.retention() != "1099" {
		t.Errorf("sent %d times, retention %q", sent, n.retention())
	}
}
