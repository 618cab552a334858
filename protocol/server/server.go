// Package server takes Kafka connections: it frames requests, hands them to a Dispatcher in order, and sends the replies in the same order however late some of
// them are ready. It knows sockets, time and memory, and nothing of what a request means.
//
// It sits between package wire (headers) and package handlers (the Dispatcher); nothing here is durable.
//
// Goroutines: the lobby (lobby.go) has one; a connection has one that reads, dispatches and, at the end of each pass, writes; and for as long as parked replies leave, a second one that
// writes. None per request. Both belong to the Server: Shutdown waits for them. An idle connection holds no buffer.
//
// A pass: read into a pooled buffer and dispatch every complete frame in it, as long as the socket has more, up to a bound; settle what the calls have left to be done
// for all of them; send the finished replies with one call. Start reading at reader.go, then pass.go, ring.go and writer.go.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ottla/protocol/wire"
)

// Options are a server's settings. Zero values of the limits and time-outs mean the defaults below.
type Options struct {
	Dispatcher Dispatcher
	Settler    Settler  // nil: there is nothing to settle
	Patience   Patience // nil: nobody is patient
	Logger     *slog.Logger
	Metrics    *Metrics // nil counts nothing
	// MaxFrame is the largest frame per API key in bytes, from the API table; for a key that it does not know it gives wire.MaxUnauthenticatedFrame.
	MaxFrame func(key int16) int
	// MemoryBudget bounds the bytes of frames held by the whole node; half as much again is for replies that have not left. Who waits for either, see pressure.go.
	MemoryBudget                        int64
	MaxConnections, MaxConnectionsPerIP int
	// MaxPeers is how many connections of the cluster's nodes have slots of their own, beyond both limits; zero: none. PeerMemory bounds what such connections hold, besides MemoryBudget;
	// zero: an eighth of that. MaxPeerFrame is MaxFrame for them; nil: the same. See peers.go.
	MaxPeers     int
	PeerMemory   int64
	MaxPeerFrame func(key int16) int
	// PeerEnded is told when a node's connection has ended, and why; on its reader's goroutine, which must not wait. Nil: nobody is.
	PeerEnded func(c *Conn, cause error)
	// FirstByteTimeout is how long a new connection may stay silent; FrameTimeout how long a frame may take (plus a second per 64 KiB of it);
	// IdleTimeout closes a connection without requests, read or parked (connections.max.idle.ms); WriteTimeout one that takes no byte of its replies.
	FirstByteTimeout, FrameTimeout, IdleTimeout, WriteTimeout time.Duration
	MaxInFlight                                               int // calls per connection whose replies have not left
}

