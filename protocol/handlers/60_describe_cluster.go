package handlers

// DescribeCluster (key 60), versions 0 to 2: cluster id, controller and brokers (KIP-700). Everybody may ask; the bit field of authorized operations, if asked for,
// is 0 for those who may not Describe the cluster.
//
//	v0  as above
//	v1  endpoint type: 1 brokers, 2 controllers (KIP-919). MISMATCHED_ENDPOINT_TYPE for 2, UNSUPPORTED_ENDPOINT_TYPE for others
//	v2  fenced brokers as well, if asked for (KIP-1073)
//
// Differs from Apache Kafka: the controller named is the node that leads the metadata quorum, where Kafka names any live broker, as its controllers are out of the clients' reach.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

const brokerEndpoints, controllerEndpoints = 1, 2

func describeCluster(r *request, req *kmsg.DescribeClusterRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterAuthorizedOperations = operationsNotAsked
	if r.version() >= 1 {
		resp.EndpointType = req.EndpointType
		if err := checkEndpointType(req.EndpointType); err != nil {
			resp.EndpointType = brokerEndpoints
			resp.ErrorCode, resp.ErrorMessage = r.code(err), protocol.ErrorMessage(err)
			return resp
		}
	}
	img := r.Controller.Image()
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = r.clusterOperations()
	}
	resp.ClusterID, resp.ControllerID = img.ClusterID(), int32(img.ControllerID())
	brokers := r.liveBrokers(img)
	if req.IncludeFencedBrokers && len(img.Brokers()) > 0 {
		brokers = img.Brokers()
	}
	for _, b := range brokers {
		d := kmsg.NewDescribeClusterResponseBroker()
		d.NodeID, d.Rack, d.IsFenced = int32(b.ID), b.Rack, b.Fenced
		d.Host, d.Port = r.address(b, r.call)
		resp.Brokers = append(resp.Brokers, d)
	}
	return resp
}

func checkEndpointType(t int8) error {
	switch t {
	case brokerEndpoints:
		return nil
	case controllerEndpoints:
		return protocol.Errorf(kerr.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
	}
	return protocol.Errorf(kerr.UnsupportedEndpointType, "Unsupported endpoint type %d", t)
}

// clusterOperations is what the caller may do with the cluster; nothing for those who may not even describe it.
func (r *request) clusterOperations() int32 {
	if !r.mayCluster(protocol.OpDescribe) {
		return 0
	}
	return r.operations(protocol.Cluster)
}
