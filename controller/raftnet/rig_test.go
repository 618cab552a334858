package raftnet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/handlers"
	"ottla/protocol/memnet"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// rig is members of a quorum on a network; member i has raft id 100+i, node id i and address 10.0.0.i:9092.
type rig struct {
	t       *testing.T
	network *memnet.Network
	members map[protocol.BrokerID]*member
}

// member is one: a transport behind real handlers and a real server.
type member struct {
	rig       *rig
	id        protocol.BrokerID
	transport *Transport
	nodes     *handlers.Nodes
	stop      func()

	mu       sync.Mutex
	received []*pb.Message
	events   []string
}

func raftID(id protocol.BrokerID) uint64 { return 100 + uint64(id) }

func host(id protocol.BrokerID) string { return fmt.Sprintf("10.0.0.%d", id) }

func address(id protocol.BrokerID) string { return host(id) + ":9092" }

func inRig(t *testing.T, members int, test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, network: memnet.New(), members: map[protocol.BrokerID]*member{}}
		for i := range members {
			r.start(protocol.BrokerID(i+1), Options{})
		}
		defer func() {
			for _, m := range r.members {
				m.stop()
			}
		}()
		test(t, r)
	})
}

func (r *rig) locate(raft uint64) (client.Target, bool) {
	id := protocol.BrokerID(raft - 100)
	return client.Target{Node: id, Address: address(id)}, id >= 1 && id <= 9
}

func (r *rig) connection(id protocol.BrokerID) client.Options {
	s, err := peer.ParseSecret("correct horse battery")
	if err != nil {
		r.t.Fatal(err)
	}
	return client.Options{Dial: r.network.Host(host(id)), Secret: s, Self: func() peer.Identity {
		return peer.Identity{ClusterID: "c", Node: protocol.Node{ID: id, Roles: protocol.RoleController}}
	}}
}

// start starts a member, or starts it again.
func (r *rig) start(id protocol.BrokerID, o Options) *member {
	r.t.Helper()
	m := &member{rig: r, id: id}
	o.Connection, o.Locate = r.connection(id), r.locate
	if o.Receive == nil {
		o.Receive = func(from protocol.Node, msg *pb.Message) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.received = append(m.received, msg)
		}
		o.Unreachable = func(id uint64) { m.event("unreachable %d", id) }
		o.SnapshotSent = func(id uint64, sent bool) { m.event("snapshot %d %v", id, sent) }
		o.Gone = func(id uint64) { m.event("gone %d", id) }
	}
	m.transport = New(o)
	m.nodes = &handlers.Nodes{Secret: o.Connection.Secret, Identity: o.Connection.Self, Raft: m.transport.Deliver}
	l, err := r.network.Listen(address(id))
	if err != nil {
		r.t.Fatal(err)
	}
	s := server.New(server.Options{Dispatcher: handlers.New(handlers.Options{Nodes: m.nodes}), MaxFrame: handlers.MaxFrame(1 << 20), MaxPeerFrame: handlers.MaxPeerFrame(1 << 20)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx, l, "NODES") }()
	go func() { ended <- m.transport.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, <-ended, s.Shutdown(context.Background())); err != nil {
			r.t.Error(err)
		}
	})
	r.members[id] = m
	synctest.Wait()
	return m
}

func (m *member) event(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := fmt.Sprintf(format, args...); len(m.events) == 0 || m.events[len(m.events)-1] != e {
		m.events = append(m.events, e)
	}
}

// took is what was received since it was asked last.
func (m *member) took() []*pb.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.received
	m.received = nil
	return got
}

func (m *member) wantEvents(when string, want ...string) {
	m.rig.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.events, want) {
		m.rig.t.Errorf("%s: %q, want %q", when, m.events, want)
	}
	m.events = nil
}

// msg is one of raft's, from member a to member b.
func msg(kind pb.MessageType, a, b protocol.BrokerID, index uint64) *pb.Message {
	return &pb.Message{Type: kind.Enum(), From: proto.Uint64(raftID(a)), To: proto.Uint64(raftID(b)), Term: proto.Uint64(5), Index: proto.Uint64(index)}
}

// entriesOf makes an append of one entry with so many bytes.
func entriesOf(a, b protocol.BrokerID, index uint64, size int) *pb.Message {
	m := msg(pb.MsgApp, a, b, index)
	m.Entries = []*pb.Entry{{Index: proto.Uint64(index + 1), Term: proto.Uint64(5), Data: make([]byte, size)}}
	return m
}

func snapshotOf(a, b protocol.BrokerID, data []byte) *pb.Message {
	m := msg(pb.MsgSnap, a, b, 0)
	m.Snapshot = &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{Index: proto.Uint64(42), Term: proto.Uint64(4), ConfState: &pb.ConfState{Voters: []uint64{101, 102}, Learners: []uint64{103}}}}
	return m
}

// connect has a's connection to b made.
func (r *rig) connect(a, b protocol.BrokerID) {
	r.t.Helper()
	r.members[a].transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, a, b, 0)})
	synctest.Wait()
	if got := r.members[b].took(); len(got) != 1 {
		r.t.Fatalf("%d messages came from %d to %d", len(got), a, b)
	}
}
