package handlers

// ControllerRegistration (key 70), version 0: a node with the role controller tells where it is and what it understands (KIP-919).
//
// Only the node itself may, on a connection that has proved to be its: others get CLUSTER_AUTHORIZATION_FAILED. A node that does not lead the quorum answers NOT_CONTROLLER.

import "github.com/twmb/franz-go/pkg/kmsg"

func controllerRegistration() (func(*kmsg.ControllerRegistrationRequest) int32, func(*kmsg.ControllerRegistrationResponse) *int16) {
	return func(req *kmsg.ControllerRegistrationRequest) int32 { return req.ControllerID },
		func(resp *kmsg.ControllerRegistrationResponse) *int16 { return &resp.ErrorCode }
}
