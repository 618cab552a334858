package handlers

// JoinGroup (key 11), versions 0 to 9: a member of a classic group asks to take part in the next generation, and waits until it begins.
//
//	v0  the session time-out is the rebalance time-out
//	v1  rebalance time-out (KIP-62)
//	v2  throttle time
//	v3  throttling after the response (KIP-219)
//	v4  a new member is first told its id, with MEMBER_ID_REQUIRED (KIP-394)
//	v5  static membership: instance id (KIP-345)
//	v6  flexible (KIP-482)
//	v7  the answer's protocol type; no protocol is null and not empty (KIP-559)
//	v8  the reason for joining (KIP-800)
//	v9  a leader that need not assign (KIP-814)
//
// Read on the group is needed. The answer comes when the group has its members, which may take as long as its slowest member's rebalance time-out; later requests of the connection begin meanwhile, and are
// answered after it, as order demands. (The Java consumer sends nothing between JoinGroup and its answer, librdkafka neither; both may send heartbeats between SyncGroup and its answer.)
// Differs from Apache Kafka: a join that is refused leaves no empty group behind.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

const noGeneration = -1

func joinGroup(r *request, req *kmsg.JoinGroupRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.ErrorCode, resp.Generation = r.code(err), noGeneration
		if r.version() < 7 {
			resp.Protocol = new(string)
		}
		return resp
	}
	if !r.mayGroup(protocol.OpRead, req.Group) {
		return fail(kerr.GroupAuthorizationFailed)
	}
	return coordinateUntil(r, noDeadline, req, fail, func(resp *kmsg.JoinGroupResponse) kmsg.Response {
		r.call.Reply.SetError(resp.ErrorCode)
		return resp
	})
}
