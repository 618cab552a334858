package classic

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// replaceStatic lets a static member that has come again take the place of the one that it was, under another id (KIP-345). While the group is stable nobody else notices, unless
// the group's protocol would be another one: the new one is given the generation as it is. It is told not to assign again if it leads (KIP-814).
func (s *Groups) replaceStatic(t *turn, g *group, old *member, id string, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
	formerLeader := ""
	if g.leader != nil {
		formerLeader = g.leader.id
	}
	m := s.swap(g, old, id)
	s.heard(m, m.sessionTimeout)
	before := m.said
	g.update(m, saidIn(req))
	g.await(m, done)
	m.since, m.heard = t.now, t.now
	switch g.state {
	case stable:
		if g.elect() != g.protocol {
			s.rebalanceOrComplete(t, g, fmt.Sprintf("Group's selectedProtocol will change because static member %s with instance id %s joined with change of protocol; client reason: %s",
				id, *req.InstanceID, reasonOf(req)))
			return
		}
		generation := g.generation
		record := g.record(func(m *member) []byte { return m.assignment })
		s.write(t, g, record, func() { s.replaced(g, m, generation, req.Version, formerLeader) }, func(err error) { s.replaceFailed(g, m, old, before, err) })
	case completing:
		s.prepareRebalance(t, g, fmt.Sprintf("Updating metadata for static member %s with instance id %s; client reason: %s", id, *req.InstanceID, reasonOf(req)))
	default:
		s.maybeComplete(t, g)
	}
}

// replaced answers the new one, unless it waits for another generation by now.
func (s *Groups) replaced(g *group, m *member, generation int32, version int16, formerLeader string) {
	if g.state != stable || g.generation != generation || g.byID[m.id] != m {
		return
	}
	var resp *kmsg.JoinGroupResponse
	if version >= versionOfSkipAssignment {
		resp = s.joined(g, m)
		resp.SkipAssignment = g.leader == m
	} else {
		// An older client would assign if it found itself the leader: it is told the id that it had before.
		resp = s.follower(g, m)
		resp.LeaderID = formerLeader
	}
	g.answerJoin(m, resp)
	s.answered = append(s.answered, m)
}

// replaceFailed gives the place back: the log knows only the former id.
func (s *Groups) replaceFailed(g *group, m, old *member, before said, err error) {
	if g.byID[m.id] != m {
		return
	}
	g.answerJoin(m, joinError("", err))
	g.update(m, before)
	s.answered = append(s.answered, s.swap(g, m, old.id))
}

// swap puts a copy of a static member with another id in its place. Whatever the old one waits for is fenced.
func (s *Groups) swap(g *group, old *member, id string) *member {
	g.answerJoin(old, joinError(old.id, kerr.FencedInstanceID))
	old.answerSync(syncError(kerr.FencedInstanceID))
	g.settle(old)
	s.deadlines.stop(old.session)
	m := &member{id: id, instance: old.instance, client: old.client, said: old.said, assignment: old.assignment, came: old.came, since: old.since, heard: old.heard}
	for n := range g.members {
		if g.members[n] == old {
			g.members[n] = m
		}
	}
	old.gone = true
	delete(g.byID, old.id)
	g.byID[id] = m
	g.statics[*m.instance] = m
	if g.leader == old {
		g.leader = m
	}
	s.watch(g, m)
	return m
}
