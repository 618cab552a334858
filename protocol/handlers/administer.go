package handlers

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// administer answers a request about the cluster as a whole. Who may Alter the cluster may make it, else it is CLUSTER_AUTHORIZATION_FAILED; the leader of the quorum decides. As with Apache Kafka's
// brokers, a timeout in the request counts for nothing: after 30 s without an answer it is REQUEST_TIMED_OUT, and what was asked may still happen. told is where the response has its error.
func administer[Resp kmsg.Response](r *request, req kmsg.Request, told func(Resp) (code *int16, message **string)) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := req.ResponseKind().(Resp)
		code, message := told(resp)
		*code, *message = r.code(err), protocol.ErrorMessage(err)
		return resp
	}
	if !r.mayCluster(protocol.OpAlter) {
		return fail(kerr.ClusterAuthorizationFailed)
	}
	return submit(r, int32(defaultTimeout.Milliseconds()), req, func(decided Resp, err error) kmsg.Response {
		if err != nil {
			return fail(err)
		}
		code, _ := told(decided)
		r.call.Reply.SetError(*code)
		return decided
	})
}
