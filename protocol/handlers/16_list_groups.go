package handlers

// ListGroups (key 16), versions 0 to 5: the groups that this broker coordinates.
//
//	v0  as above
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  flexible (KIP-482)
//	v4  states, to choose by and in the answer (KIP-518)
//	v5  types, to choose by and in the answer (KIP-848)
//
// Who may not Describe the cluster sees the groups that he may Describe. Differs from Apache Kafka: nothing known.

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func listGroups(r *request, req *kmsg.ListGroupsRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrListGroupsResponse()
		resp.ErrorCode = r.code(err)
		return resp
	}
	return coordinate(r, req, fail, func(resp *kmsg.ListGroupsResponse) kmsg.Response {
		r.call.Reply.SetError(resp.ErrorCode)
		if !r.mayCluster(protocol.OpDescribe) {
			resp.Groups = slices.DeleteFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return !r.mayGroup(protocol.OpDescribe, g.Group) })
		}
		return resp
	})
}
