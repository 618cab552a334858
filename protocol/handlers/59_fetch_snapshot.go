package handlers

// FetchSnapshot (key 59), versions 0 and 1: a node reads a snapshot of the metadata, piece by piece (KIP-630). Only from nodes: to others there is no such key, as on Apache
// Kafka's brokers.
//
//	v0  as above
//	v1  the follower's directory id; where the leader is (KIP-853), which is left out
//
// An answer holds at most max_bytes, and 1 MiB. Errors of the partition: UNKNOWN_TOPIC_OR_PARTITION for anything but partition 0 of __cluster_metadata, SNAPSHOT_NOT_FOUND, also
// of one that was replaced by a newer one meanwhile, POSITION_OUT_OF_RANGE. Of the whole: INVALID_REQUEST unless exactly one partition is asked for, INCONSISTENT_CLUSTER_ID,
// CLUSTER_AUTHORIZATION_FAILED for another node's id. Differs from Apache Kafka: every member of the quorum answers, and not the leader only; the leader's epoch is not checked.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// maxSnapshotBytes is how much of a snapshot one answer holds, which is made in memory.
const maxSnapshotBytes = 1 << 20

func fetchSnapshot(r *request, req *kmsg.FetchSnapshotRequest) kmsg.Response {
	resp := kmsg.NewPtrFetchSnapshotResponse()
	err := checkReplica(r.call, req.ReplicaID)
	switch {
	case err != nil:
	case req.ClusterID != nil && *req.ClusterID != r.Controller.Image().ClusterID():
		err = kerr.InconsistentClusterID
	case len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1:
		err = kerr.InvalidRequest
	}
	if err != nil {
		resp.ErrorCode = r.code(err)
		return resp
	}
	t := kmsg.NewFetchSnapshotResponseTopic()
	t.Topic = req.Topics[0].Topic
	t.Partitions = append(t.Partitions, r.snapshotPartition(t.Topic, &req.Topics[0].Partitions[0], req.MaxBytes))
	resp.Topics = append(resp.Topics, t)
	return resp
}

func (r *request) snapshotPartition(topic string, p *kmsg.FetchSnapshotRequestTopicPartition, maxBytes int32) kmsg.FetchSnapshotResponseTopicPartition {
	o := kmsg.NewFetchSnapshotResponseTopicPartition()
	o.Partition, o.Position = p.Partition, p.Position
	o.SnapshotID.EndOffset, o.SnapshotID.Epoch = p.SnapshotID.EndOffset, p.SnapshotID.Epoch
	o.CurrentLeader.LeaderID, o.CurrentLeader.LeaderEpoch = -1, -1
	err := error(kerr.UnknownTopicOrPartition)
	switch {
	case topic != protocol.MetadataTopic || p.Partition != 0:
	case p.SnapshotID.Epoch < 0:
		err = kerr.SnapshotNotFound
	default:
		o.Bytes, o.Size, err = r.Metadata.ReadSnapshot(protocol.Offset(p.SnapshotID.EndOffset), protocol.Term(p.SnapshotID.Epoch), p.Position, int(min(maxBytes, maxSnapshotBytes)))
	}
	if err != nil {
		o.ErrorCode = r.code(err)
	}
	return o
}
