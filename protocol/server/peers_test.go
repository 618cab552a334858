package server

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol"
)

// proving makes every connection whose first request has the body "node" a node's, and lets one on probation do nothing else.
func proving(c *Call) {
	_, proved := c.Conn.Peer()
	switch {
	case string(c.Body) == "node":
		if !c.Conn.SetPeer(protocol.Node{ID: 7, Roles: protocol.RoleController}) {
			c.Close(errors.New("no slot"))
			return
		}
	case c.Conn.OnProbation() && !proved:
		c.Close(errors.New("on probation"))
		return
	}
	echo(c)
}

// ask sends one request and waits for its echo.
func ask(t *testing.T, c net.Conn, body string) {
	t.Helper()
	send(t, c, request(keyEcho, 1, body))
	wantReply(t, c, 1, body)
}

func TestPeerIsWhoWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var conn *Conn
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) { conn = c.Conn; proving(c) })})
		c := f.dial()
		ask(t, c, "client")
		if n, ok := conn.Peer(); ok || n.ID != protocol.NoBroker {
			t.Errorf("a client is node %+v", n)
		}
		ask(t, c, "node")
		if n, ok := conn.Peer(); !ok || n.ID != 7 || n.Roles != protocol.RoleController {
			t.Errorf("node %+v, %v", n, ok)
		}
		f.shutdown()
	})
}

// TestNodesGetThroughToAFullServer: clients have taken every slot, and more come and sit there; nodes still connect, and clients still do not.
func TestNodesGetThroughToAFullServer(t *testing.T) {
	for name, o := range map[string]Options{"all": {MaxConnections: 2, MaxPeers: 4}, "per address": {MaxConnectionsPerIP: 2, MaxPeers: 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.Dispatcher = dispatcherFunc(proving)
				f := startMem(t, o)
				clients := []net.Conn{f.dial(), f.dial()}
				var nodes []net.Conn
				for range 3 {
					for range 10 {
						f.dial() // says nothing
					}
					c := f.dial()
					ask(t, c, "node")
					nodes = append(nodes, c)
				}
				late := f.dial()
				send(t, late, request(keyEcho, 1, "a client beyond the limit"))
				wantClosed(t, late)
				for _, c := range append(clients, nodes...) {
					ask(t, c, "still served")
				}
				last := f.dial()
				ask(t, last, "node")
				wantClosed(t, f.dial()) // all slots of nodes are taken by nodes
				last.Close()
				synctest.Wait()
				ask(t, f.dial(), "node")
				f.shutdown()
			})
		})
	}
}

// TestANodeTakesNoClientsSlot: what a node holds is neither of the limit of all nor of that of its address.
func TestANodeTakesNoClientsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(proving), MaxConnections: 1, MaxPeers: 1})
		node := f.dial()
		ask(t, node, "node")
		ask(t, f.dial(), "client")
		other := f.dial()
		send(t, other, request(keyEcho, 1, "node"))
		wantClosed(t, other)
		ask(t, node, "still there")
		f.shutdown()
	})
}

// TestOnProbationFramesAreSmall: nothing large is read before the proof, and what a node may send is.
func TestOnProbationFramesAreSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(proving), MaxConnections: 1, MaxPeers: 9, MaxPeerFrame: func(int16) int { return testMaxBigFrame }})
		f.dial()
		c := f.dial()
		send(t, c, request(keyBig, 1, strings.Repeat("x", testMaxFrame))[:100])
		wantClosed(t, c)
		c = f.dial()
		ask(t, c, "node")
		large := strings.Repeat("x", 2*testMaxFrame)
		go func() { _, _ = c.Write(request(keyEcho, 2, large)) }()
		wantReply(t, c, 2, large)
		f.shutdown()
	})
}

