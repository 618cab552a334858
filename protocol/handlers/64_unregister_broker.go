package handlers

// UnregisterBroker (key 64), version 0: forgets a broker, up or down (KIP-631). One that is up registers again.
//
// Alter on the cluster is needed; BROKER_ID_NOT_REGISTERED for a broker that nobody knows. It stays a replica of what it holds.
// Differs from Apache Kafka: nothing known.

import "github.com/twmb/franz-go/pkg/kmsg"

func unregisterBroker(r *request, req *kmsg.UnregisterBrokerRequest) kmsg.Response {
	return administer(r, req, func(resp *kmsg.UnregisterBrokerResponse) (*int16, **string) {
		return &resp.ErrorCode, &resp.ErrorMessage
	})
}
