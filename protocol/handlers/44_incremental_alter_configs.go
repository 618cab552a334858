package handlers

// IncrementalAlterConfigs (key 44), versions 0 and 1: sets, deletes, appends to and subtracts from single configs of topics, of one broker, or the dynamic defaults of all brokers (KIP-339).
//
//	v0  as above
//	v1  flexible (KIP-482)
//
// Each resource succeeds or fails by itself. One that is named twice is INVALID_REQUEST, as are broker loggers, client metrics, groups, and types without a meaning.
// The answer waits until this broker has applied the change.
// A broker takes its own configs and the defaults of all, and no other broker's.
// Not done: log levels, client metrics and group configs, as long as there is nothing that they would configure.

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func incrementalAlterConfigs(r *request, req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	type in = kmsg.IncrementalAlterConfigsRequestResource
	type out = kmsg.IncrementalAlterConfigsResponseResource
	fail := func(in *in, err error) out {
		o := kmsg.NewIncrementalAlterConfigsResponseResource()
		o.ResourceType, o.ResourceName = in.ResourceType, in.ResourceName
		o.ErrorCode, o.ErrorMessage = r.code(err), protocol.ErrorMessage(err)
		return o
	}
	key := func(in *in) configResource { return configResource{in.ResourceType, in.ResourceName} }
	twice := repeated(req.Resources, key)
	rest, failed := split(req.Resources, func(in *in) error { return r.alterable(key(in), twice[key(in)]) }, fail)
	req.Resources = rest

	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	resp.Resources = failed
	if len(rest) == 0 {
		return resp
	}
	return submit(r, int32(defaultTimeout.Milliseconds()), req, func(decided *kmsg.IncrementalAlterConfigsResponse, err error) kmsg.Response {
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

// configResource is what configs belong to.
type configResource struct {
	of   kmsg.ConfigResourceType
	name string
}

// alterable tells whether the caller may alter the configs of in, and this broker is the one to ask.
func (r *request) alterable(in configResource, twice bool) error {
	switch in.of {
	case kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig:
	default:
		return protocol.Errorf(kerr.InvalidRequest, "Unknown resource type %d", in.of)
	}
	if twice {
		return protocol.Errorf(kerr.InvalidRequest, "Each resource must appear at most once.")
	}
	if err := r.mayConfigure(protocol.OpAlterConfigs, in.of, in.name); err != nil {
		return err
	}
	switch in.of {
	case kmsg.ConfigResourceTypeTopic:
		return nil
	case kmsg.ConfigResourceTypeBroker:
		return r.configuresItself(in.name)
	}
	return protocol.Errorf(kerr.InvalidRequest, "Unsupported resource type: %s", in.of)
}

// configuresItself tells whether the configs of the broker named are this broker's to change: its own, and the defaults of all ("").
func (r *request) configuresItself(name string) error {
	if name == "" {
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return protocol.Errorf(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", name)
	case protocol.BrokerID(id) != r.Broker:
		return protocol.Errorf(kerr.InvalidRequest, "Unexpected broker id, expected %d, but received %s", r.Broker, name)
	}
	return nil
}
