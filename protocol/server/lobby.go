package server

import (
	"cmp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Patience tells which connections may be read some milliseconds late. When thousands send a small request now and then, waking up for each costs several times what it takes to answer: so
// what they send gathers, and is read together.
type Patience interface {
	// Patient tells whether calls of this kind may wait, if waiting is worth while at the moment.
	Patient(key int16) bool
	// Worthwhile tells whether it is. It is cheap.
	Worthwhile() bool
}

// impatient is the Patience of a server that has none.
type impatient struct{}

func (impatient) Patient(int16) bool { return false }
func (impatient) Worthwhile() bool   { return false }

const (
	gatherTime    = 20 * time.Millisecond // how long what patient connections send may gather
	patientCalls  = 4                     // patient ones, and nothing else, that make a connection patient
	eventsAtOnce  = 256
	readEvents    = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	writeEvents   = unix.EPOLLOUT | unix.EPOLLHUP | unix.EPOLLERR
	lobbyInterest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
)

// lobby is where patient connections wait for their peers: in an epoll of its own, that is asked once every gatherTime while that is worth while. Go's own would wake a thread for each
// of them. It has a goroutine from the first such connection on.
type lobby struct {
	worthwhile func() bool

	once  sync.Once
	err   error // of opening it; it is not tried again
	epoll int
	bell  int // an eventfd that ends the goroutine's wait
	timer *time.Timer
	stop  chan struct{}
	ended chan struct{} // nil until it is open

	mu      sync.Mutex
	sockets map[int32]*patientSocket // by descriptor
}

// open makes the epoll and starts the goroutine, the first time.
func (l *lobby) open() error {
	l.once.Do(func() {
		if l.epoll, l.err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); l.err != nil {
			return
		}
		if l.bell, l.err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); l.err == nil {
			if l.err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.bell)}); l.err != nil {
				_ = unix.Close(l.bell)
			}
		}
		if l.err != nil {
			_ = unix.Close(l.epoll)
			return
		}
		l.mu.Lock()
		l.sockets = make(map[int32]*patientSocket)
		l.mu.Unlock()
		l.timer, l.stop, l.ended = time.NewTimer(gatherTime), make(chan struct{}), make(chan struct{})
		go l.run()
	})
	return l.err
}

// close ends the goroutine. All sockets are closed, and no connection comes any more.
func (l *lobby) close() {
	l.once.Do(func() { l.err = ErrShutdown })
	if l.ended == nil {
		return
	}
	close(l.stop)
	_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-l.ended
	_ = unix.Close(l.bell)
	_ = unix.Close(l.epoll)
}

func (l *lobby) run() {
	defer close(l.ended)
	events := make([]unix.EpollEvent, eventsAtOnce)
	for !l.stopped() {
		n, err := unix.EpollWait(l.epoll, events, 0)
		if n == 0 && err == nil {
			n, err = unix.EpollWait(l.epoll, events, -1)
		}
		if err != nil && err != unix.EINTR {
			panic(err) // EBADF, EFAULT or EINVAL: ours
		}
		l.tell(events[:max(n, 0)])
		if n < len(events) && l.worthwhile() {
			l.pause()
		}
	}
}

func (l *lobby) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// pause lets events gather.
func (l *lobby) pause() {
	l.timer.Reset(gatherTime)
	select {
	case <-l.stop:
	case <-l.timer.C:
	}
}

// tell wakes who waits for what has come up.
func (l *lobby) tell(events []unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		s := l.sockets[e.Fd]
		if s == nil {
			continue // the bell, or closed meanwhile
		}
		if e.Events&readEvents != 0 {
			s.read.wake()
		}
		if e.Events&writeEvents != 0 {
			s.write.wake()
		}
	}
}

// adopt has the lobby wait for the connection's socket from now on, by another descriptor than Go's, which the caller closes.
func (l *lobby) adopt(raw syscall.RawConn) (*patientSocket, error) {
	if err := l.open(); err != nil {
		return nil, err
	}
	fd, err := -1, error(nil)
	if e := raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		return nil, cmp.Or(e, err)
	}
	s := newPatientSocket(l, fd)
	l.mu.Lock()
	l.sockets[int32(fd)] = s
	l.mu.Unlock()
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: lobbyInterest, Fd: int32(fd)}); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// leave is called before the descriptor is closed. The epoll would keep an entry for its number as long as another descriptor has the socket open, and refuse the number from then on.
func (l *lobby) leave(s *patientSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, int32(s.fd))
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) // ENOENT: it was never in
}

// enterLobby moves a connection whose calls are patient to the lobby, unless somebody writes to it at the moment. It runs on the reader's goroutine, between passes.
func (c *Conn) enterLobby() {
	if c.in.patient < patientCalls || c.patient != nil || c.raw == nil || !c.server.lobby.worthwhile() {
		return
	}
	s, err := c.server.lobby.adopt(c.raw)
	if err != nil {
		c.in.patient = 0 // as it is, it works as well
		return
	}
	c.mu.Lock()
	if c.writing || c.dead {
		c.mu.Unlock()
		_ = s.Close()
		return
	}
	c.patient, c.socket, c.raw, c.out.socket, c.out.raw = s, s, s, s, s
	c.out.deadline = time.Time{}
	c.mu.Unlock()
	c.in.deadline, c.in.idleArmed = time.Time{}, false
	_ = c.nc.Close()
}
