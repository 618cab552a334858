package quorum

import (
	"cmp"
	"slices"
	"time"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/config"
)

const (
	// lostAfter is how long a voter has to be silent before another node takes its place.
	lostAfter = 10 * time.Minute
	// promotableLag is how many entries a learner that becomes a voter may be behind: what it gets within a few messages.
	promotableLag = 100
	// promotableSilence is how long a learner that becomes a voter may not have been heard of: heartbeats come ten times as often.
	promotableSilence = time.Second
	// reviewTicks is how often the leader looks at the members.
	reviewTicks = 4
)

// review is the leader's looking after the members.
type review struct {
	at  uint64 // tick of the last one
	due bool   // something was registered or has changed since
}

// reviewMembers proposes the next change of the members, if one is due, and the level of the records' format that all nodes read by now. It is for a leader with Options.Govern.
func (q *Machine) reviewMembers() {
	if !q.o.Govern || !q.mayDecide() || q.changing() || q.ending() {
		return
	}
	due := q.review.due || !q.Alone() && q.ticks-q.review.at >= reviewTicks
	if !due || !q.mayPropose() {
		return
	}
	q.review = review{at: q.ticks}
	if rs := decide.RaiseFormat(q.speculative); len(rs) > 0 {
		if err := q.propose(pending{}, rs); err != nil {
			q.o.Logger.Warn("level of metadata records was not raised", "error", err)
		}
	}
	if changes := plan(q.Status(), q.committed.Controllers(), q.wantedVoters()); len(changes) > 0 {
		q.ChangeMembers(changes, func(err error) {
			if q.review.due = true; err != nil {
				q.o.Logger.Warn("members of the metadata quorum were not changed", "changes", changes, "error", err)
			}
		})
	}
}

// noteRegistered has the members looked at after a change of what they come from.
func (q *Machine) noteRegistered(d *image.Delta) {
	if d == nil || len(d.Controllers) > 0 || len(d.Brokers) > 0 || len(d.Configs) > 0 || d.Features || d.Controller {
		q.review.due = true
	}
}

func (q *Machine) wantedVoters() int {
	return int(config.Values{Static: q.o.Static, DynamicDefault: q.committed.Config(config.Broker, "")}.Int("ottla.quorum.voters"))
}

// isVoter tells whether a node is one of the voters.
func (q *Machine) isVoter(id protocol.BrokerID) bool {
	return slices.ContainsFunc(q.controllers(), func(c *image.Controller) bool { return c.ID == id && slices.Contains(q.conf.GetVoters(), c.RaftID) })
}

// controllers is who is registered as one, by node id, and this node in any case: one that is alone may not have registered.
func (q *Machine) controllers() []*image.Controller {
	list := q.committed.Controllers()
	n, registered := slices.BinarySearchFunc(list, q.o.NodeID, func(c *image.Controller, id protocol.BrokerID) int { return cmp.Compare(c.ID, id) })
	if registered {
		return list
	}
	self := &image.Controller{ID: q.o.NodeID, RaftID: q.storage.RaftID()}
	if b := q.committed.Broker(self.ID); b != nil {
		self.Endpoints = b.Endpoints
		if len(b.Dirs) > 0 {
			self.Directory = b.Dirs[0] // where the metadata log lies
		}
	}
	return slices.Insert(slices.Clone(list), n, self)
}

// plan is the next change of the members; none if all is as it should be. want is how many voters there are to be.
//
//   - Who is registered is a member: a learner first. Who is no longer registered, or has another raft id since its disk was lost, goes; a voter only when another takes its place.
//   - A voter that was silent for lostAfter is replaced by a learner that has the log, and learns from then on. It is never merely dropped: that would make the majority smaller
//     because of a failure, and the next failure fatal.
//   - There are 1, 3 or 5 voters, never 2 or 4: an even number survives no more failures than one less, and has more nodes to fail. So they come and go in pairs.
func plan(s Status, controllers []*image.Controller, want int) []Change {
	if !s.Leads || s.Changing {
		return nil
	}
	g := roster{Status: s, controllers: controllers}
	for _, rule := range []func() []Change{g.replaceLost, g.tidyLearners, g.grow(want), g.shrink(want)} {
		if changes := rule(); len(changes) > 0 {
			return changes
		}
	}
	return nil
}

// roster is members and registrations side by side.
type roster struct {
	Status
	controllers []*image.Controller // by node id
}

func (g *roster) registered(raftID uint64) *image.Controller {
	for _, c := range g.controllers {
		if c.RaftID == raftID {
			return c
		}
	}
	return nil
}

