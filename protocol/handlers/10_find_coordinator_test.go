package handlers

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

func TestFindCoordinator(t *testing.T) {
	offsets := func(leaders ...int32) []*record.Record { return topicRecords(offsetsTopic, leaders...) }
	each(t, 10, func(t *testing.T, b *broker, c *client, v int16) {
		b.controller.image.Store(testImage(offsets(3, 2, -1)...)) // groups "a", "b" and "c" are on 1, 2 and 0
		b.denyGroup(protocol.OpDescribe, "d")
		find := func(of int8, keys ...string) []kmsg.FindCoordinatorResponseCoordinator {
			if v >= manyCoordinators {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.CoordinatorType, req.CoordinatorKeys = of, keys
				return ask[*kmsg.FindCoordinatorResponse](c, v, req).Coordinators
			}
			var all []kmsg.FindCoordinatorResponseCoordinator
			for _, key := range keys {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.CoordinatorType, req.CoordinatorKey = of, key
				r := ask[*kmsg.FindCoordinatorResponse](c, v, req)
				all = append(all, kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: r.NodeID, Host: r.Host, Port: r.Port, ErrorCode: r.ErrorCode})
			}
			return all
		}
		unavailable := kerr.CoordinatorNotAvailable.Code
		for i, want := range []kmsg.FindCoordinatorResponseCoordinator{
			{Key: "a", NodeID: -1, Port: -1, ErrorCode: unavailable}, {Key: "b", NodeID: -1, Port: -1, ErrorCode: unavailable}, {Key: "c", NodeID: 3, Host: "h3", Port: 9092},
			{Key: "d", NodeID: -1, Port: -1, ErrorCode: kerr.GroupAuthorizationFailed.Code},
		} {
			got := find(groupKey, "a", "b", "c", "d")[i]
			got.ErrorMessage = nil
			if got.Key != want.Key || got.NodeID != want.NodeID || got.Host != want.Host || got.Port != want.Port || got.ErrorCode != want.ErrorCode {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		for of := int8(transactionKey); v > 0 && of < 5; of++ {
			if got := find(of, "a")[0]; got.ErrorCode != kerr.InvalidRequest.Code {
				t.Errorf("type %d: %+v", of, got)
			}
		}
		if len(b.controller.requests()) != 0 {
			t.Error("something was created")
		}
	})
}

// The topic of the offsets is created for who first asks, as Kafka creates it, and the answer waits for it.
func TestFindCoordinatorCreatesItsTopic(t *testing.T) {
	b := newBroker(t)
	b.denyGroup(protocol.OpDescribe, "d")
	with(func() {
		b.settings.Static = map[string]string{"offsets.topic.num.partitions": "7", "offsets.topic.segment.bytes": "1000"}
		b.controller.decide = func(req kmsg.Request) (kmsg.Response, error) {
			b.controller.image.Store(testImage(topicRecords(offsetsTopic, 1)...))
			return decideAll(req)
		}
	})
	c := b.dial(t)
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{"d"}
	if ask[*kmsg.FindCoordinatorResponse](c, 6, req); len(b.controller.requests()) != 0 {
		t.Error("created for who may not know of any group")
	}
	req.CoordinatorKeys = []string{"g"}
	if got := ask[*kmsg.FindCoordinatorResponse](c, 6, req).Coordinators[0]; got.NodeID != 1 || got.ErrorCode != 0 {
		t.Errorf("got %+v", got)
	}
	topic := b.controller.requests()[0].(*kmsg.CreateTopicsRequest).Topics[0]
	configs := map[string]string{}
	for _, k := range topic.Configs {
		configs[k.Name] = *k.Value
	}
	if topic.Topic != offsetsTopic || topic.NumPartitions != 7 || topic.ReplicationFactor != -1 || len(configs) != 3 ||
		configs["cleanup.policy"] != "compact" || configs["compression.type"] != "producer" || configs["segment.bytes"] != "1048576" {
		t.Errorf("created %+v with %v", topic, configs)
	}
	with(func() {
		b.settings.Static["offsets.topic.replication.factor"] = "2"
		b.controller.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, kerr.NotController }
	})
	b.controller.image.Store(testImage())
	if got := ask[*kmsg.FindCoordinatorResponse](c, 6, req).Coordinators[0]; got.ErrorCode != kerr.CoordinatorNotAvailable.Code {
		t.Errorf("without a controller: %+v", got)
	}
	if topic := b.controller.requests()[1].(*kmsg.CreateTopicsRequest).Topics[0]; topic.ReplicationFactor != 2 {
		t.Errorf("created %+v", topic)
	}
}
