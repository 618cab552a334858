package handlers

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func TestDescribeLogDirs(t *testing.T) {
	each(t, 35, func(t *testing.T, b *broker, c *client, v int16) {
		dirs := ask[*kmsg.DescribeLogDirsResponse](c, v, kmsg.NewPtrDescribeLogDirsRequest()).Dirs
		if len(dirs) != 2 || dirs[0].Dir != "/a" || dirs[0].ErrorCode != 0 || dirs[1].ErrorCode != kerr.KafkaStorageError.Code || len(dirs[1].Topics) != 0 {
			t.Fatalf("%+v", dirs)
		}
		if v >= 4 && (dirs[0].TotalBytes != 1000 || dirs[0].UsableBytes != 600 || dirs[1].TotalBytes != -1) {
			t.Errorf("%+v", dirs)
		}
		topics := dirs[0].Topics
		if len(topics) != 2 || topics[0].Topic != "s" || len(topics[1].Partitions) != 2 || topics[1].Partitions[0].Size != 10 || topics[1].Partitions[1].Size != 20 {
			t.Errorf("%+v", topics)
		}
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "t", Partitions: []int32{1, 5}}, {Topic: "nope", Partitions: []int32{0}}}
		if topics := ask[*kmsg.DescribeLogDirsResponse](c, v, req).Dirs[0].Topics; len(topics) != 1 || len(topics[0].Partitions) != 1 || topics[0].Partitions[0].Partition != 1 {
			t.Errorf("of one: %+v", topics)
		}
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		if topics := ask[*kmsg.DescribeLogDirsResponse](c, v, req).Dirs[0].Topics; len(topics) != 0 {
			t.Errorf("of none: %+v", topics)
		}
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceCluster, protocol.Cluster.Name)
		resp := ask[*kmsg.DescribeLogDirsResponse](c, v, req)
		if len(resp.Dirs) != 0 || v >= 3 && resp.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
			t.Errorf("denied: %+v", resp)
		}
	})
}

func TestDescribeProducers(t *testing.T) {
	b := newBroker(t, topicRecords("secret", 1)...)
	b.authorizer.deny(protocol.OpRead, protocol.ResourceTopic, "secret")
	b.authorizer.deny(protocol.OpRead, protocol.ResourceTopic, "hidden")
	req := kmsg.NewPtrDescribeProducersRequest()
	for _, name := range []string{"t", "secret", "hidden", "nope", "bad name"} {
		req.Topics = append(req.Topics, kmsg.DescribeProducersRequestTopic{Topic: name, Partitions: []int32{0}})
	}
	req.Topics[0].Partitions = []int32{0, 2, 9}
	topics := ask[*kmsg.DescribeProducersResponse](b.dial(t), 0, req).Topics
	p := topics[0].Partitions[0]
	if p.ErrorCode != 0 || len(p.ActiveProducers) != 1 || p.ActiveProducers[0].ProducerID != 7 || p.ActiveProducers[0].CurrentTxnStartOffset != 4 || p.ActiveProducers[0].LastSequence != 9 {
		t.Errorf("%+v", p)
	}
	for i, want := range []*kerr.Error{nil, kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition} {
		if p := topics[0].Partitions[i]; want != nil && (p.ErrorCode != want.Code || p.ErrorMessage != nil) {
			t.Errorf("partition %d: %+v", p.Partition, p)
		}
	}
	for i, want := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.TopicAuthorizationFailed, kerr.UnknownTopicOrPartition, kerr.InvalidTopicException} {
		if p := topics[i+1].Partitions[0]; p.ErrorCode != want.Code || p.ErrorMessage == nil {
			t.Errorf("%s: %+v", topics[i+1].Topic, p)
		}
	}
}

func TestListConfigResources(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	list := func(v int16, types ...int8) *kmsg.ListConfigResourcesResponse {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = types
		return ask[*kmsg.ListConfigResourcesResponse](c, v, req)
	}
	if r := list(0); r.ErrorCode != 0 || len(r.ConfigResources) != 0 {
		t.Errorf("v0: %+v", r)
	}
	if r := list(1); len(r.ConfigResources) != 5 { // a topic, and two live brokers with their loggers
		t.Errorf("all: %+v", r)
	}
	if r := list(1, 2, 16, 32); len(r.ConfigResources) != 1 || r.ConfigResources[0].Name != "t" {
		t.Errorf("topics: %+v", r)
	}
	if r := list(1, 4, 99); r.ErrorCode != kerr.UnsupportedVersion.Code || len(r.ConfigResources) != 0 {
		t.Errorf("a type that is none: %+v", r)
	}
	b.authorizer.deny(protocol.OpDescribeConfigs, protocol.ResourceCluster, protocol.Cluster.Name)
	if r := list(1); r.ErrorCode != kerr.ClusterAuthorizationFailed.Code || len(r.ConfigResources) != 0 {
		t.Errorf("denied: %+v", r)
	}
}

func TestAlterConfigs(t *testing.T) {
	each(t, 33, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() { b.controller.decide = decideAll })
		b.authorizer.deny(protocol.OpAlterConfigs, protocol.ResourceTopic, "denied")
		req := kmsg.NewPtrAlterConfigsRequest()
		for _, r := range []configResource{{2, "t"}, {2, "denied"}, {2, "twice"}, {2, "twice"}, {4, ""}, {4, "2"}, {8, "1"}, {99, "x"}} {
			req.Resources = append(req.Resources, kmsg.AlterConfigsRequestResource{ResourceType: r.of, ResourceName: r.name})
		}
		name := func(o kmsg.AlterConfigsResponseResource) (string, int16) { return o.ResourceName, o.ErrorCode }
		invalid := kerr.InvalidRequest.Code
		expect(t, codesOf(ask[*kmsg.AlterConfigsResponse](c, v, req).Resources, name), map[string]int16{
			"t": 0, "denied": kerr.TopicAuthorizationFailed.Code, "twice": invalid, "twice again": invalid, "": 0, "2": invalid, "1": invalid, "x": invalid})
		if sent := b.controller.requests()[0].(*kmsg.AlterConfigsRequest); len(sent.Resources) != 2 {
			t.Errorf("the controller got %+v", sent)
		}
	})
}

// The topics that the broker writes are closed to clients, but for the one that repairs them.
func TestProduceToInternalTopics(t *testing.T) {
	b := newBroker(t, topicRecords(offsetsTopic, 1)...)
	b.partitions.led[protocol.TopicIDPartition{ID: idOf(offsetsTopic)}] = b.p1
	c := b.dial(t)
	for _, v := range []int16{9, 13} {
		resp := ask[*kmsg.ProduceResponse](c, v, produceRequest(v, 1, offsetsTopic, 0, records(1)))
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != kerr.InvalidTopicException.Code || b.p1.state().appends != 0 {
			t.Errorf("v%d: code %d", v, code)
		}
	}
	req := produceRequest(9, 1, offsetsTopic, 0, records(1))
	c.correlation++
	c.write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(adminClient)).AppendRequest(nil, req, c.correlation))
	if code := answerTo[*kmsg.ProduceResponse](c, 9, req).Topics[0].Partitions[0].ErrorCode; code != 0 || b.p1.state().appends != 1 {
		t.Errorf("%s: code %d", adminClient, code)
	}
}
