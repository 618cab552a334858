package handlers

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	peers "ottla/protocol/client"
	"ottla/protocol/memnet"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// fakeLeader is the rest of a node, to others. The fakes' lock guards it.
type fakeLeader struct {
	principals []protocol.Principal
	asked      []kmsg.Request
	raft       []string
	from       []protocol.Node
	err        error                                     // of raft
	decide     func(kmsg.Request) (kmsg.Response, error) // nil never answers
	joined     func(protocol.Node) (peer.Joined, error)
}

func (l *fakeLeader) Forward(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, protocol.Offset, error)) {
	fakes.Lock()
	l.principals, l.asked = append(l.principals, p), append(l.asked, req)
	decide := l.decide
	fakes.Unlock()
	if decide != nil {
		resp, err := decide(req)
		done(resp, 77, err)
	}
}

func (l *fakeLeader) Join(n protocol.Node, _ net.Addr, done func(peer.Joined, error)) {
	done(l.joined(n))
}

func (l *fakeLeader) deliver(from protocol.Node, body []byte) error {
	fakes.Lock()
	defer fakes.Unlock()
	l.from, l.raft = append(l.from, from), append(l.raft, string(body))
	return l.err
}

func (l *fakeLeader) requests() []kmsg.Request {
	fakes.Lock()
	defer fakes.Unlock()
	return l.asked
}

func testSecret(t testing.TB) peer.Secret {
	s, err := peer.ParseSecret("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newNode is a broker that answers other nodes.
func newNode(t testing.TB) (*broker, *fakeLeader, *fakeMetadata) {
	b, l, m := newBroker(t), &fakeLeader{}, &fakeMetadata{fakePartition: newFakePartition(t)}
	o := b.Options
	o.Metadata = m
	o.Nodes = &Nodes{Secret: testSecret(t), Forwarder: l, Joiner: l, Raft: l.deliver, Identity: func() peer.Identity {
		return peer.Identity{ClusterID: clusterID, Node: protocol.Node{ID: self}}
	}}
	b.Handlers = New(o)
	return b, l, m
}

const nodeAddress = "10.0.0.1:9092"

// rig is a node on a network of its own, and how to reach it.
type rig struct {
	*broker
	leader   *fakeLeader
	metadata *fakeMetadata
	t        *testing.T
	network  *memnet.Network
}

// inRig runs test with a node, in a bubble.
func inRig(t *testing.T, o server.Options, test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		b, l, m := newNode(t)
		r := &rig{b, l, m, t, memnet.New()}
		o.Dispatcher, o.MaxFrame, o.MaxPeerFrame = b.Handlers, MaxFrame(1<<20), MaxPeerFrame(1<<20)
		s := server.New(o)
		listener, err := r.network.Listen(nodeAddress)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { served <- s.Serve(ctx, listener, "PLAINTEXT") }()
		test(t, r)
		cancel()
		if err := errors.Join(<-served, s.Shutdown(context.Background())); err != nil {
			t.Error(err)
		}
	})
}

// client connects as a client.
func (r *rig) client() *client {
	r.t.Helper()
	conn, err := r.network.Dial(r.t.Context(), "tcp", nodeAddress)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return &client{t: r.t, conn: conn, patience: 10 * time.Second}
}

