package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ottla/protocol"
)

// Conn is one client connection. Its exported methods may be called from any goroutine.
type Conn struct {
	server   *Server
	nc       net.Conn        // as it was accepted: addresses, and bytes where raw is nil
	socket   socket          // nc, until the connection enters the lobby; the reader's, for others guarded by mu
	raw      syscall.RawConn // of socket, if it is plain TCP; nil else. Guarded likewise
	ip       netip.Addr
	listener string
	id       uint64

	principal atomic.Pointer[protocol.Principal]
	software  atomic.Pointer[software]
	metadata  atomic.Pointer[any]
	peer      atomic.Pointer[protocol.Node] // nil: a client's
	probation atomic.Bool                   // over the limits, and to prove first that it is a node's
	slot      slot                          // guarded by the server's lock

	gone     atomic.Bool   // nobody is there to answer: Call.Alive
	stopping atomic.Bool   // shutdown: nothing more is read
	done     chan struct{} // closed by kill

	patient *patientSocket // socket, in the lobby; the reader's

	in   input       // the reader's
	late *time.Timer // the reader's: runs settlesLate; nil until needed
	out  output      // of whoever has the writer's role

	// writeLoopFn is (*Conn).writeFinished as a stored value: starting the goroutine allocates nothing.
	writeLoopFn func()

	// mu guards all that follows, and the guarded fields of the calls in the ring. Nothing slow is done under it.
	mu     sync.Mutex
	change sync.Cond // room in the ring, the writer's role given back, or the end
	ring   ring
	// writing: someone has the writer's role: it sends the finished prefix of the ring and looks again before it gives the role back.
	writing bool
	// inPass: the reader dispatches and will write at the end of its pass, so a wake need not start the writer.
	inPass bool
	// unsent is the bytes of replies, done at once, that have not left; lastSent when some last did.
	unsent   int
	lastSent time.Time
	pauseTo  time.Time   // reading is throttled; zero if not
	unread   bool        // the reader waits for a slot, and would not see the peer hang up
	lookout  *time.Timer // runs lookForPeer while unread; nil until needed
	hurry    bool        // shutdown: what is parked is not waited for
	dead     bool
	cause    error // why it died
}

type software struct{ name, version string }

func newConn(s *Server, nc net.Conn, listener string) *Conn {
	c := &Conn{
		server: s, nc: nc, socket: nc, listener: listener,
		ip:   ipOf(nc.RemoteAddr()),
		id:   s.nextID.Add(1),
		done: make(chan struct{}),
	}
	c.change.L = &c.mu
	c.ring.limit = s.o.MaxInFlight
	c.writeLoopFn = c.writeFinished
	c.out.nc, c.out.socket, c.out.writeTimeout, c.out.metrics = nc, nc, s.o.WriteTimeout, s.o.Metrics
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.raw, c.out.raw = raw, raw
			c.in.readFn, c.out.sendFn, c.out.sendfileFn = c.readReady, c.out.send, c.out.sendfile
		}
	}
	return c
}

// ID tells connections of one server apart.
func (c *Conn) ID() uint64 { return c.id }

// Listener is the name of the listener that accepted the connection.
func (c *Conn) Listener() string { return c.listener }

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// IP is the client's address without the port; the zero Addr where the network has none.
func (c *Conn) IP() netip.Addr { return c.ip }

// LocalAddr is the address that the client reached; nil of a connection without one, which tests make.
func (c *Conn) LocalAddr() net.Addr {
	if c.nc == nil {
		return nil
	}
	return c.nc.LocalAddr()
}

// Principal is who the connection speaks for: Anonymous until SetPrincipal.
func (c *Conn) Principal() protocol.Principal {
	if p := c.principal.Load(); p != nil {
		return *p
	}
	return protocol.Anonymous
}

// SetPrincipal is for whoever has verified the client's identity.
func (c *Conn) SetPrincipal(p protocol.Principal) { c.principal.Store(&p) }

// Software is what the client called itself in ApiVersions (KIP-511); empty until then.
func (c *Conn) Software() (name, version string) {
	if s := c.software.Load(); s != nil {
		return s.name, s.version
	}
	return "", ""
}

// SetSoftware stores the client's name and version.
func (c *Conn) SetSoftware(name, version string) {
	c.software.Store(&software{strings.Clone(name[:min(len(name), maxSoftware)]), strings.Clone(version[:min(len(version), maxSoftware)])})
}

// maxSoftware is how much of a client's name and version is kept, in bytes: it stays for as long as the connection does.
const maxSoftware = 64

// Metadata is what SetMetadata stored, nil at first: the state of an authentication that takes several requests.
func (c *Conn) Metadata() any {
	if m := c.metadata.Load(); m != nil {
		return *m
	}
	return nil
}

// SetMetadata attaches a value to the connection.
func (c *Conn) SetMetadata(m any) { c.metadata.Store(&m) }

