package group

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/classic"
	"ottla/group/runtime"
	"ottla/protocol"
)

// describe answers a DescribeGroups; an error is the group's that it concerns.
func (c *Coordinator) describe(req *kmsg.DescribeGroupsRequest, done func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
	whole := gather(len(req.Groups), func() { done(resp) })
	for n, id := range req.Groups {
		c.read(id, func(s *Shard, committed protocol.Offset, _ time.Time) {
			resp.Groups[n] = s.groups.Describe(committed, id, req.Version)
			whole()
		}, func(err error) {
			g := kmsg.NewDescribeGroupsResponseGroup()
			g.Group, g.ErrorCode = id, protocol.ErrorCode(err)
			resp.Groups[n] = g
			whole()
		})
	}
}

// list answers a ListGroups out of the shards that are led here. One that is still loading makes the answer an error: a list with a part missing would pass for the whole.
func (c *Coordinator) list(req *kmsg.ListGroupsRequest, done func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	if len(req.TypesFilter) > 0 && !slices.ContainsFunc(req.TypesFilter, func(t string) bool { return strings.EqualFold(t, classic.GroupType) }) {
		done(resp)
		return
	}
	c.shards.ReadAll(func(_ int32, s *Shard, committed protocol.Offset, _ time.Time) {
		resp.Groups = append(resp.Groups, s.groups.List(committed, req.StatesFilter)...)
	}, func(err error) {
		if err != nil {
			resp.ErrorCode, resp.Groups = protocol.ErrorCode(err), nil
		}
		done(resp)
	})
}

// deleteGroups answers a DeleteGroups once it is committed; an error is the group's that it concerns.
func (c *Coordinator) deleteGroups(req *kmsg.DeleteGroupsRequest, done func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(req.Groups))
	whole := gather(len(req.Groups), func() { done(resp) })
	for n, id := range req.Groups {
		answer := func(err error) {
			resp.Groups[n] = kmsg.DeleteGroupsResponseGroup{Group: id, ErrorCode: protocol.ErrorCode(err)}
			whole()
		}
		c.write(id, func(s *Shard, _ time.Time) runtime.Effects {
			if err := s.groups.MayDelete(id); err != nil {
				answer(err)
				return runtime.Effects{}
			}
			records := append(s.offsets.DeleteGroup(id), classic.Tombstone(id))
			s.groups.Deleted(id)
			return runtime.Effects{Records: records, Committed: func() { answer(nil) }, Failed: func(err error) { answer(appendError(err)) }}
		}, answer)
	}
}
