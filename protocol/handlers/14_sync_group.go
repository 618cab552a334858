package handlers

// SyncGroup (key 14), versions 0 to 5: the leader of a classic group's generation hands in the assignment, and every member waits for its own.
//
//	v0  as above
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  static membership: instance id (KIP-345)
//	v4  flexible (KIP-482)
//	v5  protocol type and name, without which it is INCONSISTENT_GROUP_PROTOCOL (KIP-559)
//
// Read on the group is needed. The answer waits for the leader, as long as the group's rebalance time-out.
// Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func syncGroup(r *request, req *kmsg.SyncGroupRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode = r.code(err)
		return resp
	}
	switch {
	case !r.mayGroup(protocol.OpRead, req.Group):
		return fail(kerr.GroupAuthorizationFailed)
	case r.version() >= 5 && (req.ProtocolType == nil || req.Protocol == nil):
		return fail(kerr.InconsistentGroupProtocol)
	}
	return coordinateUntil(r, noDeadline, req, fail, func(resp *kmsg.SyncGroupResponse) kmsg.Response {
		r.call.Reply.SetError(resp.ErrorCode)
		return resp
	})
}
