package client

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/memnet"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

const nodeAddress = "10.0.0.1:9092"

func secretOf(t testing.TB, text string) peer.Secret {
	t.Helper()
	s, err := peer.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// node is a real server that answers Hello, echoes KeyForward, keeps what KeyRaft brings and never answers KeyJoin by itself.
type node struct {
	t       testing.TB
	network *memnet.Network
	secret  peer.Secret
	is      peer.Identity
	server  *server.Server
	cancel  context.CancelFunc
	served  chan error

	mu     sync.Mutex
	calls  int // of Hello
	raft   []string
	parked []*server.Call
	mute   bool // nothing is read: KeyRaft blocks
	unmute chan struct{}
}

func startNode(t testing.TB, n *memnet.Network) *node {
	t.Helper()
	s := &node{t: t, network: n, secret: secretOf(t, "correct horse battery"), is: peer.Identity{ClusterID: "c", Node: protocol.Node{ID: 1}}, unmute: make(chan struct{})}
	s.start()
	return s
}

func (n *node) start() {
	n.t.Helper()
	l, err := n.network.Listen(nodeAddress)
	if err != nil {
		n.t.Fatal(err)
	}
	n.server = server.New(server.Options{Dispatcher: n, MaxFrame: func(int16) int { return 8 << 20 }, MaxInFlight: 1000})
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	n.served = make(chan error, 1)
	go func() { n.served <- n.server.Serve(ctx, l, "NODES") }()
}

// stop ends the process, as far as others can see.
func (n *node) stop() {
	n.t.Helper()
	n.cancel()
	if err := <-n.served; err != nil {
		n.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := n.server.Shutdown(ctx); err != nil {
		n.t.Error(err)
	}
}

func (n *node) Dispatch(c *server.Call) {
	switch c.Key {
	case peer.KeyHello:
		n.hello(c)
	case peer.KeyForward:
		c.Reply.SetBuf(append(c.Reply.Buf(), c.Body...))
		c.Done()
	case peer.KeyJoin:
		c.Park(n)
		n.mu.Lock()
		n.parked = append(n.parked, c)
		n.mu.Unlock()
	case peer.KeyRaft:
		n.mu.Lock()
		mute := n.mute
		n.raft = append(n.raft, string(c.Body))
		n.mu.Unlock()
		if mute {
			<-n.unmute
		}
		c.NoReply()
	default:
		c.Close(fmt.Errorf("key %d", c.Key))
	}
}

func (n *node) Finish(c *server.Call) { c.Reply.SetBuf(append(c.Reply.Buf(), "late"...)) }

func (n *node) hello(c *server.Call) {
	n.mu.Lock()
	n.calls++
	secret, is := n.secret, n.is
	n.mu.Unlock()
	a, _ := c.Conn.Metadata().(*peer.Answerer)
	if a == nil {
		a = new(peer.Answerer)
		c.Conn.SetMetadata(a)
	}
	reply, known, answered, err := a.Answer(c.Reply.Buf(), secret, is, peer.NewNonce(), c.Version, c.Body)
	if err != nil {
		c.Close(err)
		return
	}
	c.Reply.SetBuf(reply)
	if known != nil {
		c.Conn.SetPeer(known.Node)
	}
	if answered != nil {
		c.DoneThenClose(answered)
		return
	}
	c.Done()
}

func (n *node) wakeParked() {
	n.mu.Lock()
	parked := n.parked
	n.parked = nil
	n.mu.Unlock()
	for _, c := range parked {
		c.Wake()
	}
}

func (n *node) got() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.raft...)
}

// options of a caller that knows n's secret.
func (n *node) options() Options {
	return Options{
		Dial: n.network.Host("10.0.0.2"), Secret: n.secret,
		Self: func() peer.Identity { return peer.Identity{ClusterID: "c", Node: protocol.Node{ID: 2}} },
	}
}

func (n *node) dial(o Options) (*Conn, error) {
	return Dial(context.Background(), o, Target{1, nodeAddress})
}

func (n *node) mustDial(o Options) *Conn {
	n.t.Helper()
	c, err := n.dial(o)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// scripted is a listener whose connections are answered by a function: a node that does what it likes.
func scripted(t testing.TB, n *memnet.Network, serve func(net.Conn)) {
	t.Helper()
	l, err := n.Listen(nodeAddress)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
}
