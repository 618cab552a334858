package handlers

// Join (key 10003), version 0: a node gets its node id, and learns the cluster's id and where its nodes are (protocol/peer). Only from nodes that have proved to know the secret; they
// need no id for that. A node that gives none answers NOT_CONTROLLER.

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol/peer"
	"ottla/protocol/server"
)

func (h *Handlers) join(row *row, c *server.Call) {
	j, err := peer.ParseJoin(c.Body)
	if err != nil {
		c.Close(err)
		return
	}
	r := &request{Handlers: h, call: c, row: row}
	replyRaw(r, defaultTimeout, func(done func(peer.Joined, error)) {
		if h.Nodes.Joiner == nil {
			done(peer.Joined{}, kerr.NotController)
			return
		}
		h.Nodes.Joiner.Join(j.Node, c.Conn.LocalAddr(), done)
	}, func(b []byte, joined peer.Joined, err error) []byte {
		joined.Err = err
		return joined.Append(b)
	})
}
