package handlers

// DescribeGroups (key 15), versions 0 to 6: state and members of classic groups. A group that does not exist is described as Dead.
//
//	v0  as above
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  authorized operations, if asked for (KIP-430)
//	v4  static membership: instance ids (KIP-345)
//	v5  flexible (KIP-482)
//	v6  error message; a group that does not exist is GROUP_ID_NOT_FOUND (KIP-1043)
//
// Describe on each group, else its error is GROUP_AUTHORIZATION_FAILED; those come first. Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func describeGroups(r *request, req *kmsg.DescribeGroupsRequest) kmsg.Response {
	fail := func(group *string, err error) kmsg.DescribeGroupsResponseGroup {
		o := kmsg.NewDescribeGroupsResponseGroup()
		o.Group, o.ErrorCode, o.AuthorizedOperations = *group, r.code(err), operationsNotAsked
		return o
	}
	resp := kmsg.NewPtrDescribeGroupsResponse()
	var rest []string
	rest, resp.Groups = split(req.Groups, func(group *string) error {
		if !r.mayGroup(protocol.OpDescribe, *group) {
			return kerr.GroupAuthorizationFailed
		}
		return nil
	}, fail)
	if req.Groups = rest; len(rest) == 0 {
		return resp
	}
	return coordinate(r, req,
		func(err error) kmsg.Response {
			resp.Groups = append(resp.Groups, failAll(rest, err, fail)...)
			return resp
		},
		func(described *kmsg.DescribeGroupsResponse) kmsg.Response {
			for i := range described.Groups {
				g := &described.Groups[i]
				r.call.Reply.SetError(g.ErrorCode)
				g.AuthorizedOperations = operationsNotAsked
				if req.IncludeAuthorizedOperations && g.ErrorCode == 0 {
					g.AuthorizedOperations = r.operations(protocol.Resource{Type: protocol.ResourceGroup, Name: g.Group})
				}
			}
			resp.Groups = append(resp.Groups, described.Groups...)
			return resp
		})
}
