package classic

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// Sync decides a SyncGroup: done is called when the leader's assignment is committed, or at once with an error.
func (s *Groups) Sync(now time.Time, req *kmsg.SyncGroupRequest, done func(*kmsg.SyncGroupResponse)) runtime.Effects {
	t := s.begin(now)
	g, m, err := s.syncing(req)
	if err != nil {
		done(syncError(err))
		return runtime.Effects{}
	}
	m.heard = now
	switch g.state {
	case preparing:
		done(syncError(kerr.RebalanceInProgress))
	case completing:
		m.awaitSync(done)
		s.synced(g, m)
		if g.leader == m && g.assigned != g.generation {
			s.assign(t, g, req)
		}
	case stable:
		s.synced(g, m)
		done(assigned(g, m))
	}
	return t.effects()
}

// syncing finds who asks, if it may.
func (s *Groups) syncing(req *kmsg.SyncGroupRequest) (*group, *member, error) {
	g := s.find(req.Group)
	if g == nil || g.state == empty {
		return nil, nil, kerr.UnknownMemberID
	}
	if err := g.check(req.MemberID, req.InstanceID); err != nil {
		return nil, nil, err
	}
	if req.Generation != g.generation {
		return nil, nil, kerr.IllegalGeneration
	}
	if req.ProtocolType != nil && *req.ProtocolType != g.protocolType || req.Protocol != nil && *req.Protocol != g.protocol {
		return nil, nil, kerr.InconsistentGroupProtocol
	}
	return g, g.byID[req.MemberID], nil
}

// synced says that a member asked for its assignment.
func (s *Groups) synced(g *group, m *member) {
	g.settle(m)
	if g.owing == 0 {
		s.deadlines.stop(g.syncTimer)
	}
}

// assign writes what the leader assigned. It is handed out when it is committed: nobody may own what the next coordinator does not know of.
func (s *Groups) assign(t *turn, g *group, req *kmsg.SyncGroupRequest) {
	assignments := make(map[string][]byte, len(req.GroupAssignment))
	for _, a := range req.GroupAssignment {
		assignments[a.MemberID] = a.MemberAssignment
	}
	generation := g.generation
	g.assigned = generation
	current := func() bool { return g.state == completing && g.generation == generation }
	s.write(t, g, g.record(func(m *member) []byte { return assignments[m.id] }), func() {
		if !current() {
			return
		}
		g.transition(s.now, stable)
		g.rebalance.Ended = s.now
		for _, m := range g.members {
			m.assignment = assignments[m.id]
			if m.answerSync(assigned(g, m)) {
				s.answered = append(s.answered, m)
			}
		}
	}, func(err error) {
		if current() {
			s.assignFailed(g, err)
		}
	})
}

// assignFailed starts over with the rebalance: everybody is told why.
func (s *Groups) assignFailed(g *group, err error) {
	s.clearAssignments(g, err)
	s.interrupt(s.now, g, fmt.Sprintf("Error %v when storing group assignment during SyncGroup", err))
	s.deadlines.set(g.joinTimer, s.now.Add(g.rebalanceTimeout()))
}

func assigned(g *group, m *member) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol, resp.MemberAssignment = orNil(g.protocolType), orNil(g.protocol), m.assignment
	return resp
}

func syncError(err error) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode = protocol.ErrorCode(err)
	return resp
}
