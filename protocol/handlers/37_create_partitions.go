package handlers

// CreatePartitions (key 37), versions 0 to 3: gives topics more partitions (KIP-195).
//
//	v0  as above
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//	v3  THROTTLING_QUOTA_EXCEEDED (KIP-599), which this broker does not give
//
// Alter on the topic is needed. Names that come more than once are INVALID_REQUEST. The answer waits until this broker has applied the change.
// Differs from Apache Kafka: nothing known.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func createPartitions(r *request, req *kmsg.CreatePartitionsRequest) kmsg.Response {
	type in = kmsg.CreatePartitionsRequestTopic
	type out = kmsg.CreatePartitionsResponseTopic
	fail := func(t *in, err error) out {
		o := kmsg.NewCreatePartitionsResponseTopic()
		o.Topic, o.ErrorCode, o.ErrorMessage = t.Topic, r.code(err), protocol.ErrorMessage(err)
		return o
	}
	twice := repeated(req.Topics, func(t *in) string { return t.Topic })
	rest, failed := split(req.Topics, func(t *in) error {
		switch {
		case twice[t.Topic]:
			return errDuplicateTopic
		case !r.mayTopic(protocol.OpAlter, t.Topic):
			return kerr.TopicAuthorizationFailed
		}
		return nil
	}, fail)
	req.Topics = rest

	resp := kmsg.NewPtrCreatePartitionsResponse()
	resp.Topics = onceEach(failed, func(o *out) string { return o.Topic })
	if len(rest) == 0 {
		return resp
	}
	return submit(r, req.TimeoutMillis, req, func(decided *kmsg.CreatePartitionsResponse, err error) kmsg.Response {
		if err != nil {
			resp.Topics = append(resp.Topics, failAll(rest, err, fail)...)
			return resp
		}
		for i := range decided.Topics {
			r.call.Reply.SetError(decided.Topics[i].ErrorCode)
		}
		resp.Topics = append(resp.Topics, decided.Topics...)
		return resp
	})
}
