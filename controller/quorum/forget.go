package quorum

import (
	"slices"

	"go.etcd.io/raft/v3"
)

const (
	// turnTicks is how long one voter has for its election before the next one tries: two rounds of messages and two flushes, of a disk that is not the best.
	turnTicks = 6
	// turnRounds is how often each voter tries; then raft's own timeout takes over.
	turnRounds = 3
)

// succession is the election after a leader whose process is known to be gone. The voters take turns, so that no two campaigns split the votes.
type succession struct {
	gone   uint64 // the leader; 0: no succession
	term   uint64
	ticks  int // until it is our turn
	every  int // ticks from one of our turns to the next
	rounds int // turns left
}

// Forget says that the process of a node is known to be gone, not only silent: its connections were reset, and refused again. If it led, its place is free at once, and need not be until the
// election timeout. If it is alive after all, its next heartbeat makes it the leader again, and voters that hear of it do not take part.
func (q *Machine) Forget(raftID uint64) {
	if raftID == raft.None || q.leader != raftID || q.leads {
		return
	}
	if err := q.node.ForgetLeader(); err != nil {
		q.o.Logger.Debug("leader not forgotten", "error", err)
		return
	}
	q.o.Logger.Info("the leader of the metadata quorum is gone", "raft_id", raftID)
	successors := slices.DeleteFunc(slices.Sorted(slices.Values(q.conf.GetVoters())), func(id uint64) bool { return id == raftID })
	turn := slices.Index(successors, q.storage.RaftID())
	if turn < 0 {
		return
	}
	q.succession = succession{gone: raftID, term: q.node.BasicStatus().GetTerm(), ticks: 1 + turn*turnTicks, every: len(successors) * turnTicks, rounds: turnRounds}
}

// succeed campaigns when it is our turn. It ends with the first sign of a leader or of another election.
func (q *Machine) succeed() {
	s := &q.succession
	if s.gone == raft.None {
		return
	}
	status := q.node.BasicStatus()
	if status.Lead != raft.None || status.GetTerm() != s.term || s.rounds == 0 {
		*s = succession{}
		return
	}
	if s.ticks--; s.ticks > 0 {
		return
	}
	s.ticks, s.rounds = s.every, s.rounds-1
	if err := q.node.Campaign(); err != nil {
		q.o.Logger.Debug("no campaign", "error", err)
	}
}
