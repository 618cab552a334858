package quorum

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Status is the quorum as one of its nodes sees it.
type Status struct {
	RaftID uint64
	Leader uint64 // raft id; 0: not known
	Leads  bool   // it is this node, and it decides
	// Indexes are offsets of the metadata log.
	Term, Commit, Applied, LastIndex uint64
	// Changing says that a change of the members is in the log and not at its end.
	Changing bool
	Members  []Member // by raft id; as far as applied
}

// Member is one node of the quorum.
type Member struct {
	RaftID uint64
	Role   Role // in a joint configuration that which it will have
	// Leaving says that it is a voter until the joint configuration ends, and not after.
	Leaving bool

	// What follows is known to the leader only.

	Match  uint64 // the last index known to be on its disk
	Next   uint64 // the next one to be sent to it
	Active bool   // heard of since the last two election timeouts
	// Following says that it takes entries as they come, and is neither searched for where it stands nor given a snapshot.
	Following bool
	// Silent is for how long it has not been heard of; 0 for the leader itself. It counts time in which the leader was awake, from the start of the leadership on.
	Silent time.Duration
	// Heard says that it was heard of in this leadership.
	Heard bool
	// Caught says that it has been known to have all that the leader had; Behind is how long ago that was last so, counted like Silent. As Apache Kafka does, who has at one sign of life all that
	// there was at the one before was caught up then.
	Caught bool
	Behind time.Duration
}

// Status tells how the quorum is. It allocates.
func (q *Machine) Status() Status {
	rs := q.node.Status()
	s := Status{
		RaftID: rs.ID, Leader: rs.Lead, Leads: q.mayDecide(), Term: rs.GetTerm(), Commit: rs.GetCommit(), Applied: q.applied, LastIndex: q.lastIndex, Changing: q.changing(),
	}
	add := func(role Role, ids ...uint64) {
		for _, id := range ids {
			if !slices.ContainsFunc(s.Members, func(m Member) bool { return m.RaftID == id }) {
				s.Members = append(s.Members, Member{RaftID: id, Role: role})
			}
		}
	}
	add(Voter, q.conf.GetVoters()...)
	add(Learner, q.conf.GetLearners()...)
	add(Learner, q.conf.GetLearnersNext()...)
	add(NoMember, q.conf.GetVotersOutgoing()...)
	for n := range s.Members {
		m := &s.Members[n]
		m.Leaving = m.Role != Voter && slices.Contains(q.conf.GetVotersOutgoing(), m.RaftID)
		if p, ok := rs.Progress[m.RaftID]; ok {
			q.fill(m, p)
		}
	}
	slices.SortFunc(s.Members, func(a, b Member) int {
		if a.RaftID < b.RaftID {
			return -1
		}
		return 1
	})
	return s
}

func (q *Machine) fill(m *Member, p tracker.Progress) {
	m.Match, m.Next, m.Active = p.Match, p.Next, p.RecentActive
	m.Following = p.State == tracker.StateReplicate
	if m.RaftID == q.storage.RaftID() {
		m.Heard, m.Caught = true, true
		return
	}
	h, heard := q.heard.members[m.RaftID]
	m.Heard, m.Caught = heard, h.caught
	m.Silent = time.Duration(q.ticks-max(q.heard.start, h.at)) * Tick
	if h.caught {
		m.Behind = time.Duration(q.ticks-h.caughtAt) * Tick
	}
}

// hearing is when each member was heard of, in ticks: a leader that slept does not take everybody for dead.
type hearing struct {
	members map[uint64]heardOf
	start   uint64 // of the leadership: nobody was silent before
}

// heardOf is the last sign of life of one member, and when it was last caught up.
type heardOf struct {
	at, end  uint64 // the tick, and our last index then
	caughtAt uint64 // the tick
	caught   bool
}

func (h *hearing) restart(ticks uint64) {
	*h = hearing{start: ticks, members: make(map[uint64]heardOf)}
}

// hear notes a sign of life of a member, after raft has taken it.
func (q *Machine) hear(id uint64) {
	if !q.leads || !q.member(id) {
		return
	}
	match := uint64(0)
	q.node.WithProgress(func(other uint64, _ raft.ProgressType, p tracker.Progress) {
		if other == id {
			match = p.Match
		}
	})
	h, before := q.heard.members[id]
	switch {
	case match >= q.lastIndex:
		h.caught, h.caughtAt = true, q.ticks
	case before && match >= h.end:
		h.caught, h.caughtAt = true, h.at
	}
	h.at, h.end = q.ticks, q.lastIndex
	q.heard.members[id] = h
}

// Alone tells whether this node is the only member, as far as applied: there is nobody to wait for, and nobody to tell.
func (q *Machine) Alone() bool {
	return q.soleVoter() && len(q.conf.GetLearners()) == 0 && len(q.conf.GetLearnersNext()) == 0
}

func (q *Machine) soleVoter() bool {
	return slices.Equal(q.conf.GetVoters(), []uint64{q.storage.RaftID()}) && len(q.conf.GetVotersOutgoing()) == 0
}

func (q *Machine) member(id uint64) bool {
	c := q.conf
	for _, ids := range [][]uint64{c.GetVoters(), c.GetLearners(), c.GetLearnersNext(), c.GetVotersOutgoing()} {
		if slices.Contains(ids, id) {
			return true
		}
	}
	return false
}
