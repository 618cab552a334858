package handlers

// UnregisterController (key 94), version 0: forgets a controller that is no voter, up or down (KIP-1312). One that is up registers again.
//
// Alter on the cluster is needed. INVALID_REQUEST for a voter, CONTROLLER_ID_NOT_REGISTERED for a controller that nobody knows.
// Differs from Apache Kafka: nothing known; the one of which there are tools to ask (4.3) has no such key.

import "github.com/twmb/franz-go/pkg/kmsg"

func unregisterController(r *request, req *kmsg.UnregisterControllerRequest) kmsg.Response {
	return administer(r, req, func(resp *kmsg.UnregisterControllerResponse) (*int16, **string) {
		return &resp.ErrorCode, &resp.ErrorMessage
	})
}
