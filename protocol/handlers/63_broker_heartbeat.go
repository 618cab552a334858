package handlers

// BrokerHeartbeat (key 63), versions 0 to 2: a broker says that it is there, how far its image is, and whether it wants to be fenced or to shut down (KIP-500).
//
//	v1  directories that went offline (KIP-858)
//	v2  directories that are cordoned (KIP-1066)
//
// Only the broker itself may, on a connection that has proved to be its: others get CLUSTER_AUTHORIZATION_FAILED. A node that does not lead the quorum answers NOT_CONTROLLER.

import "github.com/twmb/franz-go/pkg/kmsg"

func brokerHeartbeat() (func(*kmsg.BrokerHeartbeatRequest) int32, func(*kmsg.BrokerHeartbeatResponse) *int16) {
	return func(req *kmsg.BrokerHeartbeatRequest) int32 { return req.BrokerID },
		func(resp *kmsg.BrokerHeartbeatResponse) *int16 { return &resp.ErrorCode }
}
