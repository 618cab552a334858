package handlers

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

func metadataRequest(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &n})
	}
	return req
}

func TestMetadata(t *testing.T) {
	each(t, 3, func(t *testing.T, b *broker, c *client, v int16) {
		resp := ask[*kmsg.MetadataResponse](c, v, metadataRequest("t", "t"))
		if len(resp.Brokers) != 2 || resp.Brokers[0].Host != "h1" || resp.Brokers[1].NodeID != 3 || resp.Brokers[1].Port != 9092 {
			t.Errorf("brokers %+v", resp.Brokers)
		}
		if v >= 1 && (resp.ControllerID != self || *resp.Brokers[0].Rack != "r1") || v >= 2 && *resp.ClusterID != clusterID || resp.AuthorizedOperations != operationsNotAsked {
			t.Errorf("got %+v", resp)
		}
		if len(resp.Topics) != 1 {
			t.Fatalf("topics %+v", resp.Topics)
		}
		topic := resp.Topics[0]
		if *topic.Topic != "t" || topic.ErrorCode != 0 || topic.IsInternal || len(topic.Partitions) != 4 || v >= 10 && topic.TopicID != idOf("t") || topic.AuthorizedOperations != operationsNotAsked {
			t.Fatalf("topic %+v", topic)
		}
		want := kmsg.NewMetadataResponseTopicPartition()
		want.Leader, want.Replicas, want.ISR = 1, []int32{1, 2, 3}, []int32{1, 3}
		switch {
		case v == 0:
			want.Replicas, want.ErrorCode = []int32{1, 3}, kerr.ReplicaNotAvailable.Code
		case v >= 7:
			want.LeaderEpoch = 5
			fallthrough
		case v >= 5:
			want.OfflineReplicas = []int32{2}
		}
		if got := topic.Partitions[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("partition %+v, want %+v", got, want)
		}
		if got := topic.Partitions[3]; got.Leader != -1 || got.ErrorCode != kerr.LeaderNotAvailable.Code {
			t.Errorf("without a leader: %+v", got)
		}
	})
}

func TestMetadataOfAllAndNone(t *testing.T) {
	each(t, 3, func(t *testing.T, b *broker, c *client, v int16) {
		b.controller.image.Store(testImage(topicRecords("__consumer_offsets", 1)...))
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "t")
		empty := ask[*kmsg.MetadataResponse](c, v, metadataRequest())
		req := metadataRequest()
		if v > 0 {
			req.Topics = nil
			if len(empty.Topics) != 0 || len(empty.Brokers) == 0 {
				t.Errorf("none asked for: %+v", empty)
			}
		}
		all := ask[*kmsg.MetadataResponse](c, v, req)
		if len(all.Topics) != 1 || *all.Topics[0].Topic != "__consumer_offsets" || v > 0 && !all.Topics[0].IsInternal {
			t.Errorf("all asked for: %+v", all.Topics)
		}
	})
}

func TestMetadataErrors(t *testing.T) {
	each(t, 3, func(t *testing.T, b *broker, c *client, v int16) {
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "t")
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "absent")
		with(func() { b.settings.Static = map[string]string{"auto.create.topics.enable": "false"} })
		resp := ask[*kmsg.MetadataResponse](c, v, metadataRequest("t", "absent", "nope", "a/b"))
		var codes []int16
		for _, topic := range resp.Topics {
			codes = append(codes, topic.ErrorCode)
			if topic.Topic == nil || topic.TopicID != [16]byte{} || len(topic.Partitions) != 0 {
				t.Errorf("told too much: %+v", topic)
			}
		}
		denied := kerr.TopicAuthorizationFailed.Code
		if !reflect.DeepEqual(codes, []int16{denied, denied, kerr.UnknownTopicOrPartition.Code, kerr.InvalidTopicException.Code}) {
			t.Errorf("codes %v", codes)
		}
		if len(b.controller.requests()) != 0 {
			t.Error("created")
		}
	})
}

func TestMetadataByID(t *testing.T) {
	for v := int16(10); v <= 13; v++ {
		b := newBroker(t, topicRecords("u", 1)...)
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "u")
		req := metadataRequest()
		for _, n := range []string{"t", "u", "nope"} {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{TopicID: idOf(n)})
		}
		c := b.dial(t)
		if v < 12 {
			empty := ""
			for i := range req.Topics {
				req.Topics[i].Topic = &empty
			}
			for _, topic := range ask[*kmsg.MetadataResponse](c, v, req).Topics {
				if topic.ErrorCode != kerr.InvalidRequest.Code {
					t.Errorf("v%d: got %+v", v, topic)
				}
			}
			continue
		}
		resp := ask[*kmsg.MetadataResponse](c, v, req)
		found, denied, unknown := resp.Topics[0], resp.Topics[1], resp.Topics[2]
		if *found.Topic != "t" || len(found.Partitions) != 4 {
			t.Errorf("found %+v", found)
		}
		if denied.Topic != nil || denied.TopicID != idOf("u") || denied.ErrorCode != kerr.TopicAuthorizationFailed.Code || len(denied.Partitions) != 0 {
			t.Errorf("denied %+v", denied)
		}
		if unknown.Topic != nil || unknown.TopicID != idOf("nope") || unknown.ErrorCode != kerr.UnknownTopicID.Code {
			t.Errorf("unknown %+v", unknown)
		}
	}
}

