package handlers

// AlterConfigs (key 33), versions 0 to 2: replaces all configs of topics, of one broker, or the dynamic defaults of all brokers (KIP-133). What the request leaves out goes back to its default:
// clients should use IncrementalAlterConfigs.
//
//	v0  as above
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//
// As for IncrementalAlterConfigs, each resource succeeds or fails by itself, and the answer waits until this broker has applied the change.
// Not done: log levels, client metrics and group configs, as long as there is nothing that they would configure.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func alterConfigs(r *request, req *kmsg.AlterConfigsRequest) kmsg.Response {
	type in = kmsg.AlterConfigsRequestResource
	type out = kmsg.AlterConfigsResponseResource
	fail := func(in *in, err error) out {
		o := kmsg.NewAlterConfigsResponseResource()
		o.ResourceType, o.ResourceName = in.ResourceType, in.ResourceName
		o.ErrorCode, o.ErrorMessage = r.code(err), protocol.ErrorMessage(err)
		return o
	}
	key := func(in *in) configResource { return configResource{in.ResourceType, in.ResourceName} }
	twice := repeated(req.Resources, key)
	rest, failed := split(req.Resources, func(in *in) error { return r.alterable(key(in), twice[key(in)]) }, fail)
	req.Resources = rest

	resp := kmsg.NewPtrAlterConfigsResponse()
	resp.Resources = failed
	if len(rest) == 0 {
		return resp
	}
	return submit(r, int32(defaultTimeout.Milliseconds()), req, func(decided *kmsg.AlterConfigsResponse, err error) kmsg.Response {
		if err != nil {
			resp.Resources = append(resp.Resources, failAll(rest, err, fail)...)
			return resp
		}
		for i := range decided.Resources {
			r.call.Reply.SetError(decided.Resources[i].ErrorCode)
		}
		resp.Resources = append(resp.Resources, decided.Resources...)
		return resp
	})
}