// node connects as a node.
func (r *rig) node(id protocol.BrokerID) *peers.Conn {
	r.t.Helper()
	c, err := r.dialAs(id, testSecret(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

func (r *rig) dialAs(id protocol.BrokerID, s peer.Secret) (*peers.Conn, error) {
	return peers.Dial(r.t.Context(), peers.Options{Dial: r.network.Host("10.0.0.2"), Secret: s, Self: func() peer.Identity {
		return peer.Identity{ClusterID: clusterID, Node: protocol.Node{ID: id, Roles: protocol.RoleBroker}}
	}}, peers.Target{Node: self, Address: nodeAddress})
}

// askAs makes one of Kafka's calls on a node's connection.
func askAs[Resp kmsg.Response](t *testing.T, c *peers.Conn, version int16, req kmsg.Request) Resp {
	t.Helper()
	req.SetVersion(version)
	reply, err := c.Call(t.Context(), req.Key(), version, req.AppendTo(nil))
	if err != nil {
		t.Fatalf("key %d version %d: %v", req.Key(), version, err)
	}
	resp := req.ResponseKind().(Resp)
	resp.SetVersion(version)
	if err := resp.ReadFrom(reply); err != nil {
		t.Fatal(err)
	}
	return resp
}

func keysOf(resp *kmsg.ApiVersionsResponse) (keys []int16) {
	for _, k := range resp.ApiKeys {
		keys = append(keys, k.ApiKey)
	}
	return keys
}

// Keys of our own are told to nobody, and answered to nobody but nodes; those of Kafka's nodes are told to nodes alone.
func TestKeysOfNodesAreHidden(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		for name, keys := range map[string][]int16{
			"client": keysOf(ask[*kmsg.ApiVersionsResponse](r.client(), 0, kmsg.NewPtrApiVersionsRequest())),
			"node":   keysOf(askAs[*kmsg.ApiVersionsResponse](t, r.node(2), 0, kmsg.NewPtrApiVersionsRequest())),
		} {
			if slices.Max(keys) >= peer.FirstKey {
				t.Errorf("%s: keys %v", name, keys)
			}
			for _, k := range []int16{59, 62, 63, 67, 70} {
				if slices.Contains(keys, k) != (name == "node") {
					t.Errorf("%s: key %d is there, or is not, in %v", name, k, keys)
				}
			}
		}
		for key := peer.FirstKey; key < peer.KeysEnd+3; key++ {
			if key == peer.KeyHello {
				continue
			}
			c := r.client()
			c.write(rawFrame(key, 0, []byte("anything")))
			c.closed()
		}
		if n := len(r.leader.requests()); n != 0 || len(r.leader.raft) != 0 {
			t.Errorf("%d requests, %q", n, r.leader.raft)
		}
	})
}

func rawFrame(key, version int16, body []byte) []byte {
	b := []byte{0, 0, 0, byte(10 + len(body)), byte(key >> 8), byte(key), byte(version >> 8), byte(version), 0, 0, 0, 1, 0, 0}
	return append(b, body...)
}

// A node without a secret serves none of it, as before there were any.
func TestWithoutASecret(t *testing.T) {
	b := newBroker(t)
	for _, key := range []int16{62, 63, 67, 70, peer.KeyHello, peer.KeyRaft, peer.KeyForward, peer.KeyJoin, peer.KeyCommitted, 59} {
		c := b.dial(t)
		c.write(rawFrame(key, 0, nil))
		c.closed()
	}
}

func TestHelloWithAWrongSecret(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		other, err := peer.ParseSecret("another horse battery")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.dialAs(2, other); !errors.Is(err, peer.ErrWrongSecret) {
			t.Errorf("%v", err)
		}
		// One that does not mind who answers is told, and heard no more.
		caller, c := peer.NewCaller(testSecret(t), peer.Identity{Node: protocol.Node{ID: 2}}, peer.NewNonce()), r.client()
		c.write(rawFrame(peer.KeyHello, 0, caller.Begin(nil)))
		proof, err := caller.Prove(nil, c.receive(false))
		if err != nil {
			t.Fatal(err)
		}
		proof[7] ^= 1
		c.write(rawFrame(peer.KeyHello, 0, proof))
		if err := caller.Accepted(c.receive(false)); !errors.Is(err, peer.ErrWrongSecret) {
			t.Errorf("%v", err)
		}
		c.closed()
	})
}

func TestHelloInAnotherVersion(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		c := r.client()
		c.write(rawFrame(peer.KeyHello, 9, []byte("of the future")))
		if err := peer.NewCaller(testSecret(t), peer.Identity{}, peer.NewNonce()).Accepted(c.receive(false)); !errors.Is(err, peer.ErrVersion) {
			t.Errorf("%v", err)
		}
		c.closed()
	})
}

