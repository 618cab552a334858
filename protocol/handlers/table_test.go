package handlers

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

func TestTableNamesEachKeyOnce(t *testing.T) {
	seen := map[int16]bool{}
	last := int16(-1)
	for _, r := range table() {
		if seen[r.key] || r.key < last {
			t.Errorf("key %d is there twice or out of order", r.key)
		}
		seen[r.key], last = true, r.key
		if r.min > r.max || r.advertised > r.min {
			t.Errorf("key %d: versions %+v", r.key, r.versions)
		}
		if highest := kmsg.RequestForKey(r.key).MaxVersion(); r.max > highest || r.max > wire.MaxVersion(r.key) {
			t.Errorf("key %d: version %d, but only up to %d can be read", r.key, r.max, highest)
		}
	}
}

func TestRowWithoutAuthorisationCannotBeMade(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	direct(99, upTo(0, 1), everywhere, adminFrame, now, access{}, func(*Handlers, *row, *server.Call) {})
}

func TestQuestionThatTheRowDoesNotDeclareIsABug(t *testing.T) {
	b := newBroker(t)
	a := asks(onTopic(protocol.OpRead))
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b.allowed(&a, protocol.Anonymous, protocol.OpWrite, protocol.Resource{Type: protocol.ResourceTopic, Name: "t"})
}

func TestMaxFrame(t *testing.T) {
	size := MaxFrame(50 << 20)
	for key, want := range map[int16]int{0: 50 << 20, 1: wire.MaxMetadataFrame, 3: wire.MaxMetadataFrame, 18: wire.MaxUnauthenticatedFrame, 19: wire.MaxAdminFrame,
		4: wire.MaxUnauthenticatedFrame, -1: wire.MaxUnauthenticatedFrame, 10_000: wire.MaxUnauthenticatedFrame} {
		if got := size(key); got != want {
			t.Errorf("key %d: %d, want %d", key, got, want)
		}
	}
}

func TestSupportTable(t *testing.T) {
	text := SupportTable(Options{Groups: &fakeGroups{}})
	for _, line := range []string{
		"| 0 | Produce | 3–13 (advertised from 0) | Write topic, Write transactional id | may wait |\n",
		"| 18 | ApiVersions | 0–5 | asked before authentication | at once |\n",
		"| 75 | DescribeTopicPartitions | 0 | Describe topic | at once |\n",
		"| 11 | JoinGroup | 0–9 | Read group | may wait |\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if text := SupportTable(Options{}); strings.Contains(text, "JoinGroup") {
		t.Errorf("a broker without coordinators:\n%s", text)
	}
}

// A broker without coordinators neither advertises nor answers their keys.
func TestKeysThatNeedAPart(t *testing.T) {
	b := newBroker(t)
	without := b.Options
	without.Groups = nil
	b.Handlers = New(without)
	c := b.dial(t)
	for _, k := range ask[*kmsg.ApiVersionsResponse](c, 0, kmsg.NewPtrApiVersionsRequest()).ApiKeys {
		if k.ApiKey >= 8 && k.ApiKey <= 16 || k.ApiKey == 42 || k.ApiKey == 47 {
			t.Errorf("key %d is advertised", k.ApiKey)
		}
	}
	c.send(0, kmsg.NewPtrListGroupsRequest())
	c.closed()
}

func TestUnservedKeysAndVersionsCloseTheConnection(t *testing.T) {
	b := newBroker(t)
	for _, req := range []struct {
		version int16
		kmsg.Request
	}{{0, kmsg.NewPtrEndTxnRequest()}, {2, kmsg.NewPtrProduceRequest()}, {0, kmsg.NewPtrListOffsetsRequest()}, {13, kmsg.NewPtrMetadataRequest()}} {
		c := b.dial(t)
		req.SetVersion(req.version)
		frame := formatter.AppendRequest(nil, req.Request, 1)
		if req.Key() == 3 {
			frame[7] = 14 // beyond what is served
		}
		c.write(frame)
		c.closed()
	}
}

// A row that is not for a listener is neither answered nor advertised there.
func TestListenerScope(t *testing.T) {
	b := newBroker(t)
	b.NodeListener = "PLAINTEXT"
	b.index.row(3).scope = onClients
	c := b.dial(t)
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "a", "1"
	for _, k := range ask[*kmsg.ApiVersionsResponse](c, 3, req).ApiKeys {
		if k.ApiKey == 3 {
			t.Error("Metadata is advertised")
		}
	}
	c.send(1, kmsg.NewPtrMetadataRequest())
	c.closed()
}

