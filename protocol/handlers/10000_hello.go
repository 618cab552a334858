package handlers

// Hello (key 10000), version 0: a node proves that it knows the cluster's secret, and is shown that we do (protocol/peer). Our own: no client knows it, and none is told.
//
// It takes two calls on a connection, once. Then the connection is the node's, for as long as it lives: the keys of nodes are served, and its memory and slot are not those of clients.
// Errors are told and close the connection: INCONSISTENT_CLUSTER_ID, SASL_AUTHENTICATION_FAILED, UNSUPPORTED_VERSION (with what is served, in any version that it is asked in). Without a
// secret of this node's the key is not served at all.

import (
	"errors"
	"fmt"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

var (
	errHelloAgain = errors.New("hello on a connection that is a node's already")
	errNoSlot     = errors.New("hello on a connection that has lost its slot")
)

func (h *Handlers) hello(_ *row, c *server.Call) {
	if _, proved := c.Conn.Peer(); proved {
		c.Close(errHelloAgain)
		return
	}
	state, _ := c.Conn.Metadata().(*peer.Answerer)
	if state == nil {
		state = new(peer.Answerer)
		c.Conn.SetMetadata(state)
	}
	reply, caller, refused, err := state.Answer(c.Reply.Buf(), h.Nodes.Secret, h.Nodes.Identity(), peer.NewNonce(), c.Version, c.Body)
	switch {
	case err != nil:
		c.Close(err)
		return
	case caller != nil && !c.Conn.SetPeer(caller.Node):
		c.Close(errNoSlot)
		return
	case caller != nil:
		c.Conn.SetMetadata(nil)
	}
	c.Reply.SetBuf(reply)
	if refused != nil {
		c.Reply.SetError(protocol.ErrorCode(refused))
		c.DoneThenClose(fmt.Errorf("hello: %w", refused))
		return
	}
	c.Done()
}
