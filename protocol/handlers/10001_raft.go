package handlers

// RaftMessages (key 10001), version 0: messages of the metadata quorum's raft, one way (protocol/peer, controller/raftnet). Only from nodes.

import (
	"errors"

	"ottla/protocol/server"
)

var errNoQuorum = errors.New("raft messages to a node that has no part in the quorum")

func (h *Handlers) raft(_ *row, c *server.Call) {
	if h.Nodes.Raft == nil {
		c.Close(errNoQuorum)
		return
	}
	from, _ := c.Conn.Peer()
	if err := h.Nodes.Raft(from, c.Body); err != nil {
		c.Close(err)
		return
	}
	c.NoReply()
}
