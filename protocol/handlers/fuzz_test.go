package handlers

import (
	"testing"
	"time"

	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// FuzzDispatch sends every key and version with arbitrary bytes. Nothing panics, every call is answered in one way, and a body that does not follow the schema changes nothing.
func FuzzDispatch(f *testing.F) {
	for _, r := range table() {
		for v := r.min; v <= r.max; v++ {
			req := populated(r.key, v)
			req.SetVersion(v)
			f.Add(req.Key(), v, req.AppendTo(nil))
		}
	}
	f.Add(int16(18), int16(99), []byte{})
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		b := newBroker(t)
		_, malformed := wire.Check(key, version, body)
		c := &server.Call{Key: key, Version: version, Body: body, Conn: &server.Conn{}, Received: time.Now()}
		b.Dispatch(c)
		if malformed != nil && (b.p0.state().appends != 0 || b.p1.state().appends != 0 || b.p0.state().deleted != 0 || len(b.controller.requests()) != 0 || len(b.groups.requests()) != 0) {
			t.Errorf("key %d version %d: %v, but something was done", key, version, malformed)
		}
		if parked, ok := c.Scratch.(server.Finisher); ok { // as the server does for a connection that has gone
			parked.Finish(c)
		}
		c.Reply.Reset()
	})
}
