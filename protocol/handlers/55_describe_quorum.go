package handlers

// DescribeQuorum (key 55), versions 0 to 2: leader, voters and observers of the metadata quorum (KIP-595).
//
//	v0  as above
//	v1  when replicas last fetched and were last caught up (KIP-836)
//	v2  error messages, directory ids, nodes with their listeners (KIP-853)
//
// Describe on the cluster is needed, else CLUSTER_AUTHORIZATION_FAILED. Anything but partition 0 of __cluster_metadata, alone, is UNKNOWN_TOPIC_OR_PARTITION; NOT_LEADER_OR_FOLLOWER on a node that does not lead
// the quorum.
// Differs from Apache Kafka: the leader's epoch is the term of raft; offsets count entries, of which each may hold many records; the nodes' listeners are those that clients use, as the quorum has none of its own.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func describeQuorum(r *request, req *kmsg.DescribeQuorumRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	if !r.mayCluster(protocol.OpDescribe) {
		resp.ErrorCode, resp.ErrorMessage = r.code(kerr.ClusterAuthorizationFailed), protocol.ErrorMessage(kerr.ClusterAuthorizationFailed)
		return resp
	}
	status := r.Quorum.Quorum()
	var err error
	switch {
	case !asksAboutMetadata(req.Topics):
		err = kerr.UnknownTopicOrPartition
	case status.Leader != r.Broker:
		err = kerr.NotLeaderForPartition
	}
	resp.ErrorMessage = new(string) // empty and not null, as Kafka sends it
	for _, t := range req.Topics {
		o := kmsg.NewDescribeQuorumResponseTopic()
		o.Topic = t.Topic
		for _, p := range t.Partitions {
			o.Partitions = append(o.Partitions, r.quorumPartition(p.Partition, &status, err))
		}
		resp.Topics = append(resp.Topics, o)
	}
	if err == nil {
		resp.Nodes = r.quorumNodes(&status)
	}
	return resp
}

func asksAboutMetadata(topics []kmsg.DescribeQuorumRequestTopic) bool {
	return len(topics) == 1 && topics[0].Topic == metadataTopic && len(topics[0].Partitions) == 1 && topics[0].Partitions[0].Partition == 0
}

func (r *request) quorumPartition(index int32, s *QuorumStatus, err error) kmsg.DescribeQuorumResponseTopicPartition {
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.Partition = index
	if err != nil {
		p.ErrorCode, p.ErrorMessage = r.code(err), protocol.ErrorMessage(err)
		return p
	}
	p.ErrorMessage = new(string)
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = int32(s.Leader), int32(s.Term), int64(s.HighWatermark)
	p.CurrentVoters, p.Observers = quorumReplicas(s.Voters), quorumReplicas(s.Observers)
	return p
}

func quorumReplicas(rs []QuorumReplica) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	out := make([]kmsg.DescribeQuorumResponseTopicPartitionReplicaState, 0, len(rs))
	for _, r := range rs {
		o := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		o.ReplicaID, o.ReplicaDirectoryID, o.LogEndOffset = int32(r.ID), r.Directory, int64(r.LogEnd)
		o.LastFetchTimestamp, o.LastCaughtUpTimestamp = r.LastFetchMs, r.LastCaughtMs
		out = append(out, o)
	}
	return out
}

// quorumNodes is the voters with the addresses that they registered.
func (r *request) quorumNodes(s *QuorumStatus) []kmsg.DescribeQuorumResponseNode {
	img := r.Controller.Image()
	var nodes []kmsg.DescribeQuorumResponseNode
	for _, v := range s.Voters {
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID = int32(v.ID)
		if b := img.Broker(v.ID); b != nil {
			for _, e := range b.Endpoints {
				l := kmsg.NewDescribeQuorumResponseNodeListener()
				l.Name, l.Host, l.Port = e.Listener, e.Host, uint16(e.Port)
				n.Listeners = append(n.Listeners, l)
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}