func (o Options) withDefaults() Options {
	setDefault(&o.MemoryBudget, 256<<20)
	setDefault(&o.PeerMemory, o.MemoryBudget/8)
	setDefault(&o.MaxConnections, 100_000)
	setDefault(&o.MaxConnectionsPerIP, o.MaxConnections)
	setDefault(&o.FirstByteTimeout, 10*time.Second)
	setDefault(&o.FrameTimeout, 10*time.Second)
	setDefault(&o.IdleTimeout, 10*time.Minute)
	setDefault(&o.WriteTimeout, 30*time.Second)
	setDefault(&o.MaxInFlight, 64)
	if o.MaxFrame == nil {
		o.MaxFrame = func(int16) int { return wire.MaxUnauthenticatedFrame }
	}
	if o.Patience == nil {
		o.Patience = impatient{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Server is the listeners and connections of a node.
type Server struct {
	o       Options
	log     *slog.Logger
	refused limitedLog // listeners in trouble and connections refused
	ended   limitedLog // connections that ended badly
	budget  budget     // of frames
	large   budget     // of those above largeFrame: the queue before budget
	// strangers is of frames that are larger than what their connection has sent so far: the queue before large and budget.
	strangers budget
	replies   budget        // of replies, and of what calls keep while they are parked
	makers    chan struct{} // a token for each call between AwaitRoom and the end of its Dispatch
	clients   share         // of all of these
	peers     share         // and of others of their kind
	nextID    atomic.Uint64
	stop      chan struct{} // closed when Shutdown begins
	running   sync.WaitGroup
	lobby     lobby

	mu        sync.Mutex
	stopped   bool
	listeners map[net.Listener]struct{}
	conns     connections
}

// New returns a server without listeners.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		o:         o,
		log:       o.Logger,
		stop:      make(chan struct{}),
		makers:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		listeners: map[net.Listener]struct{}{},
		conns:     connections{max: o.MaxConnections, maxPerIP: o.MaxConnectionsPerIP, maxPeers: o.MaxPeers},
	}
	s.lobby.worthwhile = o.Patience.Worthwhile
	s.budget.total, s.budget.gauge = o.MemoryBudget, o.Metrics.setRequestMemory
	s.clients = share{frames: &s.budget, large: &s.large, strangers: &s.strangers, replies: &s.replies, makers: s.makers}
	s.peers = newShare(s, o.PeerMemory)
	s.budget.reclaim = func(need int64) { s.reclaim(&s.clients, frameHold, anyHold, need) }
	s.large.total, s.large.reclaim = o.MemoryBudget/4*3, s.budget.reclaim
	s.strangers.total, s.strangers.reclaim = o.MemoryBudget/2, func(need int64) { s.reclaim(&s.clients, frameHold, strangersHold, need) }
	s.replies.total, s.replies.gauge = o.MemoryBudget/2, o.Metrics.setReplyMemory
	s.replies.reclaim = func(int64) { s.reclaim(&s.clients, replyHold, anyHold, math.MaxInt64) } // what is missing says nothing of how many wait
	return s
}

// ErrShutdown is what Serve returns on a server that was shut down before.
var ErrShutdown = errors.New("server is shut down")

// Serve accepts connections of l, which it closes, until ctx ends or Shutdown is called; nil then. The connections live on until Shutdown. name is the listener's name.
func (s *Server) Serve(ctx context.Context, l net.Listener, name string) error {
	if !s.addListener(l) {
		_ = l.Close()
		return ErrShutdown
	}
	defer s.removeListener(l)
	unhook := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer unhook()
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.accept(nc, name)
		case ctx.Err() != nil || s.isStopped():
			return nil
		case !transient(err):
			return fmt.Errorf("accept on listener %s: %w", name, err)
		default:
			s.refused.warn(s.log, "accept failed", "listener", name, "err", err)
			s.pause(ctx, acceptRetry)
		}
	}
}

// acceptRetry is the pause after an accept that failed for want of descriptors or memory: the listener never closes under load.
const acceptRetry = 50 * time.Millisecond

func transient(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && !errors.Is(err, net.ErrClosed)
}

func (s *Server) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.stop:
	}
}

// accept starts the connection, or closes it if there are too many.
func (s *Server) accept(nc net.Conn, listener string) {
	c := newConn(s, nc, listener)
	s.mu.Lock()
	err := ErrShutdown
	var evicted *Conn
	if !s.stopped {
		evicted, err = s.conns.add(c)
	}
	if err == nil {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if err != nil {
		s.o.Metrics.refuse()
		s.refused.warn(s.log, "connection refused", "listener", listener, "peer", nc.RemoteAddr().String(), "err", err)
		_ = nc.Close()
		return
	}
	s.o.Metrics.connection(1)
	if evicted != nil {
		s.o.Metrics.refuse()
		evicted.kill(errTooManyConnections)
	}
	go c.run()
}

// forget is the last act of a connection.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	s.conns.remove(c)
	s.mu.Unlock()
	s.o.Metrics.connection(-1)
	s.running.Done()
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.listeners[l] = struct{}{}
	}
	return !s.stopped
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	_ = l.Close()
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