func (g *roster) node(id int32) *image.Controller {
	for _, c := range g.controllers {
		if int32(c.ID) == id {
			return c
		}
	}
	return nil
}

func (g *roster) member(raftID uint64) *Member {
	for n := range g.Members {
		if g.Members[n].RaftID == raftID {
			return &g.Members[n]
		}
	}
	return nil
}

func (g *roster) voters() (voters []*Member) {
	for n := range g.Members {
		if g.Members[n].Role == Voter {
			voters = append(voters, &g.Members[n])
		}
	}
	return voters
}

// candidates are the learners that could vote now, by node id.
func (g *roster) candidates() (ids []uint64) {
	for _, c := range g.controllers {
		if m := g.member(c.RaftID); m != nil && g.promotable(m) {
			ids = append(ids, m.RaftID)
		}
	}
	return ids
}

func (g *roster) promotable(m *Member) bool {
	return m.Role == Learner && m.Active && m.Following && m.Silent <= promotableSilence && m.Match+promotableLag >= g.LastIndex
}

// lost tells whether a voter is to be replaced. The leader itself is not: it is here.
func (g *roster) lost(m *Member) bool {
	return m.RaftID != g.RaftID && (m.Silent >= lostAfter || g.registered(m.RaftID) == nil)
}

// instead is a voter leaving: it learns on, unless its disk is no more.
func (g *roster) instead(m *Member) Change {
	if g.registered(m.RaftID) == nil && m.RaftID != g.RaftID {
		return Change{m.RaftID, NoMember}
	}
	return Change{m.RaftID, Learner}
}

// knowsVoters tells whether every voter is registered. Before that none are added: one that is known only later, as a founder's registration may be, would be taken for lost by the next leader.
func (g *roster) knowsVoters() bool {
	return !slices.ContainsFunc(g.voters(), func(m *Member) bool { return g.registered(m.RaftID) == nil })
}

func (g *roster) replaceLost() []Change {
	candidates := g.candidates()
	if len(candidates) == 0 {
		return nil
	}
	var worst *Member
	for _, m := range g.voters() {
		if g.lost(m) && (worst == nil || g.registered(m.RaftID) == nil && g.registered(worst.RaftID) != nil) {
			worst = m
		}
	}
	if worst == nil {
		return nil
	}
	return []Change{{candidates[0], Voter}, g.instead(worst)}
}

// tidyLearners adds one that is missing, or removes one whose node is not registered any more.
func (g *roster) tidyLearners() []Change {
	for _, c := range g.controllers {
		if g.member(c.RaftID) == nil {
			return []Change{{c.RaftID, Learner}}
		}
	}
	for n := range g.Members {
		if m := &g.Members[n]; m.Role == Learner && g.registered(m.RaftID) == nil {
			return []Change{{m.RaftID, NoMember}}
		}
	}
	return nil
}

func (g *roster) grow(want int) func() []Change {
	return func() (changes []Change) {
		voters, candidates := len(g.voters()), g.candidates()
		step := pair(voters)
		if voters+step > want || len(candidates) < step || !g.knowsVoters() {
			return nil
		}
		for _, id := range candidates[:step] {
			changes = append(changes, Change{id, Voter})
		}
		return changes
	}
}

// pair is how many voters come or go at once: two, or one where there is an even number, which nobody makes here.
func pair(voters int) int { return 1 + voters%2 }

// shrink makes those voters learners that are of least use: the lost ones, then the last by node id.
func (g *roster) shrink(want int) func() []Change {
	return func() (changes []Change) {
		voters := g.voters()
		step := pair(len(voters))
		if len(voters)-step < want {
			return nil
		}
		voters = slices.DeleteFunc(voters, func(m *Member) bool { return m.RaftID == g.RaftID })
		slices.SortStableFunc(voters, func(a, b *Member) int {
			return cmp.Or(-compareBool(g.lost(a), g.lost(b)), compareBool(a.Active, b.Active), -cmp.Compare(g.nodeID(a), g.nodeID(b)))
		})
		active := 1 // the leader
		for _, m := range voters[step:] {
			if m.Active {
				active++
			}
		}
		if left := len(voters) + 1 - step; active <= left/2 {
			return nil // no majority would be left
		}
		for _, m := range voters[:step] {
			changes = append(changes, g.instead(m))
		}
		return changes
	}
}

func (g *roster) nodeID(m *Member) protocol.BrokerID {
	if c := g.registered(m.RaftID); c != nil {
		return c.ID
	}
	return protocol.NoBroker
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
