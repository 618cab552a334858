package handlers

// DescribeQuorum (key 55), versions 0 to 2: leader, voters and observers of the metadata quorum (KIP-595).
//
//	v0  as above
//	v1  when replicas last fetched and were last caught up (KIP-836)
//	v2  error messages, directory ids, nodes with their listeners (KIP-853)
//
// Describe on the cluster is needed, else CLUSTER_AUTHORIZATION_FAILED. Anything but partition 0 of __cluster_metadata, alone, is UNKNOWN_TOPIC_OR_PARTITION. Whichever node is asked, the leader
// answers, after a majority has confirmed that it is one: what it tells was true after the question came. REQUEST_TIMED_OUT where nobody leads for 30 s.
// Differs from Apache Kafka: the leader's epoch is the term of raft; offsets count entries, of which each may hold many records; a voter whose disk was lost, and whose node is back with another one, has
// the node id -1; the nodes' listeners are those that clients use, as the quorum has none of its own.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func describeQuorum(r *request, req *kmsg.DescribeQuorumRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrDescribeQuorumResponse()
		resp.ErrorCode, resp.ErrorMessage = r.code(err), protocol.ErrorMessage(err)
		return resp
	}
	switch {
	case !r.mayCluster(protocol.OpDescribe):
		return fail(kerr.ClusterAuthorizationFailed)
	case !asksAboutMetadata(req.Topics):
		return r.unknownQuorums(req)
	}
	return submit(r, int32(defaultTimeout.Milliseconds()), req, func(told *kmsg.DescribeQuorumResponse, err error) kmsg.Response {
		if err != nil {
			return fail(err)
		}
		return told
	})
}

func asksAboutMetadata(topics []kmsg.DescribeQuorumRequestTopic) bool {
	return len(topics) == 1 && topics[0].Topic == protocol.MetadataTopic && len(topics[0].Partitions) == 1 && topics[0].Partitions[0].Partition == 0
}

// unknownQuorums refuses every partition that was asked about.
func (r *request) unknownQuorums(req *kmsg.DescribeQuorumRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	resp.ErrorMessage = new(string) // empty and not null, as Kafka sends it
	for _, t := range req.Topics {
		o := kmsg.NewDescribeQuorumResponseTopic()
		o.Topic = t.Topic
		for _, p := range t.Partitions {
			unknown := kmsg.NewDescribeQuorumResponseTopicPartition()
			unknown.Partition = p.Partition
			unknown.ErrorCode, unknown.ErrorMessage = r.code(kerr.UnknownTopicOrPartition), protocol.ErrorMessage(kerr.UnknownTopicOrPartition)
			o.Partitions = append(o.Partitions, unknown)
		}
		resp.Topics = append(resp.Topics, o)
	}
	return resp
}
