// Package memnet is an in-process network for tests: hosts with listeners, buffered connections with deadlines, latency, and hosts cut off from one another.
//
// It sits beside net: a listener and a Dial function are all that the server, a client or a whole node need of it. It starts no goroutine, holds no real
// descriptor and blocks only on condition variables and channels of its own, so that a Network made inside a testing/synctest bubble lives in the bubble's virtual
// time. Start reading here, then pipe.go.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Network is a set of hosts, named by their IP addresses, that reach each other. All methods may be called from any goroutine.
type Network struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*Listener
	nextPort  uint16
	latency   time.Duration
	cuts      map[[2]netip.Addr]struct{} // ordered pairs
	healed    chan struct{}              // closed, and replaced, whenever hosts are joined again
	pipes     map[*pipe]struct{}
}

// New returns a network without latency or cuts.
func New() *Network {
	return &Network{
		listeners: map[netip.AddrPort]*Listener{},
		nextPort:  firstPort,
		cuts:      map[[2]netip.Addr]struct{}{},
		healed:    make(chan struct{}),
		pipes:     map[*pipe]struct{}{},
	}
}

// firstPort is the first of the ports that are given out.
const firstPort = 32768

// Listen opens a listener on "ip:port"; port 0 takes a free one.
func (n *Network) Listen(address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), n.freePort())
	}
	if n.listeners[at] != nil {
		return nil, fmt.Errorf("listen %s: %w", at, syscall.EADDRINUSE)
	}
	l := &Listener{network: n, at: at, backlog: make(chan *conn, backlog), closed: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// freePort gives every port once. The caller holds mu.
func (n *Network) freePort() uint16 {
	n.nextPort++
	return n.nextPort - 1
}

// Dial connects from host 127.0.0.1; its shape is that of net.Dialer.DialContext.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.Host("127.0.0.1")(ctx, network, address)
}

// Host returns the dial function of the host with the given IP address. A dial to a host that is cut off waits until the cut heals or ctx ends; one to a
// port without listener is refused.
func (n *Network) Host(ip string) func(ctx context.Context, network, address string) (net.Conn, error) {
	from := netip.MustParseAddr(ip)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err == nil {
			var c net.Conn
			if c, err = n.dial(ctx, from, to); err == nil {
				return c, nil
			}
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", address, err)}
	}
}

func (n *Network) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if err := n.awaitPath(ctx, from, to.Addr()); err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[to]
	if l == nil {
		n.mu.Unlock()
		return nil, syscall.ECONNREFUSED
	}
	local := netip.AddrPortFrom(from, n.freePort())
	there, back := newPipe(n, from, to.Addr()), newPipe(n, to.Addr(), from)
	n.pipes[there], n.pipes[back] = struct{}{}, struct{}{}
	n.mu.Unlock()
	client := &conn{in: back, out: there, local: local, remote: to}
	server := &conn{in: there, out: back, local: to, remote: local}
	err := error(syscall.ECONNREFUSED)
	select {
	case l.backlog <- server:
		if !l.isClosed() {
			return client, nil
		}
	case <-l.closed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = client.Close(), server.Close()
	return nil, err
}

// awaitPath waits for the time of a handshake, and until the two hosts reach each other.
func (n *Network) awaitPath(ctx context.Context, a, b netip.Addr) error {
	n.mu.Lock()
	latency := n.latency
	n.mu.Unlock()
	if latency > 0 {
		timer := time.NewTimer(2 * latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		n.mu.Lock()
		_, cut := n.cuts[pair(a, b)]
		healed := n.healed
		n.mu.Unlock()
		if !cut {
			return ctx.Err()
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SetLatency delays every byte written from now on, and the handshake of new connections by twice that.
func (n *Network) SetLatency(d time.Duration) {
	n.mu.Lock()
	n.latency = d
	n.mu.Unlock()
}

// Cut keeps the bytes between two hosts from arriving; as with TCP they do once Heal was called. Nobody is told.
func (n *Network) Cut(a, b string) { n.setCut(a, b, true) }

// Heal ends a Cut.
func (n *Network) Heal(a, b string) { n.setCut(a, b, false) }

func (n *Network) setCut(a, b string, cut bool) {
	key := pair(netip.MustParseAddr(a), netip.MustParseAddr(b))
	n.mu.Lock()
	if cut {
		n.cuts[key] = struct{}{}
	} else {
		delete(n.cuts, key)
		close(n.healed)
		n.healed = make(chan struct{})
	}
	var touched []*pipe
	for p := range n.pipes {
		if pair(p.from, p.to) == key {
			touched = append(touched, p)
		}
	}
	n.mu.Unlock()
	for _, p := range touched {
		p.setCut(cut)
	}
}

func pair(a, b netip.Addr) [2]netip.Addr {
	if b.Less(a) {
		return [2]netip.Addr{b, a}
	}
	return [2]netip.Addr{a, b}
}

// backlog is how many connections wait to be accepted before a dial waits too.
const backlog = 128

// Listener is a net.Listener of a Network.
type Listener struct {
	network *Network
	at      netip.AddrPort
	backlog chan *conn
	closed  chan struct{}
	once    sync.Once
}

// Accept waits for the next connection; net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Close refuses further connections and resets those that were not accepted.
func (l *Listener) Close() error {
	err := errors.New("listener is closed already")
	l.once.Do(func() {
		err = nil
		l.network.mu.Lock()
		delete(l.network.listeners, l.at)
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.backlog:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return err
}

// Addr is a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
