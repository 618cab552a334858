package handlers

// LeaveGroup (key 13), versions 0 to 5: members of a classic group leave it, or an administrator takes static members out.
//
//	v0  one member
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  many members, by member id or by instance id, each with an error of its own (KIP-345)
//	v4  flexible (KIP-482)
//	v5  the reason for leaving (KIP-800)
//
// Read on the group is needed. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func leaveGroup(r *request, req *kmsg.LeaveGroupRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = r.code(err)
		return resp
	}
	if !r.mayGroup(protocol.OpRead, req.Group) {
		return fail(kerr.GroupAuthorizationFailed)
	}
	return coordinate(r, req, fail, func(resp *kmsg.LeaveGroupResponse) kmsg.Response {
		r.call.Reply.SetError(resp.ErrorCode)
		for i := range resp.Members {
			r.call.Reply.SetError(resp.Members[i].ErrorCode)
		}
		return resp
	})
}
