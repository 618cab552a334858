package classic

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

const versionOfManyMembers = 3 // KIP-345: an operator may remove static members by their instance ids

// Leave decides a LeaveGroup: the effects, and the answer once they are committed. Members are answered one by one; before version 3 there is one, and its error is the request's.
func (s *Groups) Leave(now time.Time, req *kmsg.LeaveGroupRequest) (runtime.Effects, *kmsg.LeaveGroupResponse) {
	t := s.begin(now)
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	leaving := req.Members
	if req.Version < versionOfManyMembers {
		leaving = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	g := s.liveGroup(req.Group)
	var gone, reasons []string
	for _, l := range leaving {
		err := error(kerr.UnknownMemberID)
		if g != nil {
			err = s.leave(g, l)
		}
		if err == nil {
			if l.MemberID == "" {
				gone = append(gone, *l.InstanceID)
			} else {
				gone = append(gone, l.MemberID)
			}
			if l.Reason != nil && *l.Reason != "" {
				reasons = append(reasons, *l.Reason)
			}
		}
		resp.Members = append(resp.Members, kmsg.LeaveGroupResponseMember{MemberID: l.MemberID, InstanceID: l.InstanceID, ErrorCode: protocol.ErrorCode(err)})
	}
	if req.Version < versionOfManyMembers {
		resp.ErrorCode, resp.Members = resp.Members[0].ErrorCode, nil
	}
	if len(gone) > 0 {
		s.afterLeaving(t, g, gone, reasons)
	}
	return t.effects(), resp
}

func (s *Groups) afterLeaving(t *turn, g *group, gone, reasons []string) {
	why := "not provided"
	if len(reasons) > 0 {
		why = strings.Join(reasons, "; ")
	}
	switch g.state {
	case stable, completing:
		s.prepareRebalance(t, g, fmt.Sprintf("explicit `LeaveGroup` request for (%s) members; client reason: %s", strings.Join(gone, ", "), why))
	case preparing:
		s.maybeComplete(t, g)
	}
	s.release(g)
}

// leave takes one out: a member by its id, or by its instance id alone, or somebody who has not joined yet.
func (s *Groups) leave(g *group, l kmsg.LeaveGroupRequestMember) error {
	if l.MemberID == "" {
		if l.InstanceID == nil || g.statics[*l.InstanceID] == nil {
			return kerr.UnknownMemberID
		}
		s.remove(g, g.statics[*l.InstanceID], joinError("", kerr.UnknownMemberID))
		return nil
	}
	if g.pending[l.MemberID] != nil {
		s.dropPending(g, l.MemberID)
		return nil
	}
	if err := g.check(l.MemberID, l.InstanceID); err != nil {
		return err
	}
	s.remove(g, g.byID[l.MemberID], joinError("", kerr.UnknownMemberID))
	return nil
}
