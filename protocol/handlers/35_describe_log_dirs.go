package handlers

// DescribeLogDirs (key 35), versions 1 to 5: how large the logs of this broker are, by log directory (KIP-113).
//
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//	v3  an error of the whole answer; before that no directories are the sign of it
//	v4  total and usable bytes of the file system (KIP-827)
//	v5  whether a directory takes no new partitions (KIP-1066), which none here refuses
//
// Describe on the cluster is needed, else CLUSTER_AUTHORIZATION_FAILED. Null asks about all partitions; those asked for that are not here are left out. A directory that is offline has KAFKA_STORAGE_ERROR and
// nothing else. The metadata log is not listed. The lag is 0: there are no copies on the way from directory to directory.
// Differs from Apache Kafka: nothing known.

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func describeLogDirs(r *request, req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	if !r.mayCluster(protocol.OpDescribe) {
		resp.ErrorCode = r.code(kerr.ClusterAuthorizationFailed)
		return resp
	}
	wanted := func(protocol.TopicPartition) bool { return true }
	if req.Topics != nil {
		asked := map[protocol.TopicPartition]bool{}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				asked[protocol.TopicPartition{Topic: t.Topic, Partition: p}] = true
			}
		}
		wanted = func(tp protocol.TopicPartition) bool { return asked[tp] }
	}
	for _, d := range r.LogDirs.LogDirs() {
		o := kmsg.NewDescribeLogDirsResponseDir()
		o.Dir, o.TotalBytes, o.UsableBytes = d.Path, d.Total, d.Free
		if d.Err != nil {
			o.ErrorCode, o.TotalBytes, o.UsableBytes = r.code(kerr.KafkaStorageError), -1, -1
		} else {
			o.Topics = logsOf(d.Partitions, wanted)
		}
		resp.Dirs = append(resp.Dirs, o)
	}
	return resp
}

// logsOf groups the wanted partitions by topic, in order.
func logsOf(partitions []LogDirPartition, wanted func(protocol.TopicPartition) bool) []kmsg.DescribeLogDirsResponseDirTopic {
	slices.SortFunc(partitions, func(a, b LogDirPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	var topics []kmsg.DescribeLogDirsResponseDirTopic
	for _, p := range partitions {
		if p.Topic == protocol.MetadataTopic || !wanted(p.TopicPartition) {
			continue
		}
		if len(topics) == 0 || topics[len(topics)-1].Topic != p.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = p.Topic
			topics = append(topics, t)
		}
		o := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		o.Partition, o.Size = p.Partition, p.Size
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, o)
	}
	return topics
}
