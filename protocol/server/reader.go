package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"ottla/protocol/wire"
)

// A frame as it stands on the socket; lengths do not count themselves:
//
//	0        4     6        8                12
//	| length | key | version | correlation id | client id, tags, body …
//
// Its first eight bytes tell its size and the limit for its key, so nothing larger than that is ever held for a frame that is too large.
const (
	lengthSize = 4
	peekSize   = 8
	minLength  = 8 // key, version, correlation id
)

// frameRate is added to the frame time-out: a second per so many bytes of the frame.
const frameRate = 64 << 10

var errStopped = fmt.Errorf("not read any more: %w", ErrShutdown)

// readLoop runs passes until the connection ends; it always returns an error.
func (c *Conn) readLoop() error {
	for {
		if err := c.pauseIfThrottled(); err != nil {
			return err
		}
		c.enterLobby()
		if err := c.fill(); err != nil {
			return err
		}
		c.in.hold.blameless()
		if err := c.pass(); err != nil {
			return err
		}
	}
}

// dispatchFrames hands out every complete frame and returns how many bytes they took.
func (c *Conn) dispatchFrames() (used int, err error) {
	now := time.Now()
	pending := c.in.pending()
	for {
		size, err := c.frameSize(pending[used:])
		if err != nil || size == 0 || size > len(pending)-used {
			return used, err
		}
		if err := c.dispatch(pending[used+lengthSize:used+size], now); err != nil {
			return used, err
		}
		used += size
		c.in.started, c.in.lastUsed = true, now
		c.in.largest = max(c.in.largest, size)
		if c.mustPause() {
			c.endPass()
			if err := c.pauseIfThrottled(); err != nil {
				return used, err
			}
			now = time.Now()
			c.beginPass()
		}
	}
}

// frameSize is the bytes of the frame that b begins with, 0 if that cannot be told yet, or an error if it must not be read.
func (c *Conn) frameSize(b []byte) (int, error) {
	if len(b) < lengthSize {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b))
	if length < minLength {
		return 0, fmt.Errorf("frame length %d is less than a header", length)
	}
	if len(b) < peekSize {
		return 0, nil
	}
	key := int16(binary.BigEndian.Uint16(b[lengthSize:]))
	if limit := c.maxFrame(key); int64(length) > int64(limit) {
		return 0, fmt.Errorf("frame length %d is more than the %d bytes allowed for API key %d", length, limit, key)
	}
	return lengthSize + int(length), nil
}

// dispatch runs the first stage of one request.
func (c *Conn) dispatch(frame []byte, received time.Time) error {
	h, body, err := wire.ParseHeader(frame)
	if err != nil {
		return err
	}
	call, err := c.takeSlot()
	if err != nil {
		return err
	}
	if string(h.ClientID) != c.in.clientID {
		c.in.clientID = string(h.ClientID)
	}
	call.Key, call.Version, call.CorrelationID = h.Key, h.Version, h.CorrelationID
	call.ClientID, call.Body, call.Received = c.in.clientID, body, received
	if c.in.patient++; !c.server.o.Patience.Patient(h.Key) {
		c.in.patient = 0
	}
	c.server.o.Dispatcher.Dispatch(call)
	return c.publish(call)
}

// fill waits until at least one more byte was read.
func (c *Conn) fill() error {
	for {
		if err := c.armReadDeadline(); err != nil {
			return err
		}
		n, err := c.read()
		if n > 0 {
			c.server.o.Metrics.received(n)
			c.in.adapt(n)
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = c.readTimedOut()
		}
		if err != nil {
			return err
		}
	}
}

// read reads once, holding no buffer while it waits for the first bytes of a frame.
func (c *Conn) read() (int, error) {
	in := &c.in
	if c.raw != nil {
		in.n, in.err = 0, nil
		err := c.raw.Read(in.readFn)
		if err == nil {
			err = in.err
		}
		if c.patient != nil {
			c.patient.drained = err == nil && in.have < in.limit
		}
		return in.n, err
	}
	if in.buf == nil && in.headSize < peekSize {
		n, err := c.nc.Read(in.head[in.headSize:])
		in.headSize += n
		return n, err
	}
	if in.buf == nil {
		in.take(c)
	}
	n, err := c.nc.Read(in.buf.b[in.have:in.limit])
	in.have += n
	return n, err
}