// Nothing is done, told or even looked at for a caller who may do nothing.
func TestEveryRowAsksTheAuthorizer(t *testing.T) {
	for _, r := range table() {
		if r.access.why != "" {
			continue
		}
		for v := r.min; v <= r.max; v++ {
			b := newBroker(t)
			with(func() { b.authorizer.denyAll = true })
			with(func() { b.groups.decide = answerGroups })
			c := b.dial(t)
			req := populated(r.key, v)
			c.send(v, req)
			c.receive(wire.FlexibleResponse(r.key, v))
			requests := len(b.controller.requests())
			with(func() {
				if len(b.authorizer.asked) == 0 {
					t.Errorf("key %d version %d: nobody was asked", r.key, v)
				}
				if b.p0.appends != 0 || b.p0.deleted != 0 || requests != 0 || b.ids.next != 999 || len(b.groups.asked) != 0 && r.key != 16 { // ListGroups lists what its caller may see
					t.Errorf("key %d version %d: something was done", r.key, v)
				}
			})
		}
	}
}

// populated is a request of each key that would do something to topic "t".
func populated(key, version int16) kmsg.Request {
	name, id := "t", idOf("t")
	switch req := kmsg.RequestForKey(key).(type) {
	case *kmsg.ProduceRequest:
		return produceRequest(version, 1, "t", 0, records(1))
	case *kmsg.FetchRequest:
		return fetchRequest(version, fetchOf("t", 0, 0))
	case *kmsg.ListOffsetsRequest:
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = name, []kmsg.ListOffsetsRequestTopicPartition{kmsg.NewListOffsetsRequestTopicPartition()}
		req.ReplicaID, req.Topics = -1, append(req.Topics, t)
		return req
	case *kmsg.MetadataRequest:
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
		return req
	case *kmsg.ApiVersionsRequest:
		req.ClientSoftwareName, req.ClientSoftwareVersion, req.NodeID = "test", "1", -1
		return req
	case *kmsg.CreateTopicsRequest:
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = "new", 1, 1
		req.Topics, req.TimeoutMillis = append(req.Topics, t), 10_000
		return req
	case *kmsg.DeleteTopicsRequest:
		req.TopicNames = []string{name}
		if version >= 6 {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.TopicID = id
			req.Topics = append(req.Topics, t)
		}
		req.TimeoutMillis = 10_000
		return req
	case *kmsg.DeleteRecordsRequest:
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Offset = -1
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic, t.Partitions = name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	case *kmsg.InitProducerIDRequest:
		req.ProducerID, req.ProducerEpoch = -1, -1
		return req
	case *kmsg.OffsetForLeaderEpochRequest:
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic, t.Partitions = name, []kmsg.OffsetForLeaderEpochRequestTopicPartition{kmsg.NewOffsetForLeaderEpochRequestTopicPartition()}
		req.Topics = append(req.Topics, t)
		return req
	case *kmsg.DescribeConfigsRequest:
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name}}
		return req
	case *kmsg.CreatePartitionsRequest:
		req.Topics, req.TimeoutMillis = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: 9}}, 10_000
		return req
	case *kmsg.IncrementalAlterConfigsRequest:
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name}}
		return req
	case *kmsg.DescribeClusterRequest:
		req.EndpointType, req.IncludeClusterAuthorizedOperations = 1, true
		return req
	case *kmsg.AlterConfigsRequest:
		req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name}}
		return req
	case *kmsg.DescribeLogDirsRequest:
		return req
	case *kmsg.DescribeQuorumRequest:
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
		return req
	case *kmsg.UpdateFeaturesRequest:
		req.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: "f", MaxVersionLevel: 1, UpgradeType: 1}}
		return req
	case *kmsg.UnregisterBrokerRequest:
		req.BrokerID = 3
		return req
	case *kmsg.AddRaftVoterRequest:
		req.VoterID, req.VoterDirectoryID = 3, id
		req.Listeners = []kmsg.AddRaftVoterRequestListener{{Name: "L", Host: "h3", Port: 9092}}
		return req
	case *kmsg.RemoveRaftVoterRequest:
		req.VoterID, req.VoterDirectoryID = 3, id
		return req
	case *kmsg.UnregisterControllerRequest:
		req.ControllerID = 3
		return req
	case *kmsg.DescribeProducersRequest:
		req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: name, Partitions: []int32{0}}}
		return req
	case *kmsg.ListConfigResourcesRequest:
		return req
	case *kmsg.DescribeTopicPartitionsRequest:
		req.Topics, req.ResponsePartitionLimit = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: name}}, 100
		return req
	}
	if req := populatedGroup(key, version); req != nil {
		return req
	}
	panic("a key of the table has no example here")
}
