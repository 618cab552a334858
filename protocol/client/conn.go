package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/wire"
)

var (
	// ErrClosed is how a connection has ended that its owner closed.
	ErrClosed = errors.New("connection to the node was closed")
	// ErrBusy refuses a call: so many are queued or in flight already as the options allow.
	ErrBusy = errors.New("too much waits for the other node already")
	// ErrOtherNode: another node has answered than the one that was wanted.
	ErrOtherNode = errors.New("another node has answered")
)

// Reset tells whether a connection has ended as those of a process do that is no more: closed or reset by the other side. What timed out has not.
func Reset(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Conn is a connection to another node whose Hello was right. Its methods may be called from any goroutine.
type Conn struct {
	o        Options
	nc       net.Conn
	target   Target
	node     peer.Identity
	versions []peer.KeyVersions
	reader   *bufio.Reader

	filled  chan struct{} // room for one: there is something to write
	done    chan struct{} // closed at the end
	running sync.WaitGroup

	// mu guards all that follows. Nothing slow is done under it, and no callback called.
	mu       sync.Mutex
	nextID   int32
	pending  map[int32]*call
	queue    [][]byte
	queued   int64         // bytes of the queue, and of what is being written
	room     chan struct{} // closed, and replaced, when bytes have been written; nil: nobody waits
	finished bool
	cause    error
}

// call waits for its reply. One that was given up keeps its place until the reply comes: done is nil then.
type call struct {
	flexible bool // the reply's header has tags
	done     func([]byte, error)
	stop     func() bool // the end of its context needs no looking after any more; nil in between
}

// Dial connects and says Hello. Errors: those of the dial; peer.ErrOtherCluster, peer.ErrWrongSecret, peer.ErrVersion; ErrOtherNode.
func Dial(ctx context.Context, o Options, to Target) (*Conn, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.HelloTimeout)
	defer cancel()
	nc, err := o.Dial(ctx, "tcp", to.Address)
	if err != nil {
		return nil, err
	}
	c := &Conn{o: o, nc: nc, target: to, reader: bufio.NewReaderSize(nc, readBufferSize), filled: make(chan struct{}, 1), done: make(chan struct{}), pending: map[int32]*call{}}
	unhook := context.AfterFunc(ctx, func() { _ = nc.Close() })
	err = c.hello()
	if !unhook() && err != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	} else if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("hello to %s: %w", to.Address, err)
	}
	c.running.Add(2)
	go c.readLoop()
	go c.writeLoop()
	return c, nil
}

// hello is said before the goroutines run, one call after the other.
func (c *Conn) hello() error {
	const version = 0
	caller := peer.NewCaller(c.o.Secret, c.o.Self(), peer.NewNonce())
	reply, err := c.ask(version, caller.Begin(nil))
	if err != nil {
		return err
	}
	proof, err := caller.Prove(nil, reply)
	if err != nil {
		return err
	}
	if c.node, c.versions = caller.Node(), caller.Versions(); c.target.Node != protocol.NoBroker && c.node.ID != c.target.Node {
		return fmt.Errorf("%w: %d, not %d", ErrOtherNode, c.node.ID, c.target.Node)
	}
	if reply, err = c.ask(version, proof); err != nil {
		return err
	}
	return caller.Accepted(reply)
}

func (c *Conn) ask(version int16, body []byte) ([]byte, error) {
	c.nextID++
	if _, err := c.nc.Write(appendFrame(peer.KeyHello, version, c.nextID, c.o.ClientID, body)); err != nil {
		return nil, err
	}
	id, reply, err := readReply(c.nc, c.reader, peer.MaxHelloFrame, c.o.HelloTimeout)
	if err == nil && id != c.nextID {
		err = errBadReply
	}
	return reply, err
}

// Node is who answered the Hello.
func (c *Conn) Node() peer.Identity { return c.node }

// Address is where it was dialed.
func (c *Conn) Address() string { return c.target.Address }

// Version is the highest version of a key that both sides speak, false if there is none.
func (c *Conn) Version(key int16) (int16, bool) { return peer.Highest(c.versions, key) }

// Done is closed when the connection has ended, for whatever reason.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err tells why it ended; nil before. Reset tells more.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Close ends the connection and waits for its goroutines: calls in flight get ErrClosed. It must not be called from a callback.
func (c *Conn) Close() {
	c.fail(ErrClosed)
	c.running.Wait()
}

// End ends the connection and waits for nothing: calls in flight get cause. Close has still to follow.
func (c *Conn) End(cause error) { c.fail(cause) }

// fail ends the connection; the first cause counts.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	if c.finished {
		c.mu.Unlock()
		return
	}
	c.finished, c.cause = true, cause
	pending := c.pending
	c.pending, c.queue = nil, nil
	c.mu.Unlock()
	close(c.done)
	_ = c.nc.Close()
	for _, p := range pending {
		if p.done != nil {
			p.stop()
			p.done(nil, cause)
		}
	}
}

