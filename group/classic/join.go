package classic

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// maxPending bounds how many of a group have been given a member id and have not joined with it. It costs its asker a request, and memory here until the session is over that
// the request asked for; so many at a time come to no group.
const maxPending = 10_000

const (
	versionOfTwoTimeouts    = 1 // before, a member's session timeout is its rebalance timeout
	versionOfKnownMemberID  = 4 // KIP-394: a dynamic member is given its id before it joins
	versionOfSkipAssignment = 9 // KIP-814
)

// Join decides a JoinGroup: done is called when the generation is complete, or at once with an error. The caller has checked the group's id and the session timeout.
func (s *Groups) Join(now time.Time, c protocol.Client, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) runtime.Effects {
	t := s.begin(now)
	g := s.find(req.Group)
	created := g == nil
	if created {
		if req.MemberID != "" {
			done(joinError(req.MemberID, kerr.UnknownMemberID))
			return runtime.Effects{}
		}
		g = newGroup(req.Group, now)
	}
	if s.live[g.id] != g {
		s.adopt(g)
	}
	s.join(t, g, c, req, done)
	if created && len(t.records) == 0 && (len(g.members) > 0 || len(g.pending) > 0) {
		s.write(t, g, g.newGroupRecord(), nil, func(err error) { s.creationFailed(g, err) })
	}
	s.release(g)
	return t.effects()
}

// creationFailed turns away everybody of a group that could not be written.
func (s *Groups) creationFailed(g *group, err error) {
	if _, ok := s.images.Get(g.id); ok || g.writes > 0 || s.live[g.id] != g {
		return // it exists after all, or was forgotten meanwhile
	}
	for _, m := range slices.Clone(g.members) {
		s.remove(g, m, joinError("", err))
	}
	s.forget(g)
}

func (s *Groups) join(t *turn, g *group, c protocol.Client, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
	m := g.byID[req.MemberID]
	switch {
	case !s.room(g, m):
		done(joinError("", kerr.GroupMaxSizeReached))
		if m != nil {
			s.remove(g, m, joinError("", kerr.UnknownMemberID))
		}
		s.dropPending(g, req.MemberID)
		s.maybeComplete(t, g)
	case !g.supports(req.ProtocolType, req.Protocols):
		done(joinError(req.MemberID, kerr.InconsistentGroupProtocol))
	case req.MemberID == "":
		s.joinUnknown(t, g, c, req, done)
	case g.pending[req.MemberID] != nil && req.InstanceID == nil:
		s.admit(t, g, c, req, req.MemberID, done)
	default:
		if err := g.check(req.MemberID, req.InstanceID); err != nil {
			done(joinError(req.MemberID, err))
			return
		}
		s.rejoin(t, g, m, req, done)
	}
}

// room tells whether the group takes one more, or has this one already.
func (s *Groups) room(g *group, m *member) bool {
	switch g.state {
	case preparing:
		return m != nil && m.join != nil || g.joining < s.MaxSize
	case completing, stable:
		return m != nil || len(g.members) < s.MaxSize
	}
	return true
}

// joinUnknown is a JoinGroup without a member id.
func (s *Groups) joinUnknown(t *turn, g *group, c protocol.Client, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
	prefix := c.ID
	if req.InstanceID != nil {
		prefix = *req.InstanceID
	}
	id := prefix + "-" + s.NewID()
	switch {
	case req.InstanceID != nil && g.statics[*req.InstanceID] != nil:
		s.replaceStatic(t, g, g.statics[*req.InstanceID], id, req, done)
	case req.InstanceID == nil && req.Version >= versionOfKnownMemberID && len(g.pending) >= maxPending:
		done(joinError("", kerr.CoordinatorNotAvailable)) // it comes again later
	case req.InstanceID == nil && req.Version >= versionOfKnownMemberID:
		p := &pending{client: c.ID, since: t.now, session: newTimer(func(t *turn) {
			delete(g.pending, id)
			s.afterLoss(t, g)
		})}
		g.pending[id] = p
		s.deadlines.set(p.session, t.now.Add(millis(req.SessionTimeoutMillis)))
		done(joinError(id, kerr.MemberIDRequired))
	default:
		s.admit(t, g, c, req, id, done)
	}
}

// admit takes a new member in.
func (s *Groups) admit(t *turn, g *group, c protocol.Client, req *kmsg.JoinGroupRequest, id string, done func(*kmsg.JoinGroupResponse)) {
	m := &member{id: id, instance: req.InstanceID, client: c, said: saidIn(req), join: done, isNew: true, came: t.now, since: t.now, heard: t.now}
	s.dropPending(g, id)
	if g.state == preparing && g.previous == empty {
		g.newcomer = true
	}
	g.add(m, req.ProtocolType)
	s.watch(g, m)
	s.heard(m, newMemberTimeout)
	s.rebalanceOrComplete(t, g, fmt.Sprintf("Adding new member %s with group instance id %s; client reason: %s", id, orNull(req.InstanceID), reasonOf(req)))
}

// rejoin is a JoinGroup of a member.
func (s *Groups) rejoin(t *turn, g *group, m *member, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
	var reason string
	same := m.matches(req.Protocols)
	switch {
	case g.state == preparing:
		reason = fmt.Sprintf("Member %s is joining group during %s; client reason: %s", m.id, g.state, reasonOf(req))
	case g.state == completing && same:
		// Its answer was lost: the member has not seen the generation yet.
		done(s.joined(g, m))
		return
	case g.state == stable && g.leader == m:
		// The leader asks for a rebalance so: topics that the members read have changed.
		reason = fmt.Sprintf("Leader %s re-joining group during %s; client reason: %s", m.id, g.state, reasonOf(req))
	case g.state == stable && same:
		done(s.follower(g, m))
		return
	default:
		reason = fmt.Sprintf("Updating metadata for member %s during %s; client reason: %s", m.id, g.state, reasonOf(req))
	}
	g.update(m, saidIn(req))
	g.await(m, done)
	m.since, m.heard = t.now, t.now
	s.rebalanceOrComplete(t, g, reason)
}

// joined tells a member the generation, and the leader everybody who is in it.
func (s *Groups) joined(g *group, m *member) *kmsg.JoinGroupResponse {
	resp := s.follower(g, m)
	if g.leader == m {
		for _, o := range g.members {
			resp.Members = append(resp.Members, kmsg.JoinGroupResponseMember{MemberID: o.id, InstanceID: o.instance, ProtocolMetadata: o.metadata(g.protocol)})
		}
	}
	return resp
}

func (s *Groups) follower(g *group, m *member) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Generation, resp.MemberID = g.generation, m.id
	resp.ProtocolType, resp.Protocol = orNil(g.protocolType), orNil(g.protocol)
	if g.leader != nil {
		resp.LeaderID = g.leader.id
	}
	return resp
}

func joinError(member string, err error) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Generation, resp.MemberID, resp.ErrorCode = -1, member, protocol.ErrorCode(err)
	return resp
}

func saidIn(req *kmsg.JoinGroupRequest) said {
	rebalance := req.RebalanceTimeoutMillis
	if req.Version < versionOfTwoTimeouts {
		rebalance = req.SessionTimeoutMillis
	}
	return said{protocols: req.Protocols, sessionTimeout: millis(req.SessionTimeoutMillis), rebalanceTimeout: millis(rebalance)}
}

func reasonOf(req *kmsg.JoinGroupRequest) string {
	if req.Reason == nil || *req.Reason == "" {
		return "not provided"
	}
	return *req.Reason
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
