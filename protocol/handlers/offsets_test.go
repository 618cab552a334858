package handlers

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func listRequest(topic string, partition int32, ts int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, ts
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func TestListOffsets(t *testing.T) {
	each(t, 2, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() {
			b.p0.offsets.LogStart, b.p0.offsets.LastStable, b.p0.offsets.HighWatermark, b.p0.offsets.LogEnd = 12, 15, 20, 21
		})
		unsupported := kerr.UnsupportedVersion.Code
		for _, tt := range []struct {
			ts        int64
			since     int16
			timestamp int64
			offset    int64
			epoch     int32
		}{
			{-1, 1, -1, 20, 5}, {-2, 1, -1, 12, 1}, {500, 1, 1500, 7, 4}, {-3, 7, 997, 7, 4}, {-4, 8, -1, 12, 1}, {-5, 9, -1, -1, -1}, {-6, 11, -1, -1, -1}, {-7, 99, 0, 0, 0},
		} {
			got := ask[*kmsg.ListOffsetsResponse](c, v, listRequest("t", 0, tt.ts)).Topics[0].Partitions[0]
			if v < tt.since {
				if got.ErrorCode != unsupported || got.Offset != -1 {
					t.Errorf("timestamp %d: %+v", tt.ts, got)
				}
				continue
			}
			if v < 4 {
				tt.epoch = -1
			}
			if got.ErrorCode != 0 || got.Timestamp != tt.timestamp || got.Offset != tt.offset || got.LeaderEpoch != tt.epoch {
				t.Errorf("timestamp %d: got %+v, want %+v", tt.ts, got, tt)
			}
		}
		if v >= 2 {
			req := listRequest("t", 0, -1)
			req.IsolationLevel = 1
			if got := ask[*kmsg.ListOffsetsResponse](c, v, req).Topics[0].Partitions[0]; got.Offset != 15 {
				t.Errorf("read_committed: %+v", got)
			}
		}
		if v >= 4 {
			for epoch, want := range map[int32]int16{4: kerr.FencedLeaderEpoch.Code, 5: 0, 6: kerr.UnknownLeaderEpoch.Code} {
				req := listRequest("t", 0, -1)
				req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
				if got := ask[*kmsg.ListOffsetsResponse](c, v, req).Topics[0].Partitions[0]; got.ErrorCode != want {
					t.Errorf("epoch %d: %+v", epoch, got)
				}
			}
		}
		with(func() { b.p0.err = kerr.OffsetNotAvailable })
		want := kerr.OffsetNotAvailable.Code
		if v < 5 {
			want = kerr.LeaderNotAvailable.Code
		}
		if got := ask[*kmsg.ListOffsetsResponse](c, v, listRequest("t", 0, 1)).Topics[0].Partitions[0]; got.ErrorCode != want {
			t.Errorf("not available: %+v", got)
		}
	})
}

func TestListOffsetsErrors(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "secret")
	twice := listRequest("t", 0, -1)
	twice.Topics = append(twice.Topics, listRequest("t", 0, -2).Topics...)
	replica := listRequest("t", 0, -1)
	replica.ReplicaID = 2
	isolation := listRequest("t", 0, -1)
	isolation.IsolationLevel = 3
	for _, tt := range []struct {
		req  *kmsg.ListOffsetsRequest
		want *kerr.Error
	}{
		{listRequest("nope", 0, -1), kerr.UnknownTopicOrPartition},
		{listRequest("t", 99, -1), kerr.UnknownTopicOrPartition},
		{listRequest("t", 2, -1), kerr.NotLeaderForPartition},
		{listRequest("secret", 2, -1), kerr.TopicAuthorizationFailed},
		{twice, kerr.InvalidRequest},
		{replica, kerr.ClusterAuthorizationFailed},
		{isolation, kerr.InvalidRequest},
	} {
		for _, topic := range ask[*kmsg.ListOffsetsResponse](c, 7, tt.req).Topics {
			if got := topic.Partitions[0]; got.ErrorCode != tt.want.Code || got.Offset != -1 || got.Timestamp != -1 {
				t.Errorf("%+v: got %+v", tt.req, got)
			}
		}
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	each(t, 23, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() { b.p0.offsets.LogEnd = 77 })
		askFor := func(topic string, partition, current, wanted int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, wanted
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
			return ask[*kmsg.OffsetForLeaderEpochResponse](c, v, req).Topics[0].Partitions[0]
		}
		if got := askFor("t", 0, -1, 2); got.LeaderEpoch != 2 || got.EndOffset != 30 {
			t.Errorf("got %+v", got)
		}
		if got := askFor("t", 0, 5, 9); got.LeaderEpoch != 5 || got.EndOffset != 77 {
			t.Errorf("got %+v", got)
		}
		for _, tt := range []struct {
			topic              string
			partition, current int32
			want               *kerr.Error
		}{
			{"t", 0, 4, kerr.FencedLeaderEpoch}, {"t", 0, 6, kerr.UnknownLeaderEpoch}, {"t", 2, -1, kerr.NotLeaderForPartition}, {"nope", 0, -1, kerr.UnknownTopicOrPartition},
		} {
			if got := askFor(tt.topic, tt.partition, tt.current, 0); got.ErrorCode != tt.want.Code || got.LeaderEpoch != -1 || got.EndOffset != -1 {
				t.Errorf("%+v: got %+v", tt, got)
			}
		}
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "t")
		if got := askFor("t", 0, -1, 0); got.ErrorCode != 0 {
			t.Errorf("ClusterAction is not enough: %+v", got)
		}
		b.authorizer.deny(protocol.OpClusterAction, protocol.ResourceCluster, protocol.Cluster.Name)
		if got := askFor("t", 0, -1, 0); got.ErrorCode != kerr.TopicAuthorizationFailed.Code {
			t.Errorf("got %+v", got)
		}
	})
}

