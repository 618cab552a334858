package classic

import (
	"iter"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

const versionOfNotFound = 6 // of DescribeGroups: KIP-1043

// visible is a group as readers may see it: there must be a committed record of it.
func (s *Groups) visible(committed protocol.Offset, id string) *group {
	i, ok := s.images.GetAt(int64(committed), id)
	if !ok {
		return nil
	}
	if g, ok := s.live[id]; ok {
		return g
	}
	return s.rest(id, i)
}

// Describe answers for one group of a DescribeGroups. What members say of themselves is shown while the group is stable.
func (s *Groups) Describe(committed protocol.Offset, id string, version int16) kmsg.DescribeGroupsResponseGroup {
	resp := kmsg.NewDescribeGroupsResponseGroup()
	resp.Group = id
	g := s.visible(committed, id)
	if g == nil {
		resp.State = Dead
		if version >= versionOfNotFound {
			err := protocol.Errorf(kerr.GroupIDNotFound, "Group %s not found.", id)
			resp.ErrorCode, resp.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		}
		return resp
	}
	resp.State, resp.ProtocolType = g.state.String(), g.protocolType
	if g.state == stable {
		resp.Protocol = g.protocol
	}
	for _, m := range g.members {
		d := kmsg.DescribeGroupsResponseGroupMember{MemberID: m.id, InstanceID: m.instance, ClientID: m.client.ID, ClientHost: m.client.Host, MemberAssignment: m.assignment}
		if g.state == stable {
			d.ProtocolMetadata = m.metadata(g.protocol)
		}
		resp.Members = append(resp.Members, d)
	}
	return resp
}

// GroupType is what ListGroups calls the groups of this package.
const GroupType = "classic"

// List gives the groups in one of the states, or all if there are no states, by id. Names of states are compared without regard to case.
func (s *Groups) List(committed protocol.Offset, states []string) []kmsg.ListGroupsResponseGroup {
	var out []kmsg.ListGroupsResponseGroup
	for id, i := range s.images.AllAt(int64(committed)) {
		at, protocolType := empty, i.ProtocolType
		if g, ok := s.live[id]; ok {
			at, protocolType = g.state, g.protocolType
		} else if len(i.Members) > 0 {
			at = stable
		}
		if len(states) > 0 && !slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, at.String()) }) {
			continue
		}
		out = append(out, kmsg.ListGroupsResponseGroup{Group: id, ProtocolType: protocolType, GroupState: at.String(), GroupType: GroupType})
	}
	slices.SortFunc(out, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// IDs walks every group that the log knows, committed or not, in no order.
func (s *Groups) IDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for id := range s.images.All() {
			if !yield(id) {
				return
			}
		}
	}
}

// Image is what the log says of a group, committed or not, for people.
func (s *Groups) Image(id string) string {
	i, ok := s.images.Get(id)
	switch {
	case !ok:
		return Dead
	case i.simple:
		return "simple"
	}
	return i.String()
}