// The state is the connection's: what one has proved is of no use to another, and nothing is proved twice.
func TestHelloIsOfItsConnection(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		caller, a := peer.NewCaller(testSecret(t), peer.Identity{Node: protocol.Node{ID: 2}}, peer.NewNonce()), r.client()
		a.write(rawFrame(peer.KeyHello, 0, caller.Begin(nil)))
		proof, err := caller.Prove(nil, a.receive(false))
		if err != nil {
			t.Fatal(err)
		}
		b := r.client()
		b.write(rawFrame(peer.KeyHello, 0, proof))
		b.closed()
		a.write(rawFrame(peer.KeyHello, 0, proof))
		if err := caller.Accepted(a.receive(false)); err != nil {
			t.Error(err)
		}
		a.write(rawFrame(peer.KeyHello, 0, caller.Begin(nil)))
		a.closed()
	})
}

// aboutItself are the calls that a node makes about itself, as node id would.
func aboutItself(id int32) []kmsg.Request {
	registration, heartbeat := kmsg.NewPtrBrokerRegistrationRequest(), kmsg.NewPtrBrokerHeartbeatRequest()
	ids, controller := kmsg.NewPtrAllocateProducerIDsRequest(), kmsg.NewPtrControllerRegistrationRequest()
	registration.BrokerID, heartbeat.BrokerID, ids.BrokerID, controller.ControllerID = id, id, id, id
	return []kmsg.Request{registration, heartbeat, ids, controller}
}

func errorOf(resp kmsg.Response) int16 {
	switch resp := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		return resp.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		return resp.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		return resp.ErrorCode
	case *kmsg.ControllerRegistrationResponse:
		return resp.ErrorCode
	}
	panic("no such response")
}

// Only a node, and for itself: everybody else is refused, and nothing is decided.
func TestWhatOnlyANodeMayAskForItself(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		two, three := r.node(2), r.node(3)
		for i, req := range aboutItself(2) {
			for v := range req.MaxVersion() + 1 {
				if code := errorOf(ask[kmsg.Response](r.client(), v, req)); code != kerr.ClusterAuthorizationFailed.Code {
					t.Errorf("key %d version %d of a client: %d", req.Key(), v, code)
				}
				if code := errorOf(askAs[kmsg.Response](t, three, v, req)); code != kerr.ClusterAuthorizationFailed.Code {
					t.Errorf("key %d version %d of another node: %d", req.Key(), v, code)
				}
			}
			if n := len(r.leader.requests()); n != i {
				t.Fatalf("%d requests were decided", n-i)
			}
			with(func() {
				r.leader.decide = func(req kmsg.Request) (kmsg.Response, error) { return req.ResponseKind(), nil }
			})
			if code := errorOf(askAs[kmsg.Response](t, two, 0, req)); code != 0 {
				t.Errorf("key %d of the node: %d", req.Key(), code)
			}
			with(func() { r.leader.decide = nil })
		}
		with(func() { r.leader.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, kerr.NotController } })
		if code := errorOf(askAs[kmsg.Response](t, two, 0, aboutItself(2)[1])); code != kerr.NotController.Code {
			t.Errorf("a node that does not lead: %d", code)
		}
		nobody := r.node(protocol.NoBroker)
		if code := errorOf(askAs[kmsg.Response](t, nobody, 0, aboutItself(-1)[0])); code != kerr.ClusterAuthorizationFailed.Code {
			t.Errorf("a node without an id: %d", code)
		}
	})
}

func forwarded(req kmsg.Request, left time.Duration) []byte {
	f := peer.Forward{Principal: protocol.Principal{Type: "User", Name: "alice"}, ClientID: "x", Key: req.Key(), Version: req.GetVersion(), TimeLeft: left, Body: req.AppendTo(nil)}
	return f.Append(nil)
}