// run is the connection's goroutine.
func (c *Conn) run() {
	err := c.readLoop()
	c.in.drop(c)
	if errors.As(err, new(*closeError)) || errors.Is(err, ErrShutdown) {
		c.drain()
	}
	c.kill(err)
	c.tellPeerEnded()
	c.bury()
	c.logEnd()
	c.server.forget(c)
}

// closeError is a connection that a handler closed.
type closeError struct{ err error }

func (e *closeError) Error() string { return e.err.Error() }
func (e *closeError) Unwrap() error { return e.err }

// kill ends the connection: reads and writes fail from now on. The first cause counts. It must not run inside a callback of raw.
func (c *Conn) kill(cause error) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	c.dead, c.cause = true, cause
	socket := c.socket // it is the last one: see enterLobby
	c.mu.Unlock()
	c.gone.Store(true)
	close(c.done)
	_ = socket.Close()
	c.change.Broadcast()
}

// lookoutPeriod is how long a peer that has hung up may go unnoticed while the connection is not read.
const lookoutPeriod = time.Second

// watchPeer says that the reader waits for others, and when that is over.
func (c *Conn) watchPeer(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread = false; on {
		c.lookOut()
	}
}

// lookOut has the peer looked after as long as unread. The caller holds mu.
func (c *Conn) lookOut() {
	c.unread = true
	switch {
	case c.raw == nil:
	case c.lookout == nil:
		c.lookout = time.AfterFunc(lookoutPeriod, c.lookForPeer)
	default:
		c.lookout.Reset(lookoutPeriod)
	}
}

// lookForPeer ends the connection if the peer has closed it. What it sent before, and is not read, hides that from a read: so the kernel is asked for the state. (A peer that sent
// more than fits into the socket is not heard at all before it is read: that takes until the longest poll ends.)
func (c *Conn) lookForPeer() {
	c.mu.Lock()
	needed, raw := c.unread && !c.dead, c.raw
	c.mu.Unlock()
	if !needed {
		return
	}
	gone := false
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && info.State != unix.BPF_TCP_ESTABLISHED
	})
	if gone {
		c.kill(io.EOF)
		return
	}
	c.lookout.Reset(lookoutPeriod)
}

// stopReading makes the reader end soon. The order matters: the reader sets its deadline first and then looks at stopping.
func (c *Conn) stopReading() {
	c.mu.Lock()
	c.stopping.Store(true)
	socket := c.socket
	c.mu.Unlock()
	_ = socket.SetReadDeadline(time.Unix(1, 0))
	c.change.Broadcast()
}

// stopWaiting gives up what is parked; replies that are ready still leave.
func (c *Conn) stopWaiting() {
	c.mu.Lock()
	c.hurry = true
	c.mu.Unlock()
	c.change.Broadcast()
}

// drain waits until all replies have left, or cannot any more. Nothing is read meanwhile, so the peer is looked after; and there is a limit.
func (c *Conn) drain() {
	limit := time.AfterFunc(c.server.o.WriteTimeout, func() { c.kill(errDrainTimeout) })
	defer limit.Stop()
	c.watchPeer(true)
	defer c.watchPeer(false)
	c.mu.Lock()
	for oldest := c.ring.oldest(); oldest != nil && !c.dead && (oldest.ready() || !c.hurry); oldest = c.ring.oldest() {
		c.change.Wait()
	}
	c.mu.Unlock()
}

// bury finishes what a dead connection left parked and releases the replies that could not leave. It runs on the reader's goroutine, after the last Dispatch.
func (c *Conn) bury() {
	c.mu.Lock()
	for c.writing {
		c.change.Wait()
	}
	var left []*Call
	for call := c.ring.oldest(); call != nil; call = c.ring.oldest() {
		left = append(left, call)
		c.ring.pop()
	}
	c.mu.Unlock()
	for _, call := range left {
		if call.answer == replyLater && !call.finished {
			call.finished = true
			call.finisher.Finish(call)
		}
		call.letGo()
	}
}

var (
	errDrainTimeout = errors.New("replies did not leave in time")
	errFirstByte    = errors.New("no request in time after connecting")
	errFrameTimeout = errors.New("frame not complete in time")
	errWriteTimeout = errors.New("peer takes no bytes")
	errIdle         = errors.New("idle for too long")
)

// logEnd writes the one line about a connection that ended badly; clients that hang up, and idle ones, are normal.
func (c *Conn) logEnd() {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	for _, normal := range []error{io.EOF, net.ErrClosed, errIdle, ErrShutdown, syscall.ECONNRESET, syscall.EPIPE} {
		if cause == nil || errors.Is(cause, normal) {
			return
		}
	}
	name, version := c.Software()
	c.server.ended.warn(c.server.log, "connection closed", "listener", c.listener, "peer", c.nc.RemoteAddr().String(),
		"client_id", quoted(c.in.clientID), "software", quoted(name), "software_version", quoted(version), "err", cause)
}
