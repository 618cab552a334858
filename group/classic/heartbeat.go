package classic

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const versionOfGroupNotFound = 9 // of OffsetCommit

// Heartbeat says that a member is there. The answer is nil, or a wire error: REBALANCE_IN_PROGRESS asks it to join anew. It touches no log.
func (s *Groups) Heartbeat(now time.Time, req *kmsg.HeartbeatRequest) error {
	s.now = now
	g := s.liveGroup(req.Group)
	if g == nil {
		return kerr.UnknownMemberID
	}
	if err := g.check(req.MemberID, req.InstanceID); err != nil {
		return err
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	m := g.byID[req.MemberID]
	m.heard = now
	s.heard(m, m.sessionTimeout)
	if g.state == preparing {
		return kerr.RebalanceInProgress
	}
	return nil
}

// MayCommit tells whether somebody may commit offsets for a group: a member of its generation, or whoever asks while nobody is in the group. For a member it counts as a heartbeat.
func (s *Groups) MayCommit(now time.Time, req *kmsg.OffsetCommitRequest) error {
	s.now = now
	g := s.liveGroup(req.Group)
	if g == nil {
		if _, ok := s.images.Get(req.Group); !ok && req.Generation >= 0 {
			if req.Version >= versionOfGroupNotFound {
				return kerr.GroupIDNotFound
			}
			return kerr.IllegalGeneration
		}
		if req.Generation < 0 {
			return nil // nobody is in it: a simple consumer, or a tool
		}
		return kerr.UnknownMemberID
	}
	if req.Generation < 0 && g.state == empty {
		return nil
	}
	if req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil {
		return kerr.UnknownMemberID
	}
	if err := g.check(req.MemberID, req.InstanceID); err != nil {
		return err
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	if g.state == completing {
		return kerr.RebalanceInProgress
	}
	m := g.byID[req.MemberID]
	m.heard = now
	s.heard(m, m.sessionTimeout)
	return nil
}

// watch gives a member the timer of its session.
func (s *Groups) watch(g *group, m *member) {
	m.session = newTimer(func(t *turn) { s.sessionEnded(t, g, m) })
}

// heard puts the end of a member's session off.
func (s *Groups) heard(m *member, d time.Duration) { s.deadlines.set(m.session, s.now.Add(d)) }

// sessionEnded removes a member that was silent for too long, unless it waits for us.
func (s *Groups) sessionEnded(t *turn, g *group, m *member) {
	if m.excused() {
		return // the answer starts the session anew
	}
	s.remove(g, m, joinError("", kerr.UnknownMemberID))
	s.afterMembersGone(t, g, fmt.Sprintf("removing member %s on heartbeat expiration.", m.id))
}

// afterMembersGone goes on after members were removed.
func (s *Groups) afterMembersGone(t *turn, g *group, reason string) {
	if g.in(completing, stable) {
		s.prepareRebalance(t, g, reason)
		return
	}
	s.afterLoss(t, g)
}
