package decide

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/wire"
)

// A value that is not UTF-8 must not get into a record: Encode would refuse it.
func TestTextIsMadeUTF8(t *testing.T) {
	c := newCluster(t)
	c.run("register 1 incarnation=1 rack=\xff")
	c.run("alter-configs\n  broker name=1 set:my.own=a\xffb set:\xfe=1")
	c.run("alter-configs\n  broker name=1 set:my.own=a\xffb")
	if got := *c.live.Broker(1).Rack; got != "\ufffd" {
		t.Errorf("rack %q", got)
	}
	if got := c.live.Config(config.Broker, "1"); got["my.own"] != "a\ufffdb" || len(got) != 1 {
		t.Errorf("configs %q", got)
	}
}

func TestRegistrationLimits(t *testing.T) {
	c := newCluster(t)
	var features strings.Builder
	for n := range maxFeatures + 1 {
		fmt.Fprintf(&features, "\n  f%d max=1", n)
	}
	if got := c.run("register 1 incarnation=1" + features.String()); got != "INVALID_REQUEST epoch=-1\n" {
		t.Error(got)
	}
	if got := c.run("register 1 incarnation=1 dirs=" + strings.Repeat("d1,", maxDirectories+1)); got != "INVALID_REQUEST epoch=-1\n" {
		t.Error(got)
	}
	if got := c.run("register 1 incarnation=1 dirs=\x005"); got != "INVALID_REGISTRATION epoch=-1\n" { // an id below 100
		t.Error(got)
	}
}

func TestProducerIDsRunOut(t *testing.T) {
	c := newCluster(t)
	c.run("register 1 incarnation=1")
	c.write([]*record.Record{record.Of(&record.ProducerIDs{Next: 1<<63 - 1000})})
	if got := c.run("allocate-producer-ids 1 epoch=1"); got != "UNKNOWN_SERVER_ERROR start=0 count=0\n" {
		t.Error(got)
	}
}

// FuzzDecide: whatever a client may send, a decision does not panic, and its records can be written, read and applied.
func FuzzDecide(f *testing.F) {
	for _, req := range seeds() {
		f.Add(uint8(slot(req)), uint8(req.GetVersion()), req.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, which, version uint8, body []byte) {
		req := requests()[int(which)%len(requests())]
		req.SetVersion(int16(version) % (req.MaxVersion() + 1))
		if _, err := wire.Check(req.Key(), req.GetVersion(), body); err != nil {
			return // the server refuses it as well: kmsg would count billions of tags that are not there
		}
		if err := req.ReadFrom(body); err != nil {
			return
		}
		c := newCluster(t)
		c.run("register 1 incarnation=1")
		c.run("register 2 incarnation=1 rack=b")
		c.run("create-topics\n  a partitions=2 factor=2\n  b.c partitions=1 set:retention.ms=1")
		c.env.At = protocol.Offset(len(c.entries))
		o, err := Decide(c.env, c.live, time.Time{}, protocol.Anonymous, req)
		if err != nil {
			return
		}
		o.Reply.AppendTo(nil)
		if _, _, err := c.live.ApplyList(c.env.At, 1, record.Encode(o.Records)); err != nil {
			t.Fatal(err)
		}
	})
}

func requests() []kmsg.Request {
	return []kmsg.Request{
		kmsg.NewPtrCreateTopicsRequest(), kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrCreatePartitionsRequest(),
		kmsg.NewPtrIncrementalAlterConfigsRequest(), kmsg.NewPtrBrokerRegistrationRequest(), kmsg.NewPtrAllocateProducerIDsRequest(),
		kmsg.NewPtrBrokerHeartbeatRequest(), kmsg.NewPtrUnregisterBrokerRequest(), kmsg.NewPtrUpdateFeaturesRequest(), kmsg.NewPtrControllerRegistrationRequest(),
		kmsg.NewPtrUnregisterControllerRequest(),
	}
}

func slot(req kmsg.Request) int {
	for n, r := range requests() {
		if r.Key() == req.Key() {
			return n
		}
	}
	panic("unknown request")
}

