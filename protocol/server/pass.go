package server

import "time"

// drainBytes is how much a pass reads before it settles and writes, as long as there is more: frames in flight on one connection then share one flush and one send.
const drainBytes = 1 << 20

// pass dispatches what was read, and what has come meanwhile.
func (c *Conn) pass() error {
	c.beginPass()
	defer c.endPass()
	for left := drainBytes; ; {
		left -= c.in.have
		used, err := c.dispatchFrames()
		if err == nil {
			err = c.keep(used)
		}
		if err != nil || left <= 0 || !c.more() {
			return err
		}
	}
}

// more reads what the socket has, without waiting. An error is met again by whoever waits.
func (c *Conn) more() bool {
	in := &c.in
	if c.raw == nil || c.patient != nil && c.patient.drained {
		return false
	}
	in.n, in.err, in.atOnce = 0, nil, true
	err := c.raw.Read(in.readFn)
	in.atOnce = false
	if err != nil || in.n == 0 {
		return false
	}
	c.server.o.Metrics.received(in.n)
	in.adapt(in.n)
	return true
}

func (c *Conn) beginPass() {
	c.mu.Lock()
	c.inPass = true
	c.mu.Unlock()
}

// endPass settles, and sends what the pass has made ready, unless the writer is at it already: it looks again before it ends.
func (c *Conn) endPass() {
	c.settle()
	c.mu.Lock()
	c.inPass = false
	write := c.takeRole()
	c.mu.Unlock()
	if write {
		c.in.hold.until(time.Now().Add(c.server.o.FrameTimeout))
		c.writeFinished()
		c.in.hold.blameless()
	}
}

// settleAlone is how long the replies of a pass may wait for its settling before others send them.
const settleAlone = 20 * time.Millisecond

// settle does what the calls of the pass have left.
func (c *Conn) settle() {
	s := c.server.o.Settler
	if s == nil || !s.Unsettled() {
		return
	}
	if c.late == nil {
		c.late = time.AfterFunc(settleAlone, c.settlesLate)
	} else {
		c.late.Reset(settleAlone)
	}
	s.Settle()
	c.late.Stop()
}

// settlesLate ends the pass as far as others are concerned: a call that times out now, or is finished by somebody else, is answered without the reader.
func (c *Conn) settlesLate() {
	c.mu.Lock()
	c.inPass = false
	start := c.takeRole()
	c.mu.Unlock()
	if start {
		c.writeLoopFn()
	}
}
