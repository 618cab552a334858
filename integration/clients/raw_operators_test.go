//go:build clients

package clients

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// operatorCases are about what consoles and operators' tools ask for: log directories, the quorum, producers, resources with configs, and the old way to alter configs.
func operatorCases() []rawCase {
	return slices.Concat(logDirCases(), quorumCases(), describeProducersCases(), listResourcesCases(), replaceConfigsCases(), internalTopicCases())
}

func logDirCases() []rawCase {
	return each(35, 0, "describe log dirs", func(x *exchange, v int16) {
		name := fmt.Sprintf("dirs-%d", v)
		x.topic(name, 3)
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: name, Partitions: []int32{2, 0, 9}}, {Topic: "never-created", Partitions: []int32{0}}}
		x.ask(v, req)
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		x.ask(v, req)
	})
}

func quorumCases() []rawCase {
	return each(55, 0, "describe quorum", func(x *exchange, v int16) {
		of := func(topic string, partitions ...int32) kmsg.DescribeQuorumRequestTopic {
			t := kmsg.DescribeQuorumRequestTopic{Topic: topic}
			for _, p := range partitions {
				t.Partitions = append(t.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: p})
			}
			return t
		}
		for _, topics := range [][]kmsg.DescribeQuorumRequestTopic{
			{of("__cluster_metadata", 0)}, {of("__cluster_metadata", 1)}, {of("__cluster_metadata", 0, 0)}, {of("__cluster_metadata")}, {of("other", 0)},
			{of("__cluster_metadata", 0), of("other", 0)}, {of("__cluster_metadata", 0), of("__cluster_metadata", 0)}, {},
		} {
			req := kmsg.NewPtrDescribeQuorumRequest()
			req.Topics = topics
			x.ask(v, req)
		}
	})
}

func describeProducersCases() []rawCase {
	return each(61, 0, "describe producers", func(x *exchange, v int16) {
		x.topic("with-producers", 2)
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{
			{Topic: "with-producers", Partitions: []int32{0, 1, 2, -1, 0}}, {Topic: "never-created", Partitions: []int32{0}}, {Topic: "bad name", Partitions: []int32{0, 1}}, {Topic: "", Partitions: []int32{0}},
			{Topic: "with-producers"},
		}
		x.ask(v, req)
		x.ask(v, kmsg.NewPtrDescribeProducersRequest())
	})
}

func listResourcesCases() []rawCase {
	return each(74, 0, "list config resources", func(x *exchange, v int16) {
		for _, types := range [][]int8{{4}, {8}, {8, 4, 4}, {16}, {32}, {1}, {0}, {99}, {4, 99}, {-1}} {
			req := kmsg.NewPtrListConfigResourcesRequest()
			req.ResourceTypes = types
			x.ask(v, req)
		}
	})
}