func TestMetadataAuthorizedOperations(t *testing.T) {
	each(t, 3, func(t *testing.T, b *broker, c *client, v int16) {
		b.authorizer.deny(protocol.OpWrite, protocol.ResourceTopic, "t")
		req := metadataRequest("t")
		req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = true, true
		resp := ask[*kmsg.MetadataResponse](c, v, req)
		if told := resp.AuthorizedOperations != operationsNotAsked; told != (v >= 8 && v <= 10) {
			t.Errorf("cluster: %d", resp.AuthorizedOperations)
		}
		want := int32(operationsNotAsked)
		if v >= 8 {
			want = 1<<3 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
		}
		if got := resp.Topics[0].AuthorizedOperations; got != want {
			t.Errorf("topic: %b, want %b", got, want)
		}
	})
}

func TestMetadataCreatesTopics(t *testing.T) {
	each(t, 3, func(t *testing.T, b *broker, c *client, v int16) {
		b.authorizer.deny(protocol.OpCreate, protocol.ResourceCluster, protocol.Cluster.Name)
		b.authorizer.deny(protocol.OpCreate, protocol.ResourceTopic, "denied")
		decide := func(req kmsg.Request) (kmsg.Response, error) {
			resp, err := decideAll(req)
			answer := resp.(*kmsg.CreateTopicsResponse)
			for i := range answer.Topics {
				if answer.Topics[i].Topic == "broken" {
					answer.Topics[i].ErrorCode = kerr.InvalidReplicationFactor.Code
				}
			}
			b.controller.image.Store(testImage(topicRecords("new", 1)...))
			return resp, err
		}
		with(func() { b.controller.decide = decide })
		req := metadataRequest("new", "denied", "broken", "a/b", "t")
		req.AllowAutoTopicCreation = true
		resp := ask[*kmsg.MetadataResponse](c, v, req)
		got := map[string]int16{}
		for _, topic := range resp.Topics {
			got[*topic.Topic] = topic.ErrorCode
		}
		expect(t, got, map[string]int16{"new": 0, "denied": kerr.TopicAuthorizationFailed.Code, "broken": kerr.InvalidReplicationFactor.Code, "a/b": kerr.InvalidTopicException.Code, "t": 0})
		if len(resp.Topics[0].Partitions) != 1 {
			t.Errorf("created %+v", resp.Topics[0])
		}
		sent := b.controller.requests()[0].(*kmsg.CreateTopicsRequest)
		if len(sent.Topics) != 2 || sent.Topics[0].NumPartitions != -1 || sent.Topics[0].ReplicationFactor != -1 {
			t.Errorf("the controller got %+v", sent.Topics)
		}
	})
	b := newBroker(t)
	if resp := ask[*kmsg.MetadataResponse](b.dial(t), 4, metadataRequest("new")); resp.Topics[0].ErrorCode != kerr.UnknownTopicOrPartition.Code || len(b.controller.requests()) != 0 {
		t.Errorf("created though the client does not want it: %+v", resp)
	}
}

func TestMetadataNamesTheLocalAddress(t *testing.T) {
	for _, change := range []func(*broker){
		func(b *broker) {
			alone, _ := b.controller.image.Load().Apply(42, 1, []*record.Record{
				record.Of(&record.BrokerUnregistration{Id: 2, Epoch: 41}), record.Of(&record.BrokerUnregistration{Id: 3, Epoch: 41}),
			})
			b.controller.image.Store(alone)
			b.AnswerLocalAddress = true
		},
		func(b *broker) { b.controller.image.Store(image.Empty()) }, // before the registration
	} {
		b := newBroker(t)
		change(b)
		c := b.dial(t)
		resp := ask[*kmsg.MetadataResponse](c, 9, metadataRequest())
		if host, port := hostPort(c.conn.RemoteAddr()); resp.Brokers[0].NodeID != self || resp.Brokers[0].Host != host || resp.Brokers[0].Port != port || port == 0 {
			t.Errorf("brokers %+v, reached at %v", resp.Brokers, c.conn.RemoteAddr())
		}
	}
}
