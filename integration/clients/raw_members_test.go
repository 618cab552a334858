//go:build clients

package clients

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinOf asks for a group with protocol "range" and a subscription to topic "joined"; the member is new.
func joinOf(group string, protocols ...string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = group, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 5_000
	if protocols == nil {
		protocols = []string{"range"}
	}
	for _, p := range protocols {
		m := kmsg.NewConsumerMemberMetadata()
		m.Topics = []string{"joined"}
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: p, Metadata: m.AppendTo(nil)})
	}
	return req
}

// syncOf gives the only member an assignment, as the leader.
func syncOf(group, member string, generation int32) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	kind, name := "consumer", "range"
	req.Group, req.MemberID, req.Generation, req.ProtocolType, req.Protocol = group, member, generation, &kind, &name
	req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("all of it")}}
	return req
}

func heartbeatOf(group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	return req
}

func leaveOf(group string, members ...kmsg.LeaveGroupRequestMember) *kmsg.LeaveGroupRequest {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.Members = group, members
	if len(members) > 0 {
		req.MemberID = members[0].MemberID
	}
	return req
}

// join asks to join, and once more if the broker wants the member to come with its id; both turns are noted.
func (x *exchange) join(v int16, req *kmsg.JoinGroupRequest) (member string, generation int32) {
	for range 2 {
		r, answered := x.ask(v, req).(*kmsg.JoinGroupResponse)
		if !answered {
			break
		}
		req.MemberID = r.MemberID
		if r.ErrorCode == 0 {
			return r.MemberID, r.Generation
		}
	}
	return req.MemberID, -1
}

// memberCases lead a member from its joining to its leaving, with what is refused on the way.
func memberCases() []rawCase {
	return each(11, 0, "member", func(x *exchange, v int16) {
		group, topic := fmt.Sprintf("member-%d", v), fmt.Sprintf("member-topic-%d", v)
		id := x.topic(topic, 2)
		x.coordinated(group)
		describe := func() { x.ask(near(15, v), describeGroup(group)) }
		member, generation := x.join(v, joinOf(group))
		x.visible(group)
		x.ask(near(12, v), heartbeatOf(group, member, generation))
		describe()
		for _, s := range []*kmsg.SyncGroupRequest{
			syncOf(group, "nobody", generation), syncOf(group, member, generation+1), syncOf(group, "", generation), syncOf("", member, generation),
			syncOf(group, member, generation), syncOf(group, member, generation), syncOf(group+"-absent", member, generation),
		} {
			x.ask(near(14, v), s)
		}
		other := "other"
		for _, change := range []func(*kmsg.SyncGroupRequest){
			func(s *kmsg.SyncGroupRequest) { s.Protocol = &other }, func(s *kmsg.SyncGroupRequest) { s.ProtocolType = &other },
			func(s *kmsg.SyncGroupRequest) { s.Protocol = nil }, func(s *kmsg.SyncGroupRequest) { s.ProtocolType = nil },
		} {
			s := syncOf(group, member, generation)
			change(s)
			x.ask(near(14, v), s)
		}
		describe()
		for _, h := range []*kmsg.HeartbeatRequest{
			heartbeatOf(group, member, generation), heartbeatOf(group, member, generation+1), heartbeatOf(group, member, -1), heartbeatOf(group, "nobody", generation),
			heartbeatOf(group, "", generation), heartbeatOf("", member, generation), heartbeatOf(group+"-absent", member, generation),
		} {
			x.ask(near(12, v), h)
		}
		x.commitAs(near(8, v), group, topic, id, member, generation)
		x.ask(near(42, v), deleteGroup(group))
		x.ask(0, offsetDeleteOf(group, topic, 0))
		again := joinOf(group)
		again.MemberID = member
		x.join(v, again)
		describe()
		for _, m := range []kmsg.LeaveGroupRequestMember{{MemberID: "nobody"}, {}, {MemberID: member}, {MemberID: member}} {
			x.ask(near(13, v), leaveOf(group, m))
		}
		x.ask(near(13, v), leaveOf("", kmsg.LeaveGroupRequestMember{MemberID: member}))
		x.ask(near(13, v), leaveOf(group+"-absent", kmsg.LeaveGroupRequestMember{MemberID: member}))
		if v >= 3 {
			x.ask(near(13, v), leaveOf(group))
		}
		x.ask(near(12, v), heartbeatOf(group, member, generation+1))
		describe()
		x.ask(near(42, v), deleteGroup(group))
		describe()
	})
}