func TestForward(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		node := r.node(2)
		call := func(body []byte) peer.Decided {
			t.Helper()
			reply, err := node.Call(t.Context(), peer.KeyForward, 0, body)
			if err != nil {
				t.Fatal(err)
			}
			d, err := peer.ParseDecided(reply)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.Topics = 7, []kmsg.CreateTopicsRequestTopic{{Topic: "new", NumPartitions: 3}}
		with(func() {
			r.leader.decide = func(req kmsg.Request) (kmsg.Response, error) {
				resp := kmsg.NewPtrCreateTopicsResponse()
				resp.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: req.(*kmsg.CreateTopicsRequest).Topics[0].Topic, NumPartitions: 3}}
				return resp, nil
			}
		})
		d := call(forwarded(req, time.Minute))
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.Version = 7
		if err := resp.ReadFrom(d.Body); err != nil || d.Err != nil || d.Offset != 77 || resp.Topics[0].Topic != "new" {
			t.Errorf("%+v, %v, %+v", d, err, resp)
		}
		if p := r.leader.principals[0]; p.String() != "User:alice" {
			t.Errorf("decided for %v", p)
		}

		with(func() { r.leader.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, kerr.NotController } })
		if d := call(forwarded(req, time.Minute)); !errors.Is(d.Err, kerr.NotController) || len(d.Body) != 0 {
			t.Errorf("%+v", d)
		}
		with(func() { r.leader.decide = nil })
		began := time.Now()
		if d := call(forwarded(req, 3*time.Second)); !errors.Is(d.Err, kerr.RequestTimedOut) || time.Since(began) != 3*time.Second {
			t.Errorf("%+v after %v", d, time.Since(began))
		}
		asked := len(r.leader.requests())
		for _, req := range aboutItself(3) {
			if d := call(forwarded(req, time.Minute)); !errors.Is(d.Err, kerr.ClusterAuthorizationFailed) {
				t.Errorf("key %d of another node: %+v", req.Key(), d)
			}
		}
		if n := len(r.leader.requests()); n != asked {
			t.Errorf("%d were decided for another node", n-asked)
		}
	})
}

func TestForwardOfNonsenseCloses(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		unknown, malformed := peer.Forward{Key: 999, TimeLeft: time.Second}, peer.Forward{Key: 19, Version: 7, TimeLeft: time.Second, Body: []byte{9, 9, 9}}
		private := peer.Forward{Key: peer.KeyForward, TimeLeft: time.Second}
		for _, body := range [][]byte{nil, {1, 2, 3}, unknown.Append(nil), malformed.Append(nil), private.Append(nil)} {
			if reply, err := r.node(2).Call(t.Context(), peer.KeyForward, 0, body); !peers.Reset(err) {
				t.Errorf("%x: %x, %v", body, reply, err)
			}
		}
		if n := len(r.leader.requests()); n != 0 {
			t.Errorf("%d were decided", n)
		}
	})
}

// What is decided lives on when the frame holds another request already.
func TestForwardedRequestsDoNotAliasTheFrame(t *testing.T) {
	for _, key := range []int16{19, 20, 33, 37, 44, 62} {
		b, l, _ := newNode(t)
		req := aboutItself(2)[0]
		if row := newIndex(table()).row(key); row != nil {
			req = populated(key, row.max)
			req.SetVersion(row.max)
		}
		c := &server.Call{Key: peer.KeyForward, Body: forwarded(req, time.Minute), Conn: &server.Conn{}, Received: time.Now()}
		c.Conn.SetPeer(protocol.Node{ID: 2})
		b.Dispatch(c)
		asked := l.requests()
		if len(asked) != 1 {
			t.Fatalf("key %d: %d were decided", key, len(asked))
		}
		before := asked[0].AppendTo(nil)
		for i := range c.Body {
			c.Body[i] = 0xa5
		}
		if !bytes.Equal(asked[0].AppendTo(nil), before) {
			t.Errorf("key %d: the request changes with the frame", key)
		}
	}
}

