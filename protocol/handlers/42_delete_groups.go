package handlers

// DeleteGroups (key 42), versions 0 to 3: forgets groups without members, and their offsets (KIP-229).
//
//	v0  as above
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//	v3  error message (KIP-1331)
//
// Delete on each group, else it is GROUP_AUTHORIZATION_FAILED; those come last. A group that is named twice is answered once. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func deleteGroups(r *request, req *kmsg.DeleteGroupsRequest) kmsg.Response {
	type out = kmsg.DeleteGroupsResponseGroup
	fail := func(group *string, err error) out {
		o := kmsg.NewDeleteGroupsResponseGroup()
		o.Group, o.ErrorCode = *group, r.code(err)
		return o
	}
	rest, refused := split(onceEach(req.Groups, func(group *string) string { return *group }), func(group *string) error {
		if !r.mayGroup(protocol.OpDelete, *group) {
			return kerr.GroupAuthorizationFailed
		}
		return nil
	}, fail)
	resp := kmsg.NewPtrDeleteGroupsResponse()
	if req.Groups = rest; len(rest) == 0 {
		resp.Groups = refused
		return resp
	}
	answer := func(groups []out) kmsg.Response {
		resp.Groups = append(groups, refused...)
		return resp
	}
	return coordinate(r, req,
		func(err error) kmsg.Response { return answer(failAll(rest, err, fail)) },
		func(deleted *kmsg.DeleteGroupsResponse) kmsg.Response {
			for i := range deleted.Groups {
				r.call.Reply.SetError(deleted.Groups[i].ErrorCode)
			}
			return answer(deleted.Groups)
		})
}
