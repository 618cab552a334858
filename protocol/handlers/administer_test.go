package handlers

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

func TestDescribeQuorum(t *testing.T) {
	each(t, 55, func(t *testing.T, b *broker, c *client, v int16) {
		req := populated(55, v).(*kmsg.DescribeQuorumRequest)
		with(func() {
			b.controller.decide = func(req kmsg.Request) (kmsg.Response, error) {
				resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
				voter := kmsg.DescribeQuorumResponseTopicPartitionReplicaState{ReplicaID: 3, ReplicaDirectoryID: idOf("d"), LogEndOffset: 43, LastFetchTimestamp: 1000, LastCaughtUpTimestamp: 2000}
				resp.Topics = []kmsg.DescribeQuorumResponseTopic{{Topic: protocol.MetadataTopic, Partitions: []kmsg.DescribeQuorumResponseTopicPartition{{
					LeaderID: 3, LeaderEpoch: 5, HighWatermark: 42, CurrentVoters: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{voter},
				}}}}
				resp.Nodes = []kmsg.DescribeQuorumResponseNode{{NodeID: 3, Listeners: []kmsg.DescribeQuorumResponseNodeListener{{Name: "L", Host: "h3", Port: 9}}}}
				return resp, nil
			}
		})
		resp := ask[*kmsg.DescribeQuorumResponse](c, v, req)
		p := resp.Topics[0].Partitions[0]
		if p.LeaderID != 3 || p.LeaderEpoch != 5 || p.HighWatermark != 42 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].LogEndOffset != 43 {
			t.Errorf("%+v", p)
		}
		if voter := p.CurrentVoters[0]; v >= 1 && (voter.LastFetchTimestamp != 1000 || voter.LastCaughtUpTimestamp != 2000) || v >= 2 && voter.ReplicaDirectoryID != idOf("d") {
			t.Errorf("%+v", voter)
		}
		if v >= 2 && (len(resp.Nodes) != 1 || resp.Nodes[0].Listeners[0].Host != "h3") {
			t.Errorf("%+v", resp.Nodes)
		}
		with(func() {
			b.controller.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, kerr.NotController }
		})
		if resp := ask[*kmsg.DescribeQuorumResponse](c, v, req); resp.ErrorCode != kerr.NotController.Code || len(resp.Topics) != 0 {
			t.Errorf("nobody leads: %+v", resp)
		}
		asked := len(b.controller.requests())
		req.Topics[0].Topic = "t"
		if p := ask[*kmsg.DescribeQuorumResponse](c, v, req).Topics[0].Partitions[0]; p.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("another topic: %+v", p)
		}
		req.Topics[0].Topic = protocol.MetadataTopic
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceCluster, protocol.Cluster.Name)
		if resp := ask[*kmsg.DescribeQuorumResponse](c, v, req); resp.ErrorCode != kerr.ClusterAuthorizationFailed.Code || len(resp.Topics) != 0 {
			t.Errorf("denied: %+v", resp)
		}
		if n := len(b.controller.requests()); n != asked {
			t.Errorf("the controller was asked %d times for what it is not to answer", n-asked)
		}
	})
}

// administered is the error that a response has as a whole.
func administered(resp kmsg.Response) (code int16, message *string) {
	switch r := resp.(type) {
	case *kmsg.UpdateFeaturesResponse:
		return r.ErrorCode, r.ErrorMessage
	case *kmsg.UnregisterBrokerResponse:
		return r.ErrorCode, r.ErrorMessage
	case *kmsg.AddRaftVoterResponse:
		return r.ErrorCode, r.ErrorMessage
	case *kmsg.RemoveRaftVoterResponse:
		return r.ErrorCode, r.ErrorMessage
	case *kmsg.UnregisterControllerResponse:
		return r.ErrorCode, r.ErrorMessage
	}
	panic("not a response of an administrator's request")
}