func TestJoin(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		var joins protocol.Node
		r.leader.joined = func(n protocol.Node) (peer.Joined, error) {
			joins = n
			if n.ID == 1 {
				return peer.Joined{}, kerr.DuplicateBrokerRegistration
			}
			return peer.Joined{ClusterID: clusterID, ID: 4, Nodes: []peer.Endpoint{{Node: protocol.Node{ID: 1}, Host: "h1", Port: 9}}}, nil
		}
		join := func(id protocol.BrokerID) peer.Joined {
			t.Helper()
			j := peer.Join{Node: protocol.Node{ID: id, Directory: protocol.DirectoryID{5}}}
			reply, err := r.node(protocol.NoBroker).Call(t.Context(), peer.KeyJoin, 0, j.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			got, err := peer.ParseJoined(reply)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := join(-1); got.Err != nil || got.ID != 4 || got.ClusterID != clusterID || len(got.Nodes) != 1 || joins.Directory != (protocol.DirectoryID{5}) {
			t.Errorf("%+v for %+v", got, joins)
		}
		if got := join(1); !errors.Is(got.Err, kerr.DuplicateBrokerRegistration) {
			t.Errorf("%+v", got)
		}
		r.Nodes.Joiner = nil
		if got := join(-1); !errors.Is(got.Err, kerr.NotController) {
			t.Errorf("%+v", got)
		}
	})
}

func TestRaftReachesTheQuorum(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		node := r.node(2)
		large := string(make([]byte, 2<<20)) // nothing of this size comes from a client
		for _, body := range []string{"one", "two", large} {
			if err := node.Send(t.Context(), peer.KeyRaft, 0, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		with(func() {
			if len(r.leader.raft) != 3 || r.leader.raft[0] != "one" || r.leader.raft[2] != large || r.leader.from[1] != (protocol.Node{ID: 2, Roles: protocol.RoleBroker}) {
				t.Errorf("%d bodies from %+v", len(r.leader.raft), r.leader.from)
			}
			r.leader.err = peer.ErrMalformed
		})
		if err := node.Send(t.Context(), peer.KeyRaft, 0, []byte("bad")); err != nil {
			t.Fatal(err)
		}
		<-node.Done()
		r.Nodes.Raft = nil
		node = r.node(2)
		if err := node.Send(t.Context(), peer.KeyRaft, 0, []byte("to one without a quorum")); err != nil {
			t.Fatal(err)
		}
		<-node.Done()
	})
}

// A replica id is a node's own: with it a node reads, and nobody else.
func TestReplicaIDs(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		r.p0.fill(t, 1)
		for id, conn := range map[string]*peers.Conn{"itself": r.node(2), "another node": r.node(3)} {
			fetch := fetchRequest(11, fetchOf("t", 0, 0))
			fetch.ReplicaID = 2
			want := kerr.TopicAuthorizationFailed.Code
			if id == "itself" {
				want = 0
			}
			if code := askAs[*kmsg.FetchResponse](t, conn, 11, fetch).Topics[0].Partitions[0].ErrorCode; code != want {
				t.Errorf("fetch of %s: %d", id, code)
			}
			if want != 0 {
				want = kerr.ClusterAuthorizationFailed.Code
			}
			list := populated(2, 5).(*kmsg.ListOffsetsRequest)
			list.ReplicaID, list.Topics[0].Partitions[0].Timestamp = 2, -1
			if code := askAs[*kmsg.ListOffsetsResponse](t, conn, 5, list).Topics[0].Partitions[0].ErrorCode; code != want {
				t.Errorf("list offsets of %s: %d", id, code)
			}
		}
	})
}

