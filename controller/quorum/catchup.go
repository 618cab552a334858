package quorum

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"ottla/controller/image"
	"ottla/controller/sabotage"
)

// askEvery is how many ticks a question for the leader's commit stays unanswered before the next one.
const askEvery = 4

// catchUp is how far a node has to apply before its image may be seen: what the leader had committed at some moment after this start.
type catchUp struct {
	done bool // the image has been published
	// Questions of this start begin with nonce: an answer to one from before it may be older than what was published then.
	nonce [8]byte
	asked uint64 // questions
	wait  int    // ticks until the next one
	index uint64 // the answer; 0 is none, since the first entry adds the founder
}

func newCatchUp() (c catchUp) {
	_, _ = rand.Read(c.nonce[:]) // never fails: crypto/rand aborts the process instead
	return c
}

// askCommit asks the leader what it has committed, if that is still to be known. It is asked again until it answers: questions and answers may be lost.
func (q *Machine) askCommit() {
	c := &q.catchUp
	if c.done || c.index > 0 || q.leads || q.leader == raft.None || c.wait > 0 {
		return
	}
	c.asked++
	c.wait = askEvery
	q.node.ReadIndex(binary.BigEndian.AppendUint64(bytes.Clone(c.nonce[:]), c.asked))
}

func (q *Machine) noteCommit(states []raft.ReadState) {
	for _, s := range states {
		if bytes.HasPrefix(s.RequestCtx, q.catchUp.nonce[:]) {
			q.catchUp.index = max(q.catchUp.index, s.Index)
		}
	}
}

// caughtUp tells whether everything that may ever have been answered before this start is applied. A leader knows when its term's first entry is; others ask it.
func (q *Machine) caughtUp() bool {
	c := &q.catchUp
	return c.done || q.committed.ClusterID() != "" && (q.mayDecide() || c.index > 0 && q.applied >= c.index)
}

// publish shows the committed state, to which delta led. The first time comes when the node has caught up, and shows everything.
// Before that, topics would seem to be missing whose records are further on in the log.
func (q *Machine) publish(delta *image.Delta) {
	switch {
	case q.catchUp.done:
		if sabotage.On(sabotage.SkipDelta) {
			delta = &image.Delta{Topics: delta.Topics, Brokers: delta.Brokers}
		}
		q.o.Publish(q.committed, delta)
	case q.caughtUp():
		q.catchUp.done = true
		q.o.Publish(q.committed, image.Diff(image.Empty(), q.committed))
	}
}