// TestNodesHaveMemoryOfTheirOwn: clients hold all of theirs with frames that they do not finish, and a node's large frame is taken at once.
func TestNodesHaveMemoryOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(proving), MemoryBudget: 8 << 20, PeerMemory: 4 << 20, FrameTimeout: time.Minute})
		node := f.dial()
		ask(t, node, "node")
		whole := request(keyBig, 1, strings.Repeat("c", 4<<20))
		var senders sync.WaitGroup
		for range 9 {
			c := f.dial()
			senders.Go(func() { _, _ = c.Write(whole[:len(whole)-1]) })
		}
		synctest.Wait()
		began := time.Now()
		large := strings.Repeat("n", 2<<20)
		go func() { _, _ = node.Write(request(keyBig, 2, large)) }()
		wantReply(t, node, 2, large)
		if d := time.Since(began); d != 0 {
			t.Errorf("a node's frame waited %v for clients", d)
		}
		if used := f.peers.frames.used; used != 0 {
			t.Errorf("%d bytes are held after the frame", used)
		}
		node.Close()
		f.shutdown()
		senders.Wait()
	})
}

// TestAReplyIsGivenBackToWhereItCameFrom: a call holds a client's memory when its connection becomes a node's.
func TestAReplyIsGivenBackToWhereItCameFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		park := newParking()
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) {
			if string(c.Body) == "node" {
				proving(c)
				return
			}
			if err := c.AwaitRoom(); err != nil || !c.Hold(100_000) {
				t.Errorf("no memory: %v", err)
			}
			park.Dispatch(c)
		})})
		c := f.dial()
		send(t, c, request(keyEcho, 1, "wait"))
		send(t, c, request(keyEcho, 2, "node"))
		send(t, c, request(keyEcho, 3, "wait"))
		synctest.Wait()
		if clients, peers := f.replies.used, f.peers.replies.used; clients != 100_000 || peers != 100_000 {
			t.Errorf("%d and %d bytes held", clients, peers)
		}
		(<-park.calls).Wake()
		(<-park.calls).Wake()
		wantReply(t, c, 1, "late 1")
		wantReply(t, c, 2, "node")
		wantReply(t, c, 3, "late 3")
		synctest.Wait()
		if clients, peers := f.replies.used, f.peers.replies.used; clients != 0 || peers != 0 {
			t.Errorf("%d and %d bytes left", clients, peers)
		}
		f.shutdown()
	})
}

func TestTheEndOfANodesConnectionIsTold(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		type end struct {
			node  protocol.Node
			cause error
		}
		ends := make(chan end, 9)
		f := start(Options{Dispatcher: dispatcherFunc(proving), PeerEnded: func(c *Conn, cause error) {
			n, _ := c.Peer()
			ends <- end{n, cause}
		}})
		client, node := f.dial(), f.dial()
		ask(t, client, "client")
		ask(t, node, "node")
		client.Close()
		node.Close()
		if e := <-ends; e.node.ID != 7 || !errors.Is(e.cause, io.EOF) {
			t.Errorf("%+v", e)
		}
		node = f.dial()
		ask(t, node, "node")
		f.shutdown()
		if e := <-ends; !errors.Is(e.cause, ErrShutdown) || len(ends) != 0 {
			t.Errorf("%+v, and %d more", e, len(ends))
		}
	})
}

// TestTheLastReplyLeavesBeforeTheClose: DoneThenClose answers, and takes no more.
func TestTheLastReplyLeavesBeforeTheClose(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		park := newParking()
		f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
			switch string(c.Body) {
			case "wait":
				park.Dispatch(c)
			case "last":
				c.Reply.SetBuf(append(c.Reply.Buf(), c.Body...))
				c.DoneThenClose(errors.New("enough"))
			default:
				t.Errorf("%q was dispatched", c.Body)
				echo(c)
			}
		})})
		c := f.dial()
		send(t, c, append(append(request(keyEcho, 1, "wait"), request(keyEcho, 2, "last")...), request(keyEcho, 3, "more")...))
		(<-park.calls).Wake()
		wantReply(t, c, 1, "late 1")
		wantReply(t, c, 2, "last")
		wantClosed(t, c)
		f.shutdown()
		if lines := f.logs.lines(); len(lines) != 1 || !strings.Contains(lines[0], "enough") {
			t.Errorf("log: %q", lines)
		}
	})
}
