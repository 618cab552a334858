package handlers

// ListConfigResources (key 74), versions 0 and 1: the resources that may have configs.
//
//	v0  client metrics (KIP-714), of which there are none here yet
//	v1  types to choose by: topics, brokers, broker loggers, client metrics, groups; none is all of them (KIP-1142)
//
// DescribeConfigs on the cluster is needed, else CLUSTER_AUTHORIZATION_FAILED. A type without a meaning is UNSUPPORTED_VERSION.
// Not done: client metrics and groups, as long as there is nothing that they would configure. Differs from Apache Kafka: nothing known.

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// listable are the types of resources, in the order of an answer about all of them.
var listable = []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig}

func listConfigResources(r *request, req *kmsg.ListConfigResourcesRequest) kmsg.Response {
	resp := kmsg.NewPtrListConfigResourcesResponse()
	if !r.mayCluster(protocol.OpDescribeConfigs) {
		resp.ErrorCode = r.code(kerr.ClusterAuthorizationFailed)
		return resp
	}
	wanted := map[kmsg.ConfigResourceType]bool{}
	for _, t := range req.ResourceTypes {
		of := kmsg.ConfigResourceType(t)
		if !slices.Contains(listable, of) {
			resp.ErrorCode = r.code(kerr.UnsupportedVersion)
			return resp
		}
		wanted[of] = true
	}
	if r.version() == 0 {
		return resp // client metrics: none
	}
	add := func(of kmsg.ConfigResourceType, name string) {
		o := kmsg.NewListConfigResourcesResponseConfigResource()
		o.Name, o.Type = name, int8(of)
		resp.ConfigResources = append(resp.ConfigResources, o)
	}
	img := r.Controller.Image()
	for _, of := range listable {
		if len(wanted) > 0 && !wanted[of] {
			continue
		}
		switch of {
		case kmsg.ConfigResourceTypeTopic:
			for t := range img.Topics() {
				add(of, t.Name)
			}
		case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
			for _, b := range r.liveBrokers(img) {
				add(of, strconv.Itoa(int(b.ID)))
			}
		}
	}
	return resp
}
