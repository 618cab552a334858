package handlers

// Committed (key 10004), version 0: a node that follows the metadata asks a member of the quorum what is committed by now, as a majority confirms it (protocol/peer). Only from nodes.
//
// NOT_CONTROLLER if this node has no part in the quorum, or nobody leads it.

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

func (h *Handlers) committed(row *row, c *server.Call) {
	if len(c.Body) != 0 {
		c.Close(fmt.Errorf("what is committed was asked in %d bytes: %w", len(c.Body), peer.ErrMalformed))
		return
	}
	r := &request{Handlers: h, call: c, row: row}
	replyRaw(r, defaultTimeout, func(done func(protocol.Offset, error)) {
		if h.Metadata == nil {
			done(protocol.NoOffset, kerr.NotController)
			return
		}
		h.Metadata.Committed(done)
	}, func(b []byte, at protocol.Offset, err error) []byte {
		answer := peer.Committed{Err: err, Offset: at}
		return answer.Append(b)
	})
}
