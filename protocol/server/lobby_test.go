package server

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patient finds calls of one kind patient; it can be switched off.
type patient struct {
	key int16
	on  atomic.Bool
}

func (p *patient) Patient(key int16) bool { return key == p.key }
func (p *patient) Worthwhile() bool       { return p.on.Load() }

// inLobby tells how many connections wait in the lobby.
func (s *Server) inLobby() int {
	s.lobby.mu.Lock()
	defer s.lobby.mu.Unlock()
	return len(s.lobby.sockets)
}

func startPatient(t *testing.T, dispatch func(*Call)) (*fixture, *patient) {
	p := &patient{key: keyEcho}
	p.on.Store(true)
	return startTCP(t, Options{Dispatcher: dispatcherFunc(dispatch), Patience: p}), p
}

// roundTrip sends a request and reads its reply, which is an echo.
func roundTrip(t *testing.T, c net.Conn, key int16, body string) {
	t.Helper()
	send(t, c, request(key, 1, body))
	wantReply(t, c, 1, body)
}

// After patientCalls replies a connection enters the lobby before it reads again: so one more tells that it has.
const entering = patientCalls + 1

func TestPatientConnectionsAreAnsweredInTheLobby(t *testing.T) {
	f, p := startPatient(t, echo)
	clients := []net.Conn{f.dial(), f.dial(), f.dial()}
	for round := range entering {
		for _, c := range clients {
			roundTrip(t, c, keyEcho, "ping")
		}
		if n := f.inLobby(); round < patientCalls-1 && n > 0 {
			t.Fatalf("%d connections are in the lobby after %d calls", n, round+1)
		}
	}
	if n := f.inLobby(); n != len(clients) {
		t.Fatalf("%d connections are in the lobby", n)
	}
	p.on.Store(false)
	for i := range int32(200) {
		send(t, clients[0], request(keyEcho, i, "pong"))
	}
	for i := range int32(200) {
		wantReply(t, clients[0], i, "pong")
	}
	roundTrip(t, clients[1], keyBig, strings.Repeat("x", 1<<20))
	clients[0].Close()
	for f.inLobby() == len(clients) {
		roundTrip(t, clients[1], keyEcho, "until the first has gone")
	}
}

func TestOthersStayOutOfTheLobby(t *testing.T) {
	f, _ := startPatient(t, echo)
	c := f.dial()
	for range 2 * entering {
		roundTrip(t, c, keyEcho, "ping")
		roundTrip(t, c, keyBig, "something else")
	}
	if n := f.inLobby(); n != 0 {
		t.Fatalf("%d connections are in the lobby", n)
	}
}

// The second stage answers from another goroutine, with more than the socket holds.
func TestLargeRepliesLeaveTheLobby(t *testing.T) {
	large := strings.Repeat("x", 4<<20)
	f, _ := startPatient(t, func(c *Call) {
		c.Park(finisherFunc(func(c *Call) { c.Reply.SetBuf(append(c.Reply.Buf(), large...)) }))
		go c.Wake()
	})
	c := f.dial()
	defer c.Close()
	for i := int32(0); f.inLobby() == 0 || i < 2*entering; i++ {
		send(t, c, request(keyEcho, i, "ping"))
		wantReply(t, c, i, large)
	}
}

func TestShutdownEndsTheLobby(t *testing.T) {
	f, _ := startPatient(t, echo)
	c := f.dial()
	for range entering {
		roundTrip(t, c, keyEcho, "ping")
	}
	f.shutdown()
	wantClosed(t, c)
	if n := f.inLobby(); n != 0 {
		t.Fatalf("%d connections are in the lobby", n)
	}
}

// A connection that somebody writes to when it comes to the lobby stays where it is, and comes again.
func TestWhoLeavesTheLobbyMayComeBack(t *testing.T) {
	l := &lobby{worthwhile: func() bool { return false }}
	defer l.close()
	nc, _ := tcpPair(t)
	raw := rawOf(t, nc)
	for range 3 {
		s, err := l.adopt(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// tcpPair is an accepted connection and its peer.
func tcpPair(t *testing.T) (nc *net.TCPConn, peer net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = accepted.Close()
		_ = peer.Close()
	})
	return accepted.(*net.TCPConn), peer
}

func rawOf(t *testing.T, nc *net.TCPConn) syscall.RawConn {
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// socketPair is a socket in a lobby of its own, and its peer.
func socketPair(t *testing.T) (*patientSocket, net.Conn) {
	l := &lobby{worthwhile: func() bool { return false }}
	nc, peer := tcpPair(t)
	s, err := l.adopt(rawOf(t, nc))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		l.close()
	})
	return s, peer
}

func never(uintptr) bool { return false }

func TestADeadlineEndsTheWaitInTheLobby(t *testing.T) {
	s, _ := socketPair(t)
	for range 2 { // set before the wait, and during it
		if err := s.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if err := s.Read(never); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	s.drained = true
	ended := make(chan error)
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- s.Read(never) }()
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestCloseEndsTheWaitInTheLobby(t *testing.T) {
	s, _ := socketPair(t)
	ended := make(chan error)
	go func() { ended <- s.Read(never) }()
	go func() { ended <- s.Write(never) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	if err := s.Control(func(uintptr) { t.Error("the descriptor is closed") }); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestThePeersEndWakesADrainedSocket(t *testing.T) {
	s, peer := socketPair(t)
	s.drained = true
	ended := make(chan error)
	go func() { ended <- s.Read(func(uintptr) bool { return true }) }()
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
