package memnet

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is one end of a connection: two pipes.
type conn struct {
	in, out       *pipe
	local, remote netip.AddrPort
	once          sync.Once
}

var _ net.Conn = (*conn)(nil)

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	if err != nil {
		err = c.wrap("read", err)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if err != nil {
		err = c.wrap("write", err)
	}
	return n, err
}

// wrap gives errors the shape that package net gives them; io.EOF stays bare.
func (c *conn) wrap(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close ends both directions: the peer reads what was sent and then EOF, and its writes fail.
func (c *conn) Close() error {
	err := c.wrap("close", net.ErrClosed)
	c.once.Do(func() {
		err = nil
		c.out.finish()
		c.in.abandon()
		n := c.in.network
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.pipes, c.in) // nobody reads it any more; the peer's Close removes the other
	})
	return err
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readDeadline.set(c.in, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writeDeadline.set(c.out, t)
	return nil
}
