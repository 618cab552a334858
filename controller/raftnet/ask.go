package raftnet

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol/client"
	"ottla/protocol/peer"
)

// Ask makes one of Kafka's own calls on a node's connection, in the version of req, and returns at once. done is called as by client.Conn.Go. Errors: Go's; peer.ErrMalformed.
func Ask(ctx context.Context, c *client.Conn, req kmsg.Request, done func(kmsg.Response, error)) {
	key, version := req.Key(), req.GetVersion()
	c.Go(ctx, key, version, req.AppendTo(nil), func(reply []byte, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(decodeReply(key, version, reply))
	})
}

// Call is Ask that waits for the answer; ctx bounds that.
func Call[Resp kmsg.Response](ctx context.Context, c *client.Conn, req kmsg.Request) (resp Resp, err error) {
	done := make(chan struct{})
	Ask(ctx, c, req, func(r kmsg.Response, e error) {
		if err = e; e == nil {
			resp = r.(Resp)
		}
		close(done)
	})
	<-done
	return resp, err
}

// decodeReply reads the body of a response of Kafka's.
func decodeReply(key, version int16, body []byte) (resp kmsg.Response, err error) {
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, fmt.Errorf("reply to key %d, decoder panicked with %v: %w", key, r, peer.ErrMalformed)
		}
	}()
	if resp = kmsg.ResponseForKey(key); resp == nil {
		return nil, peer.ErrMalformed
	}
	resp.SetVersion(version)
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("reply to key %d: %w: %w", key, err, peer.ErrMalformed)
	}
	return resp, nil
}
