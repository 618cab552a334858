package classic

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rebalanceOrComplete begins a rebalance where none has begun, else goes on with it.
func (s *Groups) rebalanceOrComplete(t *turn, g *group, reason string) {
	if g.state == preparing {
		s.maybeComplete(t, g)
	} else {
		s.prepareRebalance(t, g, reason)
	}
}

// prepareRebalance asks everybody to join anew.
func (s *Groups) prepareRebalance(t *turn, g *group, reason string) {
	first := s.interrupt(t.now, g, reason)
	switch {
	case first:
		g.initialDelay, g.initialLeft = s.InitialRebalanceDelay, max(g.rebalanceTimeout()-s.InitialRebalanceDelay, 0)
		g.newcomer = false
		s.deadlines.set(g.joinTimer, t.now.Add(g.initialDelay))
	case g.allJoined():
		s.complete(t, g)
	default:
		s.deadlines.set(g.joinTimer, t.now.Add(g.rebalanceTimeout()))
	}
}

// maxReason bounds, in bytes, what is kept of a reason: it is in part what clients and their names say, and is kept for as long as the group.
const maxReason = 1000

// interrupt ends what a group is doing; a rebalance has begun then. It tells whether the group was empty.
func (s *Groups) interrupt(now time.Time, g *group, reason string) (first bool) {
	if g.state == completing {
		s.clearAssignments(g, kerr.RebalanceInProgress)
	}
	s.settleAll(g)
	first = g.state == empty
	g.initialDelay = 0
	g.transition(now, preparing)
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	g.rebalance = Rebalance{Reason: reason, Began: now}
	return first
}

// settleAll says that nobody owes a SyncGroup.
func (s *Groups) settleAll(g *group) {
	for _, m := range g.members {
		g.settle(m)
	}
	s.deadlines.stop(g.syncTimer)
}

// maybeComplete ends the joining if everybody has joined. The first members of a group wait for their timer instead.
func (s *Groups) maybeComplete(t *turn, g *group) {
	if g.state == preparing && g.previous != empty && g.allJoined() {
		s.complete(t, g)
	}
}

// joinTimeout is when the time to join is over. That of a group's first members is prolonged while others come.
func (s *Groups) joinTimeout(t *turn, g *group) {
	if g.state != preparing {
		return
	}
	if g.initialDelay > 0 && g.newcomer && g.initialLeft > 0 {
		g.newcomer = false
		last := g.initialDelay
		g.initialDelay = min(s.InitialRebalanceDelay, g.initialLeft)
		g.initialLeft = max(g.initialLeft-last, 0)
		s.deadlines.set(g.joinTimer, t.now.Add(g.initialDelay))
		return
	}
	s.complete(t, g)
}

// leastWait is between two looks for static members that are away. Their rebalance timeouts come from clients and may be 0: the timer would be due again at once, for ever.
const leastWait = time.Second

// complete ends the joining. Dynamic members that have not joined are out; static ones stay, until their session ends.
func (s *Groups) complete(t *turn, g *group) {
	s.deadlines.stop(g.joinTimer)
	for _, m := range slices.Clone(g.members) {
		if m.join == nil && !m.static() {
			s.deadlines.stop(m.session)
			g.drop(m)
		}
	}
	if len(g.members) > 0 && !g.electLeader() {
		s.deadlines.set(g.joinTimer, t.now.Add(max(g.rebalanceTimeout(), leastWait))) // only static members, none of which came
		return
	}
	g.generation++
	g.initialDelay = 0
	if len(g.members) == 0 {
		g.protocol = ""
		g.transition(t.now, empty)
		g.rebalance.Ended = t.now
		g.subscribe()
		s.write(t, g, g.record(func(*member) []byte { return nil }), nil, nil)
		return
	}
	g.protocol = g.elect()
	g.transition(t.now, completing)
	g.subscribe()
	for _, m := range g.members {
		g.answerJoin(m, s.joined(g, m))
		s.heard(m, m.sessionTimeout)
		m.isNew = false
		m.owesSync = true
	}
	g.owing = len(g.members)
	s.deadlines.set(g.syncTimer, t.now.Add(g.rebalanceTimeout()))
}

// electLeader keeps the leader if it has joined, else takes the first who has.
func (g *group) electLeader() bool {
	if g.leader != nil && g.leader.join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leader = m
			return true
		}
	}
	return false
}

// syncTimeout removes who was told the generation and never asked for its part of it.
func (s *Groups) syncTimeout(t *turn, g *group) {
	if !g.in(completing, stable) || g.owing == 0 {
		return
	}
	var gone []string
	for _, m := range slices.Clone(g.members) {
		if m.owesSync {
			gone = append(gone, m.id)
			s.remove(g, m, joinError("", kerr.UnknownMemberID))
		}
	}
	s.prepareRebalance(t, g, fmt.Sprintf("Removing [%s] on pending sync request expiration", strings.Join(gone, ", ")))
}

// clearAssignments takes everybody's assignment away, and tells those that wait for one why.
func (s *Groups) clearAssignments(g *group, err error) {
	for _, m := range g.members {
		m.assignment = nil
		if m.answerSync(syncError(err)) {
			s.answered = append(s.answered, m)
		}
	}
}

// remove takes a member out; a JoinGroup that waits gets answer, a SyncGroup that waits UNKNOWN_MEMBER_ID.
func (s *Groups) remove(g *group, m *member, answer *kmsg.JoinGroupResponse) {
	s.deadlines.stop(m.session)
	g.answerJoin(m, answer)
	m.answerSync(syncError(kerr.UnknownMemberID))
	g.drop(m)
	if g.owing == 0 {
		s.deadlines.stop(g.syncTimer)
	}
}

func (s *Groups) dropPending(g *group, id string) {
	if p, ok := g.pending[id]; ok {
		s.deadlines.stop(p.session)
		delete(g.pending, id)
	}
}

// afterLoss goes on after somebody has gone for whom a rebalance may be waiting.
func (s *Groups) afterLoss(t *turn, g *group) {
	if g.state == preparing && g.allJoined() {
		s.complete(t, g)
	}
	s.release(g)
}
