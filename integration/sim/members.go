package sim

import (
	"slices"

	"ottla/controller/quorum"
)

// raftID is that of the node's disk; 0 while it has none.
func (n *node) raftID() uint64 {
	if n.controller == nil {
		return 0
	}
	return n.controller.raftID
}

func (m *members) includes(id uint64) bool {
	return slices.Contains(m.voters, id) || slices.Contains(m.outgoing, id) || slices.Contains(m.learners, id)
}

// startMembers plans what operators do to the quorum.
func (s *simulation) startMembers() {
	p := &s.plan
	if p.governed {
		s.cover.Governed++
		s.often(p.changes, s.operate)
	} else {
		s.often(p.changes, s.changeMembers)
	}
	s.often(p.wipes, s.wipeOne)
	s.often(p.joins, func() {
		if p.spare > 0 {
			p.spare--
			s.cover.Joins++
			s.addNode()
		}
	})
}

// changeMembers, where no policy governs, asks the leader for one sound change: learners for nodes that are none, three voters of one, five of three, or another voter in the place of one.
func (s *simulation) changeMembers() {
	n := s.client.leader()
	if n == nil {
		return
	}
	c := n.controller
	st := c.machine.Status()
	var voters, learners, ready, strangers []uint64
	for _, m := range st.Members {
		switch {
		case m.Role == quorum.Voter:
			voters = append(voters, m.RaftID)
		case m.Role == quorum.Learner:
			learners = append(learners, m.RaftID)
			if m.Following && m.Match+10 >= st.Commit && s.net.home[m.RaftID] != nil {
				ready = append(ready, m.RaftID)
			}
		}
	}
	for _, other := range s.nodes {
		id := other.raftID()
		if id != 0 && !other.gone && s.net.home[id] == other && !slices.Contains(voters, id) && !slices.Contains(learners, id) {
			strangers = append(strangers, id)
		}
	}
	var changes []quorum.Change
	switch {
	case len(strangers) > 0 && s.dice.IntN(3) > 0:
		changes = append(changes, quorum.Change{RaftID: strangers[s.dice.IntN(len(strangers))], To: quorum.Learner})
	case len(ready) >= 2 && len(voters) < 5:
		for _, id := range ready[:2] {
			changes = append(changes, quorum.Change{RaftID: id, To: quorum.Voter})
		}
	case len(ready) > 0 && len(voters) > 1:
		old := s.replaceable(voters)
		changes = append(changes, quorum.Change{RaftID: ready[0], To: quorum.Voter}, quorum.Change{RaftID: old, To: []quorum.Role{quorum.Learner, quorum.NoMember}[s.dice.IntN(2)]})
		if s.net.home[old] == nil {
			changes[1].To = quorum.NoMember
		}
	case len(voters) == 3 && s.dice.IntN(6) == 0:
		for _, id := range voters {
			if id != c.raftID {
				changes = append(changes, quorum.Change{RaftID: id, To: quorum.Learner})
			}
		}
	default:
		for _, id := range learners {
			if s.net.home[id] == nil {
				changes = append(changes, quorum.Change{RaftID: id, To: quorum.NoMember})
			}
		}
	}
	if len(changes) == 0 {
		return
	}
	s.say("%d is asked for %v", n.number, changes)
	n.protect(func() {
		c.work(func() {
			c.machine.ChangeMembers(changes, func(err error) { s.say("%d changed members: %v", n.number, err) })
		})
	})
}

// replaceable is the voter to be replaced: one whose disk is gone first of all.
func (s *simulation) replaceable(voters []uint64) uint64 {
	for _, id := range voters {
		if s.net.home[id] == nil {
			return id
		}
	}
	return voters[s.dice.IntN(len(voters))]
}

// wipeOne takes a node's disk away, if the others hold what was committed without it: no change of the members is under way, and of the voters hardly any is without its disk.
func (s *simulation) wipeOne() {
	n := s.someone()
	if n == nil {
		return
	}
	m := &s.judge.members[len(s.judge.members)-1]
	lost := 0
	for _, id := range m.voters {
		if id == n.raftID() || s.net.home[id] == nil {
			lost++
		}
	}
	if len(m.outgoing) > 0 || lost > (len(m.voters)-1)/2 || s.changing() {
		return
	}
	s.cover.Wipes++
	s.say("%d loses its disk", n.number)
	delete(s.net.home, n.raftID())
	s.judge.wiped[n.raftID()] = n.controller
	n.down()
	n.controller, n.promised, n.disk, n.joins = nil, newPromises(), newDisk(), true
	n.restartLater()
}

// changing tells whether any node has a change of the members in its log that is not committed, or has not applied the last one.
func (s *simulation) changing() bool {
	m := &s.judge.members[len(s.judge.members)-1]
	for _, n := range s.nodes {
		c := n.controller
		if c == nil || !m.includes(c.raftID) {
			continue
		}
		if !n.up || c.machine.Standing().Applied < m.index || c.machine.Status().Changing {
			return true
		}
		last, _ := c.storage.LastIndex()
		if uncommitted(c, s.judge.end(), last) {
			return true
		}
	}
	return false
}

// uncommitted tells whether there is a change of the members behind what is committed.
func uncommitted(c *controller, end, last uint64) bool {
	if last <= end {
		return false
	}
	es, err := c.storage.Entries(end+1, last+1, 1<<40)
	if err != nil {
		return true
	}
	for _, e := range es {
		if e.GetType() != 0 {
			return true
		}
	}
	return false
}
