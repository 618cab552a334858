package client

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"
)

// PeerOptions are what a Peer needs besides those of its connections. Target is needed; callbacks may be nil. They run on Run's goroutine, one after the other.
type PeerOptions struct {
	Options
	// Target is the node and where it is now, and false while nobody knows. It is asked before every dial.
	Target func() (to Target, known bool)
	// Use has a connection whose Hello was right to itself: it may block, and ends the connection when it returns, which it does when the connection or ctx has ended. Nil waits for that.
	Use func(ctx context.Context, c *Conn)
	// Down follows, with what ended the connection.
	Down func(cause error)
	// Gone follows a Down whose cause was a reset if three redials within 100 ms were all refused: the process is gone. What times out, or answers, is not.
	Gone func()
	// Backoff is the pause after the first attempt that failed; it doubles up to MaxBackoff, and varies by half. Zero: 50 ms and 1 s.
	Backoff, MaxBackoff time.Duration
	Logger              *slog.Logger
}

// Peer keeps a connection to one node open.
type Peer struct {
	o    PeerOptions
	conn atomic.Pointer[Conn]
	wake chan struct{}
	last string // what the log was told of the last attempt
}

// NewPeer returns a peer without a connection: Run makes it.
func NewPeer(o PeerOptions) *Peer {
	setDefault(&o.Backoff, 50*time.Millisecond)
	setDefault(&o.MaxBackoff, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Peer{o: o, wake: make(chan struct{}, 1)}
}

// Conn is the connection; nil while there is none. It may have ended since.
func (p *Peer) Conn() *Conn { return p.conn.Load() }

// Wake has the next attempt made now: there is news of the address.
func (p *Peer) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run connects, and connects again, until ctx ends. It returns nil.
func (p *Peer) Run(ctx context.Context) error {
	backoff := p.o.Backoff
	for ctx.Err() == nil {
		conn, err := p.dial(ctx)
		if err == nil {
			backoff = p.o.Backoff
			p.hold(ctx, conn)
		}
		if !p.pause(ctx, backoff/2+rand.N(backoff)) {
			return nil
		}
		backoff = min(2*backoff, p.o.MaxBackoff)
	}
	return nil
}

var errNoAddress = errors.New("its address is not known")

func (p *Peer) dial(ctx context.Context) (*Conn, error) {
	to, known := p.o.Target()
	err := errNoAddress
	var conn *Conn
	if known {
		conn, err = Dial(ctx, p.o.Options, to)
	}
	if ctx.Err() == nil {
		p.tell(to, err)
	}
	return conn, err
}

// tell logs what has changed since the last attempt.
func (p *Peer) tell(to Target, err error) {
	text := "connected"
	if err != nil {
		text = err.Error()
	}
	if text == p.last {
		return
	}
	p.last = text
	switch {
	case err == nil:
		p.o.Logger.Info("connected to node", "node", to.Node, "address", to.Address)
	case errors.Is(err, errNoAddress):
		p.o.Logger.Debug("no connection to node", "node", to.Node, "error", err)
	default:
		p.o.Logger.Warn("no connection to node", "node", to.Node, "address", to.Address, "error", err)
	}
}

// hold has a connection until it ends.
func (p *Peer) hold(ctx context.Context, conn *Conn) {
	p.conn.Store(conn)
	if p.o.Use != nil {
		p.o.Use(ctx, conn)
	} else {
		select {
		case <-conn.Done():
		case <-ctx.Done():
		}
	}
	p.conn.Store(nil)
	conn.Close()
	cause := conn.Err()
	if p.o.Down != nil {
		p.o.Down(cause)
	}
	if ctx.Err() != nil {
		return
	}
	p.o.Logger.Info("connection to node ended", "node", conn.Node().ID, "address", conn.Address(), "error", cause)
	if p.o.Gone != nil && Reset(cause) && Refused(ctx, p.o.Dial, conn.Address()) {
		p.o.Gone()
	}
}

func (p *Peer) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// How a process is found to be gone: so many redials, all within so long, so far apart.
const (
	redials     = 3
	redialTime  = 100 * time.Millisecond
	redialPause = redialTime / (redials + 1)
)

// Refused tells whether nobody listens at address: three dials within 100 ms are all refused. One that is accepted, times out or fails otherwise says that somebody may be there.
func Refused(ctx context.Context, dial DialFunc, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, redialTime)
	defer cancel()
	for i := range redials {
		if i > 0 {
			t := time.NewTimer(redialPause)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return false
			}
		}
		nc, err := dial(ctx, "tcp", address)
		if err == nil {
			_ = nc.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return true
}
