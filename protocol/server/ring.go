package server

import "time"

// ring is the calls of a connection whose replies have not left, oldest first. It grows on demand up to its limit and starts over at its first slot whenever it
// runs empty, so that a client with one request at a time uses one slot. The connection's lock guards it; the calls in it stay where they are in memory.
type ring struct {
	slots      []*Call
	head, tail int // numbers of the oldest call and of the next one; the slot of a number is its remainder
	limit      int
}

func (r *ring) len() int   { return r.tail - r.head }
func (r *ring) full() bool { return r.len() == r.limit }

func (r *ring) at(number int) *Call { return r.slots[number%len(r.slots)] }

// oldest is nil if the ring is empty.
func (r *ring) oldest() *Call {
	if r.len() == 0 {
		return nil
	}
	return r.at(r.head)
}

// push takes the next slot; the ring must not be full.
func (r *ring) push(c *Conn) *Call {
	if r.len() == len(r.slots) {
		r.grow()
	}
	i := r.tail % len(r.slots)
	if r.slots[i] == nil {
		r.slots[i] = &Call{Conn: c}
	}
	r.tail++
	return r.slots[i]
}

func (r *ring) grow() {
	slots := make([]*Call, min(max(1, 2*len(r.slots)), r.limit))
	for i := range r.len() {
		slots[i] = r.at(r.head + i)
	}
	r.slots, r.head, r.tail = slots, 0, r.len()
}

// pop removes the oldest.
func (r *ring) pop() {
	r.head++
	r.rewind()
}

// unpush removes the newest.
func (r *ring) unpush() {
	r.tail--
	r.rewind()
}

func (r *ring) rewind() {
	if r.head == r.tail {
		r.head, r.tail = 0, 0
	}
}

// maxUnsent is how many bytes of replies may be ready without having left before the connection is read no further.
const maxUnsent = 1 << 20

// takeSlot is the next slot of the ring, once there is one.
func (c *Conn) takeSlot() (*Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.waitForSlot(); err != nil {
		return nil, err
	}
	call := c.ring.push(c)
	call.reset()
	return call, nil
}

// awaitSlot waits until takeSlot would not.
func (c *Conn) awaitSlot() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waitForSlot()
}

// waitForSlot waits, while the ring is full or too much is unsent, for others to write, or writes what is ready. The caller holds mu.
func (c *Conn) waitForSlot() error {
	inPass, settled := c.inPass, false
	for !c.dead {
		if c.stopping.Load() {
			return errStopped
		}
		if !c.ring.full() && c.unsent < maxUnsent {
			return nil
		}
		if !settled {
			settled = true // what fills the ring may be what this pass has left unsettled
			c.mu.Unlock()
			c.settle()
			c.mu.Lock()
			continue
		}
		c.in.hold.until(time.Now().Add(c.server.o.FrameTimeout))
		if c.takeRole() {
			c.mu.Unlock()
			c.writeFinished()
			c.mu.Lock()
		} else {
			c.inPass = false // whoever wakes the oldest must start the writer
			c.lookOut()
			c.change.Wait()
			c.unread = false
			c.inPass = inPass
		}
		c.in.hold.blameless()
	}
	return c.cause
}

// publish lets the call be finished and sent: Dispatch has returned.
func (c *Conn) publish(call *Call) error {
	call.charge()
	call.made()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch call.answer {
	case undecided:
		panic("server: Dispatch returned without an answer")
	case closeAfter:
		call.letGo()
		c.ring.unpush()
		return &closeError{call.closeErr}
	case replyNow:
		call.size = call.Reply.Len()
		c.unsent += call.size
	}
	call.Body = nil
	call.returned = true
	if call.closeErr != nil {
		return &closeError{call.closeErr}
	}
	return nil
}

// wake is Call.Wake.
func (c *Conn) wake(call *Call) {
	c.mu.Lock()
	if c.dead || call.woken {
		c.mu.Unlock()
		return
	}
	call.woken = true
	start := !c.inPass && c.ring.oldest() == call && c.takeRole()
	c.mu.Unlock()
	if start {
		go c.writeLoopFn()
	}
}

// takeRole takes the writer's role if nobody has it and there is something to send. The caller holds mu.
func (c *Conn) takeRole() bool {
	oldest := c.ring.oldest()
	if c.writing || c.dead || oldest == nil || !oldest.ready() {
		return false
	}
	c.writing = true
	return true
}

// throttle is Call.Throttle.
func (c *Conn) throttle(d time.Duration) {
	until := time.Now().Add(d)
	c.mu.Lock()
	if until.After(c.pauseTo) {
		c.pauseTo = until
	}
	c.mu.Unlock()
	c.server.o.Metrics.throttle()
}
