package handlers

// AddRaftVoter (key 80), versions 0 and 1: makes a controller a voter of the metadata quorum (KIP-853).
//
//	v0  as above
//	v1  whether to answer when the change is committed, or when the leader has it (KIP-1186)
//
// Alter on the cluster is needed. INCONSISTENT_CLUSTER_ID, INVALID_REQUEST for what is no voter, DUPLICATE_VOTER; REQUEST_TIMED_OUT for a controller that is not registered, or lags, and while another change is
// under way, each with Kafka's words.
// Differs from Apache Kafka: nodes become voters by themselves. By hand a voter is added in the place of one that is lost, or together with another one, as their number stays odd: else INVALID_REQUEST. The listeners
// of the request are not looked at, as a controller has registered its own. The answer comes when the change is committed, whatever version 1 asks for.

import "github.com/twmb/franz-go/pkg/kmsg"

func addRaftVoter(r *request, req *kmsg.AddRaftVoterRequest) kmsg.Response {
	return administer(r, req, func(resp *kmsg.AddRaftVoterResponse) (*int16, **string) { return &resp.ErrorCode, &resp.ErrorMessage })
}