// Go makes a call and returns at once. done is called once: with the reply, which it owns, or an error: ErrBusy (before Go returns), the end of ctx, or of the connection.
// It runs on the connection's reader or whoever ends ctx, and must not block.
func (c *Conn) Go(ctx context.Context, key, version int16, body []byte, done func([]byte, error)) {
	if err := c.start(ctx, key, version, body, done); err != nil {
		done(nil, err)
	}
}

func (c *Conn) start(ctx context.Context, key, version int16, body []byte, done func([]byte, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.finished:
		return c.cause
	case len(c.pending) >= c.o.MaxInFlight || c.queued > 0 && c.queued+int64(len(body)) > c.o.MaxQueued:
		return ErrBusy
	}
	id := c.enqueue(key, version, body)
	p := &call{flexible: wire.FlexibleResponse(key, version), done: done}
	p.stop = context.AfterFunc(ctx, func() { c.giveUp(id, ctx.Err()) })
	c.pending[id] = p
	return nil
}

// enqueue puts a frame into the queue. The caller holds mu.
func (c *Conn) enqueue(key, version int16, body []byte) int32 {
	c.nextID = max(c.nextID+1, 0) // never negative
	frame := appendFrame(key, version, c.nextID, c.o.ClientID, body)
	c.queue = append(c.queue, frame)
	c.queued += int64(len(frame))
	select {
	case c.filled <- struct{}{}:
	default:
	}
	return c.nextID
}

// giveUp answers a call whose context has ended.
func (c *Conn) giveUp(id int32, err error) {
	c.mu.Lock()
	p := c.pending[id]
	var done func([]byte, error)
	if p != nil {
		done, p.done = p.done, nil
	}
	c.mu.Unlock()
	if done != nil {
		done(nil, err)
	}
}

// Call makes a call and waits for its reply. Errors as Go's.
func (c *Conn) Call(ctx context.Context, key, version int16, body []byte) ([]byte, error) {
	type result struct {
		reply []byte
		err   error
	}
	got := make(chan result, 1)
	c.Go(ctx, key, version, body, func(reply []byte, err error) { got <- result{reply, err} })
	r := <-got
	return r.reply, r.err
}

// Send sends a call that has no reply. It waits for room in the queue, and no longer: that it returns nil says nothing of whether it will arrive.
// Errors: the end of ctx, or of the connection.
func (c *Conn) Send(ctx context.Context, key, version int16, body []byte) error {
	for {
		c.mu.Lock()
		if c.finished {
			c.mu.Unlock()
			return c.Err()
		}
		if c.queued == 0 || c.queued+int64(len(body)) <= c.o.MaxQueued {
			c.enqueue(key, version, body)
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Conn) readLoop() {
	defer c.running.Done()
	for {
		id, body, err := readReply(c.nc, c.reader, c.o.MaxReply, c.o.FrameTimeout)
		if err == nil {
			err = c.reply(id, body)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// reply answers the call that it belongs to.
func (c *Conn) reply(id int32, body []byte) error {
	c.mu.Lock()
	p, known := c.pending[id]
	delete(c.pending, id)
	finished := c.finished
	var done func([]byte, error)
	if known {
		done, p.done = p.done, nil
	}
	c.mu.Unlock()
	switch {
	case done != nil:
		p.stop()
		var err error
		if p.flexible {
			body, err = withoutTags(body)
		}
		done(body, err)
		return err
	case !known && !finished:
		return fmt.Errorf("reply to call %d, which nobody has made: %w", id, errBadReply)
	}
	return nil
}

// writeAtOnce is about how many bytes one write takes, so that a slow peer is given time in proportion.
const writeAtOnce = 256 << 10

func (c *Conn) writeLoop() {
	defer c.running.Done()
	for {
		select {
		case <-c.filled:
		case <-c.done:
			return
		}
		for frames, size := c.take(); size > 0; frames, size = c.take() {
			err := c.nc.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout + time.Duration(size/frameRate)*time.Second))
			if err == nil {
				_, err = frames.WriteTo(c.nc)
			}
			if err != nil {
				c.fail(err)
				return
			}
			c.wrote(size)
		}
	}
}

// take is what is to be written next.
func (c *Conn) take() (frames net.Buffers, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.queue) && (n == 0 || size+int64(len(c.queue[n])) <= writeAtOnce) {
		size += int64(len(c.queue[n]))
		n++
	}
	frames = c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return frames, size
}

func (c *Conn) wrote(size int64) {
	c.mu.Lock()
	c.queued -= size
	room := c.room
	c.room = nil
	c.mu.Unlock()
	if room != nil {
		close(room)
	}
}