// commitAs commits as a member that is in the group, and as those that are not.
func (x *exchange) commitAs(v int16, group, topic string, id [16]byte, member string, generation int32) {
	for _, who := range []struct {
		member     string
		generation int32
	}{{member, generation}, {member, generation + 1}, {member, -1}, {"nobody", generation}, {"", generation}, {"", -1}} {
		req := commitOf(group, topic, id, at{0, 3})
		req.MemberID, req.Generation = who.member, who.generation
		x.ask(v, req)
	}
	x.ask(near(9, v), fetchOffsets(v, group, topic, id, 0, 1))
}

func joinRefusedCases() []rawCase {
	cases := each(11, 0, "join group: what a refused one leaves", func(x *exchange, v int16) {
		group := fmt.Sprintf("refused-first-%d", v)
		x.coordinated(group)
		req := joinOf(group)
		req.Protocols = nil
		x.ask(v, req)
		x.ask(near(15, v), describeGroup(group))
		must[*kmsg.DeleteGroupsResponse](x, 2, deleteGroup(group)) // the lists of groups to come are the same again
	})
	return append(cases, each(11, 0, "join group: refused", func(x *exchange, v int16) {
		group := fmt.Sprintf("refused-%d", v)
		x.coordinated(group)
		refused := func(change func(*kmsg.JoinGroupRequest)) {
			req := joinOf(group)
			change(req)
			x.join(v, req)
		}
		all := func() {
			refused(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 })
			refused(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 100_000_000 })
			refused(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = -1 })
			refused(func(r *kmsg.JoinGroupRequest) { r.Group = "" })
			refused(func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })
			refused(func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
			refused(func(r *kmsg.JoinGroupRequest) { r.MemberID = "nobody" })
		}
		all()
		x.inGroup(group, v)
		all()
		refused(func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "sticky" })
		refused(func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
		x.ask(near(15, v), describeGroup(group))
	})...)
}

// staticCases are about members with an instance id: a second one takes the first one's place, and the first is fenced.
func staticCases() []rawCase {
	return each(11, 5, "static member", func(x *exchange, v int16) {
		group, topic, instance, absent := fmt.Sprintf("static-%d", v), fmt.Sprintf("static-topic-%d", v), "one", "another"
		id := x.topic(topic, 1)
		x.coordinated(group)
		join := func(member string) (string, int32) {
			req := joinOf(group)
			req.MemberID, req.InstanceID = member, &instance
			r, _ := x.ask(v, req).(*kmsg.JoinGroupResponse)
			if r == nil {
				return "", -1
			}
			return r.MemberID, r.Generation
		}
		first, generation := join("")
		x.ask(near(14, v), syncOf(group, first, generation))
		second, generation := join("")
		x.visible(group)
		x.ask(near(15, v), describeGroup(group))
		join(first)
		join("nobody")
		for _, who := range []struct {
			member   string
			instance *string
		}{{first, &instance}, {second, &instance}, {second, &absent}, {second, nil}, {first, nil}, {"", &instance}} {
			h := heartbeatOf(group, who.member, generation)
			h.InstanceID = who.instance
			x.ask(near(12, v), h)
			s := syncOf(group, who.member, generation)
			s.InstanceID = who.instance
			x.ask(near(14, v), s)
			c := commitOf(group, topic, id, at{0, 4})
			c.MemberID, c.Generation, c.InstanceID = who.member, generation, who.instance
			x.ask(near(8, v), c)
		}
		x.ask(near(13, v), leaveOf(group, kmsg.LeaveGroupRequestMember{MemberID: first, InstanceID: &instance}, kmsg.LeaveGroupRequestMember{InstanceID: &absent}, kmsg.LeaveGroupRequestMember{InstanceID: &instance}, kmsg.LeaveGroupRequestMember{InstanceID: &instance}))
		x.ask(near(15, v), describeGroup(group))
	})
}
