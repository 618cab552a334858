package server

import (
	"math"
	"runtime"
	"slices"

	"ottla/protocol"
	"ottla/protocol/wire"
)

// Connections of the cluster's own nodes. Whether one is a node's is the Dispatcher's to find out (SetPeer); from then on it has memory, turns and a slot apart from those of clients, so
// that clients can do what they like and followers still get what they need.
//
// A slot has to be had before anything can be proved: so up to MaxPeers connections are accepted beyond the limits, on probation. They may send small frames only, and a Dispatcher
// takes nothing of them but the proof (OnProbation). When more come than maxProving, the oldest that has not proved anything is closed: who only sits there keeps nobody out.

// maxProving is how many connections may be on probation at a time.
const maxProving = 64

// slot says which limit a connection counts for.
type slot uint8

const (
	clientSlot slot = iota
	provingSlot
	peerSlot
)

// prove gives c a slot on probation, or fails with err.
func (cs *connections) prove(c *Conn, err error) (evicted *Conn, _ error) {
	if len(cs.proving) > 0 && (len(cs.proving) >= maxProving || cs.peers+len(cs.proving) >= cs.maxPeers) {
		evicted = cs.proving[0]
		cs.vacate(evicted)
		evicted.slot = provingSlot // it stays open, and in no list, until its reader has ended
	}
	if cs.peers+len(cs.proving) >= cs.maxPeers {
		return nil, err
	}
	c.slot = provingSlot
	c.probation.Store(true)
	cs.proving = append(cs.proving, c)
	return evicted, nil
}

// promote moves c to a node's slot. One that has a client's keeps it if there are no others; false if it has none at all.
func (cs *connections) promote(c *Conn) bool {
	if _, open := cs.open[c]; !open {
		return false
	}
	inList := slices.Contains(cs.proving, c)
	switch {
	case c.slot == provingSlot && !inList:
		return false // evicted
	case c.slot == clientSlot && cs.peers+len(cs.proving) >= cs.maxPeers:
		return true
	}
	cs.vacate(c)
	cs.peers++
	c.slot = peerSlot
	return true
}

// vacate gives c's slot back.
func (cs *connections) vacate(c *Conn) {
	switch c.slot {
	case clientSlot:
		cs.clients--
		if cs.perIP[c.ip]--; cs.perIP[c.ip] == 0 {
			delete(cs.perIP, c.ip)
		}
	case provingSlot:
		cs.proving = slices.DeleteFunc(cs.proving, func(o *Conn) bool { return o == c })
	case peerSlot:
		cs.peers--
	}
}

// share is the memory of one kind of connection, and the turns of those that make large replies.
type share struct {
	frames, large, replies *budget
	strangers              *budget // nil: nodes are none
	makers                 chan struct{}
}

// newShare is one with as many bytes for frames, and half as much again for replies.
func newShare(s *Server, memory int64) share {
	own := share{
		frames: &budget{total: memory}, large: &budget{total: memory / 4 * 3}, replies: &budget{total: memory / 2},
		makers: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	own.frames.reclaim = func(need int64) { s.reclaim(&s.peers, frameHold, anyHold, need) }
	own.large.reclaim = own.frames.reclaim
	own.replies.reclaim = func(int64) { s.reclaim(&s.peers, replyHold, anyHold, math.MaxInt64) }
	return own
}

// share is what c lives on now.
func (c *Conn) share() *share {
	if c.peer.Load() != nil {
		return &c.server.peers
	}
	return &c.server.clients
}

// claim is memory for a frame of c's.
func (c *Conn) claim(size int, stranger bool) frameClaim {
	return frameClaim{size: size, from: c.share(), stranger: stranger}
}

// Peer is the node at the other end, and true, once SetPeer was called.
func (c *Conn) Peer() (protocol.Node, bool) {
	if n := c.peer.Load(); n != nil {
		return *n, true
	}
	return protocol.Node{ID: protocol.NoBroker}, false
}

// SetPeer says that n has proved to be at the other end; Dispatch only. False if the connection has lost its slot meanwhile, and is about to end.
func (c *Conn) SetPeer(n protocol.Node) bool {
	if s := c.server; s != nil {
		s.mu.Lock()
		ok := s.conns.promote(c)
		s.mu.Unlock()
		if !ok {
			return false
		}
	}
	c.probation.Store(false)
	c.peer.Store(&n)
	return true
}

// OnProbation tells whether the connection is over the limits, and may do nothing but prove that it is a node's.
func (c *Conn) OnProbation() bool { return c.probation.Load() }

// maxFrame is the largest frame that c may send.
func (c *Conn) maxFrame(key int16) int {
	o := &c.server.o
	switch {
	case c.probation.Load():
		return min(o.MaxFrame(key), wire.MaxUnauthenticatedFrame)
	case o.MaxPeerFrame != nil && c.peer.Load() != nil:
		return o.MaxPeerFrame(key)
	default:
		return o.MaxFrame(key)
	}
}

// tellPeerEnded tells whoever wants to know that a node's connection has ended.
func (c *Conn) tellPeerEnded() {
	if c.server.o.PeerEnded == nil || c.peer.Load() == nil {
		return
	}
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	c.server.o.PeerEnded(c, cause)
}
