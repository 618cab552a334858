package handlers

// RemoveRaftVoter (key 81), version 0: takes a voter out of the metadata quorum (KIP-853).
//
// Alter on the cluster is needed. INCONSISTENT_CLUSTER_ID, INVALID_REQUEST for what is no voter, VOTER_NOT_FOUND; REQUEST_TIMED_OUT while another change is under way.
// Differs from Apache Kafka: the number of voters stays odd, so another controller takes the place of the one that goes, and that one goes on as an observer. INVALID_REQUEST where there is no other.

import "github.com/twmb/franz-go/pkg/kmsg"

func removeRaftVoter(r *request, req *kmsg.RemoveRaftVoterRequest) kmsg.Response {
	return administer(r, req, func(resp *kmsg.RemoveRaftVoterResponse) (*int16, **string) {
		return &resp.ErrorCode, &resp.ErrorMessage
	})
}
