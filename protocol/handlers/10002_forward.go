package handlers

// Forward (key 10002), version 0: a node passes on what a client, or itself, wants the leader of the metadata quorum to decide (protocol/peer). Only from nodes.
//
// The answer comes when the decision is committed and applied here, with an offset from which on every image has it; REQUEST_TIMED_OUT after the time that the caller has left. Requests of
// a node about itself (keys 62, 63, 67, 70) may be passed on by that node alone: CLUSTER_AUTHORIZATION_FAILED. Whether the principal may do what it asks was decided by the node that it asked.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// decided is what a Forwarder's callback brings.
type decided struct {
	resp kmsg.Response
	at   protocol.Offset
}

func (h *Handlers) forward(row *row, c *server.Call) {
	if err := c.AwaitRoom(); err != nil {
		c.Close(err)
		return
	}
	f, err := peer.ParseForward(c.Body)
	var req kmsg.Request
	if err == nil {
		req, err = decodeForwarded(&f)
	}
	if err != nil {
		c.Close(err)
		return
	}
	r := &request{Handlers: h, call: c, row: row}
	replyRaw(r, min(f.TimeLeft, maxWait), func(done func(decided, error)) {
		if id, about := subject(req); about && !r.isFrom(id) {
			done(decided{}, kerr.ClusterAuthorizationFailed)
			return
		}
		h.Nodes.Forwarder.Forward(f.Principal, req, func(resp kmsg.Response, at protocol.Offset, err error) { done(decided{resp, at}, err) })
	}, func(b []byte, d decided, err error) []byte {
		answer := peer.Decided{Err: err, Offset: d.at}
		if err == nil {
			d.resp.SetVersion(f.Version)
			answer.Body = d.resp.AppendTo(nil)
		}
		return answer.Append(b)
	})
}
