package handlers

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/memnet"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

var groupKeys = []int16{8, 9, 11, 12, 13, 14, 15, 16, 42, 47}

// deny takes a right on group g or topic t away.
func (b *broker) denyGroup(op protocol.Operation, name string) {
	b.authorizer.deny(op, protocol.ResourceGroup, name)
}

func (b *broker) denyTopic(op protocol.Operation, name string) {
	b.authorizer.deny(op, protocol.ResourceTopic, name)
}

// Every key and version reaches the coordinator with its client, and what the coordinator says reaches the client.
func TestCoordinatorsAreAsked(t *testing.T) {
	for _, key := range groupKeys {
		each(t, key, func(t *testing.T, b *broker, c *client, v int16) {
			with(func() { b.groups.decide = answerGroups })
			req := populatedGroup(key, v)
			c.send(v, req)
			answerTo[kmsg.Response](c, v, req)
			asked := b.groups.requests()
			if len(asked) != 1 || asked[0].Key() != key || asked[0].GetVersion() != v {
				t.Fatalf("asked %v", asked)
			}
			if got, want := b.groups.clients[0], (protocol.Client{ID: "test", Host: "/127.0.0.1"}); got != want {
				t.Errorf("client %+v, want %+v", got, want)
			}
		})
	}
}

// A caller without the right on the group is told so, and the coordinator hears nothing of it.
func TestGroupAuthorization(t *testing.T) {
	for key, op := range map[int16]protocol.Operation{8: protocol.OpRead, 9: protocol.OpDescribe, 11: protocol.OpRead, 12: protocol.OpRead, 13: protocol.OpRead, 14: protocol.OpRead,
		15: protocol.OpDescribe, 42: protocol.OpDelete, 47: protocol.OpDelete} {
		each(t, key, func(t *testing.T, b *broker, c *client, v int16) {
			b.denyGroup(op, "g")
			req := populatedGroup(key, v)
			c.send(v, req)
			resp := answerTo[kmsg.Response](c, v, req)
			if code := firstCode(resp); code != kerr.GroupAuthorizationFailed.Code {
				t.Errorf("%v", resp)
			}
			if asked := b.groups.requests(); len(asked) != 0 {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// firstCode is the error that a group's response tells, wherever its version has it.
func firstCode(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.OffsetCommitResponse:
		return r.Topics[0].Partitions[0].ErrorCode
	case *kmsg.OffsetFetchResponse:
		switch {
		case r.Version >= offsetsOfGroups:
			return r.Groups[0].ErrorCode
		case r.Version < offsetErrorOfGroup:
			return r.Topics[0].Partitions[0].ErrorCode
		}
		return r.ErrorCode
	case *kmsg.JoinGroupResponse:
		return r.ErrorCode
	case *kmsg.HeartbeatResponse:
		return r.ErrorCode
	case *kmsg.LeaveGroupResponse:
		return r.ErrorCode
	case *kmsg.SyncGroupResponse:
		return r.ErrorCode
	case *kmsg.DescribeGroupsResponse:
		return r.Groups[0].ErrorCode
	case *kmsg.ListGroupsResponse:
		return r.ErrorCode
	case *kmsg.DeleteGroupsResponse:
		return r.Groups[0].ErrorCode
	case *kmsg.OffsetDeleteResponse:
		return r.ErrorCode
	}
	panic("no response of a group")
}

// commitCodes lists topic/partition=code in the order of the answer.
func commitCodes(resp *kmsg.OffsetCommitResponse) (out []string) {
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = protocol.ID(t.TopicID).String()
		}
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s/%d=%d", name, p.Partition, p.ErrorCode))
		}
	}
	return out
}

func TestOffsetCommit(t *testing.T) {
	each(t, 8, func(t *testing.T, b *broker, c *client, v int16) {
		b.controller.image.Store(testImage(topicRecords("secret", 1)...))
		b.denyTopic(protocol.OpRead, "secret")
		with(func() { b.groups.decide = answerGroups })
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group = "g"
		add := func(topic string, partitions ...int32) {
			o := kmsg.OffsetCommitRequestTopic{Topic: topic, TopicID: idOf(topic)}
			for _, p := range partitions {
				in := kmsg.NewOffsetCommitRequestTopicPartition()
				in.Partition = p
				o.Partitions = append(o.Partitions, in)
			}
			req.Topics = append(req.Topics, o)
		}
		add("nope", 0)
		add("t", 0, 9, 3, -1)
		add("secret", 0)
		add("t", 1)
		name, unknown := func(s string) string { return s }, kerr.UnknownTopicOrPartition.Code
		if v >= offsetsByID {
			name, unknown = func(s string) string { return protocol.ID(idOf(s)).String() }, kerr.UnknownTopicID.Code
		}
		got := commitCodes(ask[*kmsg.OffsetCommitResponse](c, v, req))
		want := []string{
			fmt.Sprintf("%s/0=%d", name("nope"), unknown),
			name("t") + "/9=3", name("t") + "/-1=3", name("t") + "/0=0", name("t") + "/3=0", name("t") + "/1=0",
			name("secret") + "/0=29",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		sent := b.groups.requests()[0].(*kmsg.OffsetCommitRequest)
		if len(sent.Topics) != 2 || sent.Topics[0].Topic != "t" || len(sent.Topics[0].Partitions) != 2 {
			t.Errorf("the coordinator got %+v", sent.Topics)
		}
		req.Topics = req.Topics[:0]
		add("nope", 0)
		if resp := ask[*kmsg.OffsetCommitResponse](c, v, req); len(resp.Topics) != 1 || len(b.groups.requests()) != 1 {
			t.Errorf("nothing left for the coordinator: %+v", resp)
		}
	})
}

func TestOffsetFetchOfOneGroup(t *testing.T) {
	for v := int16(1); v < offsetsOfGroups; v++ {
		b := newBroker(t)
		b.denyTopic(protocol.OpDescribe, "secret")
		with(func() { b.groups.decide = answerGroups })
		c := b.dial(t)
		fetch := func(topics []kmsg.OffsetFetchRequestTopic) (out []string) {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Group, req.Topics = "g", topics
			for _, t := range ask[*kmsg.OffsetFetchResponse](c, v, req).Topics {
				for _, p := range t.Partitions {
					out = append(out, fmt.Sprintf("%s/%d:%d=%d", t.Topic, p.Partition, p.Offset, p.ErrorCode))
				}
			}
			return out
		}
		if got, want := fetch([]kmsg.OffsetFetchRequestTopic{{Topic: "secret", Partitions: []int32{0}}, {Topic: "nope", Partitions: []int32{3}}}), []string{"nope/3:7=0", "secret/0:-1=29"}; !slices.Equal(got, want) {
			t.Errorf("v%d: got %v, want %v", v, got, want)
		}
		if got, want := fetch([]kmsg.OffsetFetchRequestTopic{{Topic: "secret", Partitions: []int32{0}}}), []string{"secret/0:-1=29"}; !slices.Equal(got, want) {
			t.Errorf("v%d: what was refused became all topics: got %v, want %v", v, got, want)
		}
		if v < 2 {
			continue
		}
		if got, want := fetch(nil), []string{"t/0:7=0", "gone/0:7=0"}; !slices.Equal(got, want) {
			t.Errorf("v%d, all: got %v, want %v", v, got, want)
		}
	}
}

// Version 1 has no error of the group: it is told at the partitions.
func TestOffsetFetchErrorOfTheGroup(t *testing.T) {
	each(t, 9, func(t *testing.T, b *broker, c *client, v int16) {
		code := kerr.NotCoordinator.Code
		with(func() {
			b.groups.decide = func(req kmsg.Request) kmsg.Response {
				resp := kmsg.NewPtrOffsetFetchResponse()
				resp.ErrorCode = code
				resp.Groups = []kmsg.OffsetFetchResponseGroup{{Group: "g", ErrorCode: code}}
				return resp
			}
		})
		if got := firstCode(ask[*kmsg.OffsetFetchResponse](c, v, populatedGroup(9, v))); got != code {
			t.Errorf("got %d", got)
		}
	})
}

func TestOffsetFetchOfManyGroups(t *testing.T) {
	for v := int16(offsetsOfGroups); v <= 10; v++ {
		b := newBroker(t, topicRecords("secret", 1)...)
		b.denyGroup(protocol.OpDescribe, "hidden")
		b.denyTopic(protocol.OpDescribe, "secret")
		with(func() { b.groups.decide = answerGroups })
		group := func(name string, topics ...string) kmsg.OffsetFetchRequestGroup {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = name
			for _, topic := range topics {
				g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: topic, TopicID: idOf(topic), Partitions: []int32{0}})
			}
			return g
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Groups = []kmsg.OffsetFetchRequestGroup{group("a", "nope", "secret", "t"), group("hidden", "t"), group("all"), group("a", "secret")}
		var got []string
		for _, g := range ask[*kmsg.OffsetFetchResponse](b.dial(t), v, req).Groups {
			got = append(got, fmt.Sprintf("%s=%d", g.Group, g.ErrorCode))
			for _, topic := range g.Topics {
				name := topic.Topic
				for _, known := range []string{"t", "secret", "nope"} {
					if topic.TopicID == idOf(known) {
						name = known
					}
				}
				got = append(got, fmt.Sprintf("%s/0:%d=%d", name, topic.Partitions[0].Offset, topic.Partitions[0].ErrorCode))
			}
		}
		want := []string{"a=0", "nope/0:7=0", "t/0:7=0", "secret/0:-1=29", "hidden=30", "all=0", "t/0:7=0", "gone/0:7=0", "a=0", "secret/0:-1=29"}
		if v >= offsetsByID {
			want = []string{"a=0", "t/0:7=0", "nope/0:-1=100", "secret/0:-1=29", "hidden=30", "all=0", "t/0:7=0", "a=0", "secret/0:-1=29"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("v%d:\ngot  %v\nwant %v", v, got, want)
		}
	}
}

func TestDescribeListAndDeleteGroups(t *testing.T) {
	b := newBroker(t)
	with(func() { b.groups.decide = answerGroups })
	b.denyGroup(protocol.OpDescribe, "h")
	b.denyGroup(protocol.OpDelete, "h")
	c := b.dial(t)

	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups, describe.IncludeAuthorizedOperations = []string{"g", "h"}, true
	described := ask[*kmsg.DescribeGroupsResponse](c, 5, describe).Groups
	if len(described) != 2 || described[0].Group != "h" || described[0].ErrorCode != kerr.GroupAuthorizationFailed.Code || described[0].AuthorizedOperations != operationsNotAsked {
		t.Errorf("described %+v", described)
	}
	if described[1].Group != "g" || described[1].State != "Empty" || described[1].AuthorizedOperations != 3400 { // as Apache Kafka answers to a caller who may do everything
		t.Errorf("described %+v", described)
	}

	if listed := ask[*kmsg.ListGroupsResponse](c, 4, kmsg.NewPtrListGroupsRequest()).Groups; len(listed) != 2 {
		t.Errorf("listed %+v to who may describe the cluster", listed)
	}
	b.authorizer.deny(protocol.OpDescribe, protocol.ResourceCluster, protocol.Cluster.Name)
	if listed := ask[*kmsg.ListGroupsResponse](c, 4, kmsg.NewPtrListGroupsRequest()).Groups; len(listed) != 1 || listed[0].Group != "g" {
		t.Errorf("listed %+v", listed)
	}

	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = []string{"h", "g", "h", "g"}
	name := func(o kmsg.DeleteGroupsResponseGroup) (string, int16) { return o.Group, o.ErrorCode }
	expect(t, codesOf(ask[*kmsg.DeleteGroupsResponse](c, 2, remove).Groups, name), map[string]int16{"g": 0, "h": kerr.GroupAuthorizationFailed.Code})
}

func TestOffsetDelete(t *testing.T) {
	b := newBroker(t, topicRecords("secret", 1)...)
	b.denyTopic(protocol.OpRead, "secret")
	with(func() { b.groups.decide = answerGroups })
	c := b.dial(t)
	type in = kmsg.OffsetDeleteRequestTopicPartition
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = "g"
	req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "nope", Partitions: []in{{}}}, {Topic: "t", Partitions: []in{{Partition: 0}, {Partition: 9}}}, {Topic: "secret", Partitions: []in{{}}}, {Topic: "t", Partitions: []in{{Partition: 1}}}, {Topic: "bare"}}
	var got []string
	for _, topic := range ask[*kmsg.OffsetDeleteResponse](c, 0, req).Topics {
		if len(topic.Partitions) == 0 {
			got = append(got, topic.Topic)
		}
		for _, p := range topic.Partitions {
			got = append(got, fmt.Sprintf("%s/%d=%d", topic.Topic, p.Partition, p.ErrorCode))
		}
	}
	if want := []string{"nope/0=3", "t/9=3", "t/0=0", "t/1=0", "secret/0=29", "bare"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	with(func() {
		b.groups.decide = func(kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrOffsetDeleteResponse()
			resp.ErrorCode = kerr.GroupIDNotFound.Code
			return resp
		}
	})
	if resp := ask[*kmsg.OffsetDeleteResponse](c, 0, req); resp.ErrorCode != kerr.GroupIDNotFound.Code || len(resp.Topics) != 0 {
		t.Errorf("an error of the group: %+v", resp)
	}
}

func TestSyncGroupWithoutItsProtocol(t *testing.T) {
	b := newBroker(t)
	req := populatedGroup(14, 5).(*kmsg.SyncGroupRequest)
	req.Protocol = nil
	if resp := ask[*kmsg.SyncGroupResponse](b.dial(t), 5, req); resp.ErrorCode != kerr.InconsistentGroupProtocol.Code {
		t.Errorf("%+v", resp)
	}
}

// A JoinGroup that waits holds up neither the next request nor, once its connection has gone, anything at all: its member's late answer finds nobody.
func TestJoinGroupWaits(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	join, beat := populatedGroup(11, 9), populatedGroup(12, 4)
	c.send(9, join)
	c.send(4, beat)
	waitFor(t, func() bool { return len(b.groups.unanswered()) == 2 })
	callbacks := b.groups.unanswered()
	early := kmsg.NewPtrHeartbeatResponse()
	early.ErrorCode = kerr.RebalanceInProgress.Code
	callbacks[1](early)
	joined := kmsg.NewPtrJoinGroupResponse()
	joined.Generation = 3
	callbacks[0](joined)
	if resp := answerTo[*kmsg.JoinGroupResponse](c, 9, join); resp.Generation != 3 {
		t.Errorf("joined %+v", resp)
	}
	if resp := answerTo[*kmsg.HeartbeatResponse](c, 4, beat); resp.ErrorCode != kerr.RebalanceInProgress.Code {
		t.Errorf("heartbeat %+v", resp)
	}

	c.send(9, join)
	waitFor(t, func() bool { return len(b.groups.unanswered()) == 3 })
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	b.groups.unanswered()[2](joined) // whether the connection has been seen to end or not
}

// buried tells when the connections of its calls are garbage.
type buried struct {
	server.Dispatcher
	conns atomic.Int32
}

func (d *buried) Dispatch(c *server.Call) {
	runtime.AddCleanup(c.Conn, func(n *atomic.Int32) { n.Add(1) }, &d.conns)
	d.Dispatcher.Dispatch(c)
}

// A coordinator keeps the callback of a member that waits for as long as the rebalance lasts; that must not keep the member's connection, which may have gone long before.
func TestWaitingMemberKeepsNoConnection(t *testing.T) {
	b := newBroker(t)
	d := &buried{Dispatcher: b.Handlers}
	c := b.dialWith(t, server.Options{Dispatcher: d})
	c.send(9, populatedGroup(11, 9))
	waitFor(t, func() bool { return len(b.groups.unanswered()) == 1 })
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { runtime.GC(); return d.conns.Load() == 1 })
	b.groups.unanswered()[0](kmsg.NewPtrJoinGroupResponse())
}

// What wants an answer soon is given up after 30 s, with an error that clients repeat the call after. JoinGroup and SyncGroup wait on.
func TestSilentCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, key := range groupKeys {
			b := newBroker(t)
			c := b.dialOver(t, memnet.New())
			v := min(2, wire.MaxVersion(key))
			req := populatedGroup(key, v)
			c.send(v, req)
			if key == 11 || key == 14 {
				c.silent(time.Hour)
				continue
			}
			c.patience = time.Minute
			if code := firstCode(answerTo[kmsg.Response](c, v, req)); code != kerr.CoordinatorNotAvailable.Code {
				t.Errorf("key %d: code %d", key, code)
			}
		}
	})
}

func TestJavaAddress(t *testing.T) {
	for in, want := range map[string]string{"127.0.0.1": "/127.0.0.1", "::1": "/0:0:0:0:0:0:0:1", "fe80::a0:1": "/fe80:0:0:0:0:0:a0:1"} {
		if got := javaAddress(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := javaAddress(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}
