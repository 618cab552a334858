package server

import (
	"time"
)

// Dispatcher takes one call. It runs on the connection's reader goroutine, in request order: the ordered first stage of a call (an append) happens here.
// Exactly one of c.Done, c.Park, c.Close or c.NoReply is called before it returns. c.Body is valid only until it returns.
type Dispatcher interface{ Dispatch(c *Call) }

// Settler does at the end of a pass, once, what the calls of the pass wait for together: one flush of the disk for all that they appended. It runs on the connection's reader
// goroutine, and should leave to others what takes long: the connection reads nothing meanwhile, though replies leave.
type Settler interface {
	Unsettled() bool // cheap
	Settle()
}

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
	Scratch       any   // the handler's own: the server does not look at it

	// answer is set by Dispatch on the reader's goroutine and published by returned.
	answer   answer
	closeErr error
	finisher Finisher

	held     int64         // bytes taken from the budget of replies: by Hold, and for the reply itself
	from     *budget       // that budget, while any are held
	charged  int64         // of those, for the reply
	maker    chan struct{} // between AwaitRoom and the end of Dispatch: where its token is
	size     int           // of a reply that was done at once
	finished bool          // Finish has run, or runs; the writer's, and at last bury's

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

// DoneThenClose is Done for the connection's last reply: once it has left the connection is closed as by Close.
func (c *Call) DoneThenClose(err error) {
	c.decide(replyNow)
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

// AwaitRoom is for calls whose reply may be much larger than the request, before that is made: it waits while replies, of whatever connection, hold more memory than they
// may, and has only as many of them made at once as there are processors. Dispatch only. An error says that the connection or the server ended first; Close takes it.
func (c *Call) AwaitRoom() error {
	conn := c.Conn
	s := conn.server
	if s == nil {
		return nil // a Conn{} that no server made
	}
	own := conn.share()
	if own.replies.overdrawn.Load() || len(own.makers) == cap(own.makers) {
		conn.endPass() // our own may be among them, and nothing that others need is held while the peer takes them
		conn.watchPeer(true)
		defer conn.beginPass()
		defer conn.watchPeer(false)
	}
	select {
	case own.makers <- struct{}{}:
		c.maker = own.makers
	case <-conn.done:
		return conn.endedWhileWaiting()
	case <-s.stop:
		return errStopped
	}
	if own.replies.overdrawn.Load() && !own.replies.acquire(0, conn.done, s.stop) {
		return conn.endedWhileWaiting()
	}
	return nil
}

// made ends what AwaitRoom began.
func (c *Call) made() {
	if c.maker != nil {
		<-c.maker
		c.maker = nil
	}
}

// Hold takes n bytes of the node's memory for what the call keeps while it is parked; they come back when its reply has left. False if there are not that many to
// spare: then it had better be answered now.
func (c *Call) Hold(n int) bool {
	if c.Conn.server == nil {
		return true // a Conn{} that no server made has memory enough
	}
	from := c.budget()
	if !from.tryHalf(int64(n)) {
		return false
	}
	c.take(int64(n), from)
	return true
}

// charge takes the memory that the reply has come to hold, unless it is next to nothing. The budget is not asked: see AwaitRoom.
func (c *Call) charge() {
	if more := c.Reply.memory() - c.charged; more > smallBuffer {
		c.charged += more
		from := c.budget()
		c.take(more, from)
		from.overdraw(more)
	}
}

// budget is where what the call holds comes from: all of it from one, though its connection may become a node's meanwhile.
func (c *Call) budget() *budget {
	if c.held > 0 {
		return c.from
	}
	return c.Conn.share().replies
}

func (c *Call) take(n int64, from *budget) {
	c.held += n
	c.from = from
	c.Conn.out.hold.bytes.Add(n)
}

// letGo drops the reply and gives back all memory.
func (c *Call) letGo() {
	c.Reply.Reset()
	if c.held > 0 {
		c.Conn.out.hold.bytes.Add(-c.held)
		c.from.repay(c.held)
		c.held, c.charged, c.from = 0, 0, nil
	}
}

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
