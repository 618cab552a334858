package handlers

// Heartbeat (key 12), versions 0 to 4: a member of a classic group is alive, and learns of rebalances.
//
//	v0  as above
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  static membership: instance id (KIP-345)
//	v4  flexible (KIP-482)
//
// Read on the group is needed. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func heartbeat(r *request, req *kmsg.HeartbeatRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = r.code(err)
		return resp
	}
	if !r.mayGroup(protocol.OpRead, req.Group) {
		return fail(kerr.GroupAuthorizationFailed)
	}
	return coordinate(r, req, fail, func(resp *kmsg.HeartbeatResponse) kmsg.Response {
		r.call.Reply.SetError(resp.ErrorCode)
		return resp
	})
}
