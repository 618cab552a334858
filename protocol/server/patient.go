package server

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is what a connection needs of its socket besides reading and writing.
type socket interface {
	Close() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// patientSocket is a TCP socket that the lobby waits for instead of Go's poller. It does what a net.TCPConn and its RawConn do.
type patientSocket struct {
	lobby       *lobby
	fd          int
	read, write direction
	drained     bool // there was less to read than there was room for: whatever comes is told. The reader's

	mu     sync.Mutex
	users  int // callbacks that have fd
	closed bool
}

var (
	_ socket          = (*patientSocket)(nil)
	_ syscall.RawConn = (*patientSocket)(nil)
)

// direction is one that a goroutine may wait for.
type direction struct {
	ready    chan struct{} // one token: look again
	deadline time.Time     // guarded by the socket's mu
	alarm    *time.Timer   // wakes at the deadline; guarded likewise
}

func newPatientSocket(l *lobby, fd int) *patientSocket {
	return &patientSocket{lobby: l, fd: fd, read: direction{ready: make(chan struct{}, 1)}, write: direction{ready: make(chan struct{}, 1)}}
}

func (d *direction) wake() {
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// until sets the deadline; the zero time is none. The caller holds the socket's mu.
func (d *direction) until(t time.Time) {
	d.deadline = t
	switch {
	case t.IsZero():
		if d.alarm != nil {
			d.alarm.Stop()
		}
	case d.alarm == nil:
		d.alarm = time.AfterFunc(time.Until(t), d.wake)
	default:
		d.alarm.Reset(time.Until(t))
	}
}

// Read calls f until it says that it is done, whenever there may be something to read. Errors: net.ErrClosed, os.ErrDeadlineExceeded.
func (s *patientSocket) Read(f func(fd uintptr) bool) error {
	if s.drained {
		s.drained = false
		<-s.read.ready
	}
	return s.attempt(&s.read, f)
}

// Write is Read for when there may be room to write.
func (s *patientSocket) Write(f func(fd uintptr) bool) error { return s.attempt(&s.write, f) }

func (s *patientSocket) attempt(d *direction, f func(fd uintptr) bool) error {
	for {
		if err := s.enter(d); err != nil {
			return err
		}
		done := f(uintptr(s.fd))
		s.leave()
		if done {
			return nil
		}
		<-d.ready
	}
}

// Control calls f with the descriptor.
func (s *patientSocket) Control(f func(fd uintptr)) error {
	if err := s.enter(nil); err != nil {
		return err
	}
	f(uintptr(s.fd))
	s.leave()
	return nil
}

// enter keeps the descriptor from being closed until leave.
func (s *patientSocket) enter(d *direction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if d != nil && !d.deadline.IsZero() && !time.Now().Before(d.deadline) {
		return os.ErrDeadlineExceeded
	}
	s.users++
	return nil
}

func (s *patientSocket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.closed && s.users == 0 {
		_ = unix.Close(s.fd)
	}
}

// Close ends all waits. The descriptor is closed when nobody has it any more.
func (s *patientSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.lobby.leave(s)
	for _, d := range []*direction{&s.read, &s.write} {
		d.until(time.Time{})
		d.wake()
	}
	if s.users == 0 {
		return unix.Close(s.fd)
	}
	return nil
}

// SetReadDeadline sets when Read gives up; the zero time is never.
func (s *patientSocket) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.read, t) }

// SetWriteDeadline is SetReadDeadline for Write.
func (s *patientSocket) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.write, t) }

func (s *patientSocket) setDeadline(d *direction, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	d.until(t)
	return nil
}
