package quorum

import "go.etcd.io/raft/v3"

// Standing is where a machine stands, in a few numbers that cost nothing.
type Standing struct {
	Term, Commit, Applied uint64
	// Leads is raft's word: deciding may begin later.
	Leads bool
}

// Standing tells where the machine stands.
func (q *Machine) Standing() Standing {
	s := q.node.BasicStatus()
	return Standing{Term: s.GetTerm(), Commit: s.GetCommit(), Applied: q.applied, Leads: s.RaftState == raft.StateLeader}
}