func TestDeleteRecords(t *testing.T) {
	each(t, 21, func(t *testing.T, b *broker, c *client, v int16) {
		b.controller.image.Store(testImage(topicRecords("__consumer_offsets", 1)...))
		b.partitions.led[protocol.TopicIDPartition{ID: idOf("__consumer_offsets")}] = b.p1
		with(func() { b.p0.offsets.HighWatermark = 20 })
		askFor := func(topic string, partition int32, before int64) kmsg.DeleteRecordsResponseTopicPartition {
			req := kmsg.NewPtrDeleteRecordsRequest()
			req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
			return ask[*kmsg.DeleteRecordsResponse](c, v, req).Topics[0].Partitions[0]
		}
		if got := askFor("t", 0, -1); got.LowWatermark != 20 || got.ErrorCode != 0 {
			t.Errorf("got %+v", got)
		}
		if got := askFor("t", 0, 7); got.LowWatermark != 7 || b.p0.state().deleted != 7 {
			t.Errorf("got %+v", got)
		}
		b.authorizer.deny(protocol.OpDelete, protocol.ResourceTopic, "secret")
		for _, tt := range []struct {
			topic     string
			partition int32
			before    int64
			want      *kerr.Error
		}{
			{"t", 0, -2, kerr.OffsetOutOfRange}, {"t", 2, 0, kerr.NotLeaderForPartition}, {"nope", 0, 0, kerr.UnknownTopicOrPartition},
			{"secret", 0, 0, kerr.TopicAuthorizationFailed}, {"__consumer_offsets", 0, 0, kerr.InvalidTopicException},
		} {
			if got := askFor(tt.topic, tt.partition, tt.before); got.ErrorCode != tt.want.Code || got.LowWatermark != -1 {
				t.Errorf("%+v: got %+v", tt, got)
			}
		}
		with(func() { b.p0.err = kerr.PolicyViolation })
		if got := askFor("t", 0, 0); got.ErrorCode != kerr.PolicyViolation.Code || got.LowWatermark != -1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestInitProducerID(t *testing.T) {
	id, empty := "tx", ""
	each(t, 22, func(t *testing.T, b *broker, c *client, v int16) {
		askFor := func(transactional *string, producer int64, epoch int16) *kmsg.InitProducerIDResponse {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.TransactionTimeoutMillis = transactional, producer, epoch, 1000
			return ask[*kmsg.InitProducerIDResponse](c, v, req)
		}
		if got := askFor(nil, -1, -1); got.ErrorCode != 0 || got.ProducerID != 1000 || got.ProducerEpoch != 0 {
			t.Errorf("got %+v", got)
		}
		if got := askFor(nil, 7, 3); got.ErrorCode != 0 || got.ProducerID != 1001 || got.ProducerEpoch != 0 {
			t.Errorf("with an id: %+v", got)
		}
		half := kerr.InvalidRequest.Code
		if v < 3 {
			half = 0
		}
		for _, got := range []*kmsg.InitProducerIDResponse{askFor(nil, 7, -1), askFor(nil, -1, 7)} {
			if got.ErrorCode != half {
				t.Errorf("half a pair: %+v", got)
			}
		}
		if got := askFor(&id, -1, -1); got.ErrorCode != kerr.UnsupportedVersion.Code || got.ProducerID != -1 || got.ProducerEpoch != -1 {
			t.Errorf("transactional: %+v", got)
		}
		if got := askFor(&empty, -1, -1); got.ErrorCode != kerr.InvalidRequest.Code {
			t.Errorf("empty: %+v", got)
		}
		with(func() { b.ids.err = kerr.CoordinatorNotAvailable })
		if got := askFor(nil, -1, -1); got.ErrorCode != kerr.CoordinatorNotAvailable.Code || got.ProducerID != -1 {
			t.Errorf("no ids: %+v", got)
		}
		with(func() { b.authorizer.denyAll = true })
		if got := askFor(nil, -1, -1); got.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
			t.Errorf("denied: %+v", got)
		}
		if got := askFor(&id, -1, -1); got.ErrorCode != kerr.TransactionalIDAuthorizationFailed.Code {
			t.Errorf("denied: %+v", got)
		}
	})
}
