package handlers

// BrokerRegistration (key 62), versions 0 to 4: an incarnation of a broker tells where it is and what it has (KIP-500).
//
//	v1  migrating from ZooKeeper, which means nothing here
//	v2  log directories (KIP-858)
//	v3  features with a lowest version of 0 (KIP-1022)
//	v4  the epoch of a clean shutdown (KIP-966), which is not looked at
//
// Only the broker itself may, on a connection that has proved to be its: others get CLUSTER_AUTHORIZATION_FAILED. A node that does not lead the quorum answers NOT_CONTROLLER.
// What is decided is described in controller/decide.

import "github.com/twmb/franz-go/pkg/kmsg"

func brokerRegistration() (func(*kmsg.BrokerRegistrationRequest) int32, func(*kmsg.BrokerRegistrationResponse) *int16) {
	return func(req *kmsg.BrokerRegistrationRequest) int32 { return req.BrokerID },
		func(resp *kmsg.BrokerRegistrationResponse) *int16 { return &resp.ErrorCode }
}
