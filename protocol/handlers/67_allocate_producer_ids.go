package handlers

// AllocateProducerIds (key 67), version 0: a broker gets the next block of producer ids (KIP-730).
//
// Only the broker itself may, on a connection that has proved to be its: others get CLUSTER_AUTHORIZATION_FAILED. A node that does not lead the quorum answers NOT_CONTROLLER.

import "github.com/twmb/franz-go/pkg/kmsg"

func allocateProducerIDs() (func(*kmsg.AllocateProducerIDsRequest) int32, func(*kmsg.AllocateProducerIDsResponse) *int16) {
	return func(req *kmsg.AllocateProducerIDsRequest) int32 { return req.BrokerID },
		func(resp *kmsg.AllocateProducerIDsResponse) *int16 { return &resp.ErrorCode }
}
