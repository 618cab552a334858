package server

import (
	"time"
)

// Dispatcher takes one call. It runs on the connection's reader goroutine, in request order: the ordered first stage of a call (an append) happens here.
// Exactly one of c.Done, c.Park, c.Close or c.NoReply is called before it returns. c.Body is valid only until it returns.
type Dispatcher interface{ Dispatch(c *Call) }

// Finisher is the second stage of a parked call: it fills in c.Reply. It may read a log (pread), it never waits. No lock is held and calls of one connection are
// finished one after the other, in request order.
//
// The calls of a connection that has gone are finished too, even those that were not woken, so that what they registered is unlinked: c.Alive then tells false,
// whatever is put into the reply is dropped, and a Wake may still come later.
type Finisher interface{ Finish(c *Call) }

// Call is one request and its reply; it is a slot of its connection's ring and is reused.
type Call struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      string    // interned per connection
	Body          []byte    // after the header; aliases the frame: valid and mutable until Dispatch returns
	Received      time.Time // when the frame was complete
	Conn          *Conn
	Reply         Reply // fill in, then Done
	Scratch       any   // a handler's own reusable state: found again when the slot is reused; nil at first

	// answer is set by Dispatch on the reader's goroutine and published by returned.
	answer   answer
	closeErr error
	finisher Finisher

	size     int  // of a reply that was done at once
	finished bool // Finish has run, or runs; the writer's, and at last bury's

	// Guarded by the connection's lock.
	returned bool // Dispatch is over: the call may be finished and sent
	woken    bool
}

// answer is what Dispatch decided.
type answer uint8

const (
	undecided answer = iota
	replyNow
	replyNever
	replyLater
	closeAfter
)

func (c *Call) decide(a answer) {
	if c.answer != undecided {
		panic("server: a call was answered twice")
	}
	c.answer = a
}

// Done says that the reply is complete; Dispatch only.
func (c *Call) Done() { c.decide(replyNow) }

// NoReply says that nothing is sent (acks=0); the call still keeps its place in the order.
func (c *Call) NoReply() { c.decide(replyNever) }

// Close closes the connection once the replies to the calls before this one have left, and logs err. Nothing more is read.
func (c *Call) Close(err error) {
	c.decide(closeAfter)
	c.closeErr = err
}

// Park says that the reply comes later. From then on Wake may be called, once, from any goroutine; even then f.Finish never runs before Dispatch has returned.
func (c *Call) Park(f Finisher) {
	c.decide(replyLater)
	c.finisher = f
}

// Wake never blocks: it marks the call, and when that is the connection's oldest, Finish runs on the connection's writer goroutine (or on its reader, at the end
// of a pass). A Wake that comes after the connection has gone does nothing.
func (c *Call) Wake() { c.Conn.wake(c) }

// Alive is false once the connection has gone: there is no one to answer, and what waits may end early.
func (c *Call) Alive() bool { return !c.Conn.gone.Load() }

// Throttle keeps the connection from being read for d from now (KIP-219: the reply itself leaves at once, and tells the client).
func (c *Call) Throttle(d time.Duration) { c.Conn.throttle(d) }

// reset makes the slot ready for another request; Conn and Scratch stay. The caller holds the connection's lock; the last reply was reset when it had left.
func (c *Call) reset() {
	c.Body, c.finisher, c.closeErr = nil, nil, nil
	c.answer, c.size = undecided, 0
	c.returned, c.woken, c.finished = false, false, false
}

// ready tells whether the reply can be sent, but for the Finish of a parked call. The caller holds the connection's lock.
func (c *Call) ready() bool {
	return c.returned && (c.answer != replyLater || c.woken)
}