func replaceConfigsCases() []rawCase {
	type pair struct{ name, value string }
	cases := each(33, 0, "replace configs: a resource twice", func(x *exchange, v int16) {
		twice := kmsg.NewPtrAlterConfigsRequest()
		twice.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "x"}, {ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "x"}}
		x.ask(v, twice)
	})
	return append(cases, each(33, 0, "replace configs", func(x *exchange, v int16) {
		replaced := fmt.Sprintf("replaced-%d", v)
		x.topic(replaced, 1)
		replace := func(of kmsg.ConfigResourceType, name string, dry bool, pairs ...pair) {
			req := kmsg.NewPtrAlterConfigsRequest()
			r := kmsg.AlterConfigsRequestResource{ResourceType: of, ResourceName: name}
			for _, p := range pairs {
				c := kmsg.AlterConfigsRequestResourceConfig{Name: p.name, Value: &p.value}
				if p.value == "null" {
					c.Value = nil
				}
				r.Configs = append(r.Configs, c)
			}
			req.Resources, req.ValidateOnly = append(req.Resources, r), dry
			x.ask(v, req)
			if of == kmsg.ConfigResourceTypeTopic {
				ask := kmsg.NewPtrDescribeConfigsRequest()
				ask.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: of, ResourceName: name, ConfigNames: []string{"retention.ms", "segment.ms", "cleanup.policy"}}}
				x.ask(4, ask)
			}
		}
		const topic, broker = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
		replace(topic, replaced, false, pair{"retention.ms", "5000"}, pair{"segment.ms", "6000"})
		replace(topic, replaced, false, pair{"segment.ms", "7000"})
		replace(topic, replaced, true)
		replace(topic, replaced, false, pair{"segment.ms", "none"})
		replace(topic, replaced, false, pair{"no.such.config", "1"})
		replace(topic, replaced, false, pair{"segment.ms", "null"})
		replace(topic, replaced, false, pair{"segment.ms", "1000"}, pair{"segment.ms", "2000"})
		replace(topic, replaced, false)
		replace(topic, "never-created", false, pair{"segment.ms", "7000"})
		replace(topic, "bad name", false, pair{"segment.ms", "7000"})
		replace(topic, "", false, pair{"segment.ms", "7000"})
		replace(broker, "77", false, pair{"log.cleaner.threads", "2"})
		replace(broker, "x", false, pair{"log.cleaner.threads", "2"})
		replace(broker, "1", true, pair{"log.cleaner.threads", "2"})
		replace(broker, "1", true, pair{"node.id", "2"})
		replace(broker, "", true, pair{"log.cleaner.threads", "x"})
		replace(0, "x", false)
		replace(99, "x", false)
		x.ask(v, kmsg.NewPtrAlterConfigsRequest())
	})...)
}

// internalTopicCases are last: they make the topic of the groups' offsets.
func internalTopicCases() []rawCase {
	return []rawCase{{"internal topic", func(x *exchange) {
		ask := kmsg.NewPtrMetadataRequest()
		name := "__consumer_offsets"
		ask.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		ask.AllowAutoTopicCreation = true
		must[*kmsg.MetadataResponse](x, 12, ask)
		x.settled(name, 50)
		configs := kmsg.NewPtrDescribeConfigsRequest()
		configs.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name}}
		x.ask(4, configs)
		x.ask(12, ask)
		x.ask(9, produceOf(name, [16]byte{}, 0, batchOf("one").bytes()))
		records := kmsg.NewPtrDeleteRecordsRequest()
		records.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: -1}}}}
		x.ask(2, records)
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.TopicNames, remove.TimeoutMillis = []string{name}, 10_000
		x.ask(5, remove)
	}}}
}

// comparable35 is r without the names and sizes of this machine's folders.
func comparable35(r *kmsg.DescribeLogDirsResponse) *kmsg.DescribeLogDirsResponse {
	c := *r
	c.Dirs = slices.Clone(r.Dirs)
	for i := range c.Dirs {
		d := &c.Dirs[i]
		d.Dir, d.TotalBytes, d.UsableBytes = "DIR", min(d.TotalBytes, 1), min(d.UsableBytes, 1)
	}
	return &c
}

// comparable55 is r without what belongs to a quorum of its kind: how far its log has come, its directory ids, and the listeners of its nodes.
func comparable55(r *kmsg.DescribeQuorumResponse) *kmsg.DescribeQuorumResponse {
	c := *r
	c.Topics, c.Nodes = slices.Clone(r.Topics), slices.Clone(r.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].Listeners = nil
	}
	for i := range c.Topics {
		c.Topics[i].Partitions = slices.Clone(c.Topics[i].Partitions)
		for j := range c.Topics[i].Partitions {
			p := &c.Topics[i].Partitions[j]
			p.LeaderEpoch, p.HighWatermark = min(p.LeaderEpoch, 1), min(p.HighWatermark, 1)
			p.CurrentVoters, p.Observers = slices.Clone(p.CurrentVoters), slices.Clone(p.Observers)
			for _, list := range [][]kmsg.DescribeQuorumResponseTopicPartitionReplicaState{p.CurrentVoters, p.Observers} {
				for k := range list {
					list[k].LogEndOffset, list[k].ReplicaDirectoryID = min(list[k].LogEndOffset, 1), [16]byte{}
				}
			}
		}
	}
	return &c
}