func seeds() []kmsg.Request {
	value := "x"
	topics := kmsg.NewPtrCreateTopicsRequest()
	topics.Topics = []kmsg.CreateTopicsRequestTopic{
		{Topic: "new", NumPartitions: 1, ReplicationFactor: 1, Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "segment.ms", Value: &value}}},
		{Topic: "b_c", NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{1, 2}}}},
	}
	topics.Version = 7
	deletion := kmsg.NewPtrDeleteTopicsRequest()
	deletion.Version, deletion.Topics = 6, []kmsg.DeleteTopicsRequestTopic{{Topic: &value}, {TopicID: protocol.ID{0: 't', 15: 1}}}
	partitions := kmsg.NewPtrCreatePartitionsRequest()
	partitions.Version = 3
	partitions.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "a", Count: 3}, {Topic: "b.c", Count: 2, Assignment: []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{1}}}}}
	configs := kmsg.NewPtrIncrementalAlterConfigsRequest()
	configs.Version = 1
	configs.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: 2, ResourceName: "a", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "cleanup.policy", Op: 2, Value: &value}}}}
	broker := kmsg.NewPtrBrokerRegistrationRequest()
	broker.Version, broker.BrokerID, broker.ClusterID, broker.LogDirs = 4, 1, "test", [][16]byte{{0: 'd', 15: 1}}
	broker.Listeners = []kmsg.BrokerRegistrationRequestListener{{Name: "PLAINTEXT", Host: "h", Port: 1}}
	ids := kmsg.NewPtrAllocateProducerIDsRequest()
	ids.BrokerID, ids.BrokerEpoch = 1, 1
	heartbeat := kmsg.NewPtrBrokerHeartbeatRequest()
	heartbeat.BrokerID, heartbeat.BrokerEpoch, heartbeat.WantShutdown, heartbeat.OfflineLogDirs = 1, 1, true, [][16]byte{{0: 'd', 15: 1}}
	features := kmsg.NewPtrUpdateFeaturesRequest()
	features.Version, features.FeatureUpdates = 1, []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: record.Feature, MaxVersionLevel: 2, UpgradeType: 1}}
	gone := kmsg.NewPtrUnregisterBrokerRequest()
	gone.BrokerID = 2
	controller := kmsg.NewPtrControllerRegistrationRequest()
	controller.ControllerID = 1
	controller.Listeners = []kmsg.ControllerRegistrationRequestListener{{Name: "PLAINTEXT", Host: "h", Port: 1}}
	SetMember(controller, 7, protocol.ID{1})
	controllerGone := kmsg.NewPtrUnregisterControllerRequest()
	controllerGone.ControllerID = 1
	return []kmsg.Request{topics, deletion, partitions, configs, broker, ids, heartbeat, features, gone, controller, controllerGone}
}

// BenchmarkCreate10000 is decision, bytes and application of 10,000 partitions: in one topic, and in as many topics.
func BenchmarkCreate10000(b *testing.B) {
	one := kmsg.NewPtrCreateTopicsRequest()
	one.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 10_000, ReplicationFactor: 3}}
	many := kmsg.NewPtrCreateTopicsRequest()
	for n := range 10_000 {
		many.Topics = append(many.Topics, kmsg.CreateTopicsRequestTopic{Topic: fmt.Sprintf("t%d", n), NumPartitions: 1, ReplicationFactor: 3})
	}
	for name, req := range map[string]*kmsg.CreateTopicsRequest{"topic": one, "topics": many} {
		b.Run(name, func(b *testing.B) {
			v, env := threeBrokers()
			b.ReportAllocs()
			for b.Loop() {
				o, err := Decide(env, v, time.Time{}, protocol.Anonymous, req)
				if err != nil {
					b.Fatal(err)
				}
				record.Encode(o.Records)
				if next, _ := v.Apply(9, 1, o.Records); next.PartitionCount() != 10_000 {
					b.Fatal(next.PartitionCount())
				}
			}
		})
	}
}

func threeBrokers() (*image.Image, Env) {
	var rs []*record.Record
	for n := range byte(3) {
		id := protocol.ID{0: 'b', 15: n}
		rs = append(rs, record.Of(&record.BrokerRegistration{Id: int32(n), IncarnationId: id[:], Directories: id[:]}))
	}
	v, _ := image.Empty().Apply(0, 1, rs)
	topics := uint64(0)
	return v, Env{At: 1, Rand: rand.New(rand.NewPCG(1, 1)), NewTopicID: func() (id protocol.TopicID) {
		topics++
		binary.BigEndian.PutUint64(id[8:], topics)
		return id
	}}
}