// The requests about the cluster as a whole are handed to the quorum's leader as they came, for who may Alter the cluster, and its answer, or why there is none, comes back in the field for it.
func TestAdminister(t *testing.T) {
	for _, key := range []int16{57, 64, 80, 81, 94} {
		t.Run(kmsg.NameForKey(key), func(t *testing.T) {
			each(t, key, func(t *testing.T, b *broker, c *client, v int16) {
				req := populated(key, v)
				expect := func(what string, decide func(kmsg.Request) (kmsg.Response, error), code int16, message *string) {
					t.Helper()
					with(func() { b.controller.decide = decide })
					got, words := administered(ask[kmsg.Response](c, v, req))
					if got != code || (words == nil) != (message == nil) || words != nil && *words != *message {
						t.Errorf("%s: %d %v, want %d %v", what, got, words, code, message)
					}
				}
				done := func(req kmsg.Request) (kmsg.Response, error) { return req.ResponseKind(), nil }
				expect("done", done, 0, nil)
				sent := append([]byte(nil), req.AppendTo(nil)...)
				if asked := b.controller.requests(); len(asked) != 1 || asked[0].GetVersion() != v || !bytes.Equal(asked[0].AppendTo(nil), sent) {
					t.Errorf("the controller was asked %+v", asked)
				}
				refused := protocol.Errorf(kerr.RequestTimedOut, "too many")
				expect("not taken", func(kmsg.Request) (kmsg.Response, error) { return nil, refused }, kerr.RequestTimedOut.Code, protocol.ErrorMessage(refused))
				expect("a bug", func(kmsg.Request) (kmsg.Response, error) { return nil, errString("secret") }, kerr.UnknownServerError.Code, &kerr.UnknownServerError.Description)
				asked := len(b.controller.requests())
				b.authorizer.deny(protocol.OpAlter, protocol.ResourceCluster, protocol.Cluster.Name)
				expect("denied", done, kerr.ClusterAuthorizationFailed.Code, &kerr.ClusterAuthorizationFailed.Description)
				if n := len(b.controller.requests()); n != asked {
					t.Error("the controller was asked by who may not")
				}
			})
		})
	}
}

// What a decision says of its own accord is the answer.
func TestAdministerTellsTheDecision(t *testing.T) {
	b := newBroker(t)
	words := "Broker ID 3 is not currently registered"
	with(func() {
		b.controller.decide = func(kmsg.Request) (kmsg.Response, error) {
			return &kmsg.UnregisterBrokerResponse{ErrorCode: kerr.BrokerIDNotRegistered.Code, ErrorMessage: &words}, nil
		}
	})
	if code, told := administered(ask[kmsg.Response](b.dial(t), 0, populated(64, 0))); code != kerr.BrokerIDNotRegistered.Code || told == nil || *told != words {
		t.Errorf("%d %v", code, told)
	}
}

// A frame is larger than what an administrator may send, or its arrays claim more than is there: the connection is closed, and nobody is asked.
func TestHostileAdministrators(t *testing.T) {
	for name, tt := range map[string]struct {
		key, version int16
		body         []byte
	}{
		"features without end":       {57, 2, []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		"listeners without end":      {80, 1, append(make([]byte, 25), 0xff, 0xff, 0xff, 0xff, 0x0f)},
		"a null feature name":        {57, 2, []byte{0, 0, 0, 1, 2, 0, 0, 1, 1, 0, 0, 0}},
		"trailing bytes":             {64, 0, []byte{0, 0, 0, 3, 0, 7}},
		"a directory cut short":      {81, 0, []byte{0, 0, 0, 0, 3, 1, 2, 3}},
		"topics without end":         {55, 2, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}},
		"tags without end":           {94, 0, []byte{0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		"a version that nobody made": {94, 1, []byte{0, 0, 0, 3, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			if _, err := wire.Check(tt.key, tt.version, tt.body); err == nil {
				t.Fatal("it is not malformed")
			}
			c := &server.Call{Key: tt.key, Version: tt.version, Body: tt.body, Conn: &server.Conn{}}
			b.Dispatch(c)
			if n := len(b.controller.requests()); n != 0 || c.Reply.Len() != 0 {
				t.Errorf("%d requests, a reply of %d bytes", n, c.Reply.Len())
			}
		})
	}
	size := MaxFrame(50 << 20)
	for _, key := range []int16{55, 64, 80, 81, 94} {
		if size(key) != wire.MaxUnauthenticatedFrame {
			t.Errorf("key %d takes %d bytes", key, size(key))
		}
	}
}
