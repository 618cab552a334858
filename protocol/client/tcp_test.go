package client

import (
	"context"
	"net"
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// Over real sockets: calls, and the end of a process as the kernel tells it.
func TestOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, secret: secretOf(t, "correct horse battery"), is: peer.Identity{Node: protocol.Node{ID: 1}}}
	n.server = server.New(server.Options{Dispatcher: n, MaxFrame: func(int16) int { return 8 << 20 }})
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(context.Background(), l, "NODES") }()
	o := Options{Dial: new(net.Dialer).DialContext, Secret: n.secret, Self: func() peer.Identity { return peer.Identity{} }}
	c, err := Dial(t.Context(), o, Target{1, l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 100_000, 3 << 20} {
		if reply, err := c.Call(t.Context(), peer.KeyForward, 0, make([]byte, size)); err != nil || len(reply) != size {
			t.Errorf("%d bytes back, %v", len(reply), err)
		}
	}
	if Refused(t.Context(), o.Dial, l.Addr().String()) {
		t.Error("refused by a process that lives")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	<-c.Done()
	if !Reset(c.Err()) {
		t.Errorf("ended with %v", c.Err())
	}
	c.Close()
	if !Refused(t.Context(), o.Dial, l.Addr().String()) {
		t.Error("a process that is gone does not refuse")
	}
}