// A connection beyond the limits may say Hello, and nothing else.
func TestNodesConnectToAFullBroker(t *testing.T) {
	inRig(t, server.Options{MaxConnections: 1, MaxPeers: 8}, func(t *testing.T, r *rig) {
		r.client()
		for _, key := range []int16{keyAPIVersions, 3, 62, peer.KeyForward} {
			late := r.client()
			late.write(rawFrame(key, 0, nil))
			late.closed()
		}
		askAs[*kmsg.ApiVersionsResponse](t, r.node(2), 0, kmsg.NewPtrApiVersionsRequest())
	})
}

func TestMaxPeerFrame(t *testing.T) {
	clients, nodes := MaxFrame(50<<20), MaxPeerFrame(50<<20)
	for key, want := range map[int16]int{0: 50 << 20, 3: wire.MaxMetadataFrame, 62: wire.MaxAdminFrame, 999: wire.MaxUnauthenticatedFrame, peer.KeyHello: wire.MaxUnauthenticatedFrame,
		peer.KeyRaft: peer.MaxRaftFrame, peer.KeyForward: peer.MaxForwardFrame, peer.KeyJoin: peer.MaxJoinFrame, peer.KeyCommitted: peer.MaxCommittedFrame, peer.KeysEnd: wire.MaxUnauthenticatedFrame} {
		if got := nodes(key); got != want {
			t.Errorf("key %d of a node: %d, want %d", key, got, want)
		}
		if got := clients(key); got > wire.MaxUnauthenticatedFrame && key >= 62 {
			t.Errorf("key %d of a client: %d", key, got)
		}
	}
}

func TestNodeTable(t *testing.T) {
	for i, r := range nodeTable() {
		if r.key != peer.FirstKey+int16(i) || !r.access.declared() || r.scope != onPeers && r.key != peer.KeyHello {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	for _, r := range kafkasNodeTable() {
		hidden := r.key == 59 // Apache Kafka's brokers do not serve it at all
		if r.scope != onPeers || (r.refuse == nil) != hidden || r.max > wire.MaxVersion(r.key) {
			t.Errorf("key %d: %+v", r.key, r)
		}
	}
}

// FuzzNodeCalls has a node that has proved its secret send arbitrary bytes: nothing panics, every call is answered in one way.
func FuzzNodeCalls(f *testing.F) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	j := peer.Join{Node: protocol.Node{ID: 1}}
	for _, body := range [][]byte{nil, forwarded(req, time.Second), j.Append(nil), peer.AppendWhole(peer.BeginRaft(nil, 0), []byte{1})} {
		for key := peer.FirstKey; key < peer.KeysEnd; key++ {
			f.Add(key, int16(0), true, body)
		}
	}
	f.Add(int16(63), int16(1), true, aboutItself(2)[1].AppendTo(nil))
	f.Add(int16(1), int16(17), true, fetchMetadata(17, 1, 5).AppendTo(nil))
	snapshot := kmsg.NewPtrFetchSnapshotRequest()
	snapshot.Topics = []kmsg.FetchSnapshotRequestTopic{{Topic: protocol.MetadataTopic, Partitions: make([]kmsg.FetchSnapshotRequestTopicPartition, 1)}}
	f.Add(int16(59), int16(0), true, snapshot.AppendTo(nil))
	f.Fuzz(func(t *testing.T, key, version int16, proved bool, body []byte) {
		b, l, _ := newNode(t)
		l.joined = func(protocol.Node) (peer.Joined, error) { return peer.Joined{}, nil }
		c := &server.Call{Key: key, Version: version, Body: body, Conn: &server.Conn{}, Received: time.Now()}
		if proved {
			c.Conn.SetPeer(protocol.Node{ID: 2})
		}
		b.Dispatch(c)
		if !proved && (len(l.requests()) != 0 || len(l.raft) != 0) {
			t.Errorf("key %d of nobody was let in", key)
		}
		if parked, ok := c.Scratch.(server.Finisher); ok { // as the server does for a connection that has gone
			parked.Finish(c)
		}
		c.Reply.Reset()
	})
}