// armReadDeadline sets the deadline that fits what is awaited. The idle one is set rarely: readTimedOut looks at when the connection was last used.
func (c *Conn) armReadDeadline() error {
	in, o := &c.in, &c.server.o
	var want time.Time
	switch {
	case !in.frameStart.IsZero():
		want = in.frameStart.Add(o.FrameTimeout + time.Duration(in.frameSize/frameRate)*time.Second)
	case !in.started && in.deadline.IsZero():
		want = time.Now().Add(o.FirstByteTimeout)
	case !in.started || in.idleArmed:
		want = in.deadline
	default:
		want = in.lastUsed.Add(o.IdleTimeout)
	}
	in.idleArmed = in.frameStart.IsZero() && in.started
	if !in.frameStart.IsZero() {
		in.pace(time.Now(), o.FrameTimeout)
	}
	if !want.Equal(in.deadline) {
		in.deadline = want
		if err := c.socket.SetReadDeadline(want); err != nil {
			return err
		}
	}
	// Last, so that a deadline set here cannot undo the one of stopReading unseen.
	if c.stopping.Load() {
		return errStopped
	}
	return nil
}

// readTimedOut tells why, or moves an idle deadline that did not count what happened since it was set.
func (c *Conn) readTimedOut() error {
	in := &c.in
	switch {
	case c.stopping.Load():
		return errStopped
	case !in.frameStart.IsZero():
		return errFrameTimeout
	case !in.started:
		return errFirstByte
	}
	c.mu.Lock()
	parked, used := c.ring.len() > 0, c.lastSent
	c.mu.Unlock()
	if parked {
		used = time.Now()
	}
	if in.lastUsed.After(used) {
		used = in.lastUsed
	}
	in.lastUsed, in.idleArmed = used, false
	if time.Since(used) >= c.server.o.IdleTimeout {
		return errIdle
	}
	return nil
}

// keep makes room for the rest of a frame of which the bytes after used have come. It may wait for the memory budget.
func (c *Conn) keep(used int) error {
	in := &c.in
	rest := in.pending()[used:]
	if len(rest) == 0 {
		in.drop(c)
		in.headSize, in.frameStart, in.frameSize = 0, time.Time{}, 0
		return nil
	}
	size, err := c.frameSize(rest)
	if err != nil {
		return err
	}
	if used > 0 || in.frameStart.IsZero() {
		in.frameStart, in.granted = time.Now(), 0
	}
	in.frameSize = size
	switch {
	case len(rest) < peekSize || in.buf == nil:
		in.headSize = copy(in.head[:], rest)
		in.drop(c)
		return nil
	case size <= len(in.buf.b):
		in.have = copy(in.buf.b, rest)
	case used == 0 && in.charged.stranger && size <= in.charged.size: // its memory was taken already
		if len(rest) == len(in.buf.b) {
			in.move(rest, in.charged.room(len(rest)))
		}
	case len(rest) < smallBuffer: // announcing a frame is not enough to get memory for it
		in.waitSmall(c, rest)
	default:
		if err := c.moveToLarger(rest, size); err != nil {
			return err
		}
	}
	in.headSize = 0
	in.setLimit(size)
	return nil
}

// moveToLarger takes memory for all of a frame and moves its beginning to a larger buffer. The old buffer's bytes go back to the budget first: holding some while waiting for more
// could end in a deadlock. What is held meanwhile is no more than what was received. A frame that there is no slot for yet waits for one before it takes memory.
func (c *Conn) moveToLarger(rest []byte, size int) error {
	in := &c.in
	in.uncharge()
	if err := c.awaitSlot(); err != nil {
		return err
	}
	claim := c.claim(classSize(classFor(max(size, in.usual))), size > growth*in.largest)
	asked := time.Now()
	if err := c.acquireFrame(claim); err != nil {
		return err
	}
	in.move(rest, claim.room(len(rest)))
	in.charge(claim)
	in.frameStart = time.Now() // the wait was ours
	if in.frameStart.Sub(asked) >= patience {
		in.granted = in.have
	}
	return nil
}

// acquireFrame takes memory for a frame. If it has to wait for it, the pass ends first: its replies hold memory too.
func (c *Conn) acquireFrame(f frameClaim) error {
	if f.tryAcquire() {
		return nil
	}
	c.endPass()
	defer c.beginPass()
	if !c.server.acquireFrame(f, c.done) {
		return c.endedWhileWaiting()
	}
	return nil
}

// mustPause tells whether reading is throttled.
func (c *Conn) mustPause() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.pauseTo.IsZero()
}

// pauseIfThrottled waits until reading is allowed again.
func (c *Conn) pauseIfThrottled() error {
	c.mu.Lock()
	until := c.pauseTo
	c.pauseTo = time.Time{}
	c.mu.Unlock()
	wait := time.Until(until)
	if until.IsZero() || wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		if !c.in.frameStart.IsZero() {
			c.in.frameStart = time.Now() // the pause was ours
		}
		return nil
	case <-c.done:
	case <-c.server.stop:
	}
	return c.endedWhileWaiting()
}

func (c *Conn) endedWhileWaiting() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return c.cause
	}
	return errStopped
}
