package quorum

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"ottla/protocol"
)

// questions is who wants to know what is committed. Those that come while one is asked share the next one.
type questions struct {
	// Rounds of this start begin with nonce: an answer to one from before it may be older than the question.
	nonce [8]byte
	round uint64 // of the newest that raft was asked
	wait  int    // ticks until the next one
	open  []question
}

// question is answered by its round, or by a later one.
type question struct {
	round uint64
	until uint64 // tick
	done  func(protocol.Offset, error)
}

// questionTicks is how long a question may stay open: two seconds, in which a quorum that has a majority has a leader.
const questionTicks = 80

func newQuestions() (qs questions) {
	_, _ = rand.Read(qs.nonce[:]) // never fails: crypto/rand aborts the process instead
	return qs
}

// Committed calls done once with the offset behind the last entry that the leader had committed at some moment after this call, as a majority has confirmed it: whoever has all
// before that offset has all that was ever answered before. This node need not have it yet. Any member may be asked. done is called by Ready, Expire or Close. Errors:
// NOT_CONTROLLER if nobody leads, or nobody answers, for two seconds.
func (q *Machine) Committed(done func(protocol.Offset, error)) {
	qs := &q.questions
	qs.open = append(qs.open, question{qs.round + 1, q.ticks + questionTicks, done})
}

// askQuestions asks the leader for those that nobody was asked for yet, and asks again for the others: questions and answers may be lost.
func (q *Machine) askQuestions() {
	qs := &q.questions
	if len(qs.open) == 0 || q.leader == raft.None {
		return
	}
	if newest := qs.open[len(qs.open)-1].round; newest <= qs.round && qs.wait > 0 {
		return
	}
	qs.round++
	qs.wait = askEvery
	q.node.ReadIndex(binary.BigEndian.AppendUint64(bytes.Clone(qs.nonce[:]), qs.round))
}

// noteAnswers answers who asked.
func (q *Machine) noteAnswers(states []raft.ReadState) {
	qs := &q.questions
	for _, s := range states {
		round, ours := bytes.CutPrefix(s.RequestCtx, qs.nonce[:])
		if !ours || len(round) != 8 {
			continue
		}
		n := 0
		for n < len(qs.open) && qs.open[n].round <= binary.BigEndian.Uint64(round) {
			n++
		}
		q.settleQuestions(n, protocol.Offset(s.Index+1), nil)
	}
}

func (q *Machine) expireQuestions() {
	q.questions.wait--
	n := 0
	for n < len(q.questions.open) && q.questions.open[n].until <= q.ticks {
		n++
	}
	q.settleQuestions(n, protocol.NoOffset, ErrNotController)
}

func (q *Machine) dropQuestions() {
	q.settleQuestions(len(q.questions.open), protocol.NoOffset, ErrNotController)
}

// settleQuestions answers the oldest n.
func (q *Machine) settleQuestions(n int, at protocol.Offset, err error) {
	settled := q.questions.open[:n]
	if q.questions.open = q.questions.open[n:]; len(q.questions.open) == 0 {
		q.questions.open = nil
	}
	for i := range settled {
		settled[i].done(at, err)
	}
}

// contactTicks is how long a member may hear nothing of a leader before it counts as cut off: two seconds, longer than an election takes.
const contactTicks = 80

// InContact tells whether this node is, or has lately heard of, a leader: what it has applied is then at most so old. It is counted in ticks, as whoever slept has not listened.
func (q *Machine) InContact() bool {
	return q.Alone() && q.leads || q.ticks-q.contact < contactTicks
}
