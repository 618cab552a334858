package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol/memnet"
)

// Keys of the requests that the tests send, all in versions whose headers have no tags.
const (
	keyEcho = 3 // Metadata
	keyBig  = 0 // Produce: large frames are allowed
)

const (
	testMaxFrame    = 64 << 10
	testMaxBigFrame = 8 << 20
)

func testMaxFrameOf(key int16) int {
	if key == keyBig {
		return testMaxBigFrame
	}
	return testMaxFrame
}

type dispatcherFunc func(*Call)

func (f dispatcherFunc) Dispatch(c *Call) { f(c) }

type finisherFunc func(*Call)

func (f finisherFunc) Finish(c *Call) { f(c) }

// echo answers with the body.
func echo(c *Call) {
	c.Reply.SetBuf(append(c.Reply.Buf(), c.Body...))
	c.Done()
}

// fixture is a running server and how to reach it.
type fixture struct {
	*Server
	t      *testing.T
	dial   func() net.Conn
	served chan error
	ended  sync.Once
	logs   *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.b.String(), func(r rune) bool { return r == '\n' })
}

// startOn serves on l with o completed by what all tests use.
func startOn(t *testing.T, o Options, l net.Listener, dial func() net.Conn) *fixture {
	f := &fixture{t: t, dial: dial, served: make(chan error, 1), logs: &logBuffer{}}
	o.Logger = slog.New(slog.NewTextHandler(f.logs, nil))
	if o.MaxFrame == nil {
		o.MaxFrame = testMaxFrameOf
	}
	f.Server = New(o)
	go func() { f.served <- f.Serve(context.Background(), l, "TEST") }()
	return f
}

// startMem serves on a network in memory.
func startMem(t *testing.T, o Options) *fixture {
	t.Helper()
	n := memnet.New()
	l, err := n.Listen("10.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, o, l, func() net.Conn {
		c, err := n.Dial(context.Background(), "tcp", "10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
}

// startTCP serves on the loopback interface and shuts down with the test.
func startTCP(t *testing.T, o Options) *fixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := startOn(t, o, l, func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		return c
	})
	t.Cleanup(f.shutdown)
	return f
}

// shutdown ends the server and checks that it leaves nothing behind; again does nothing.
func (f *fixture) shutdown() {
	f.t.Helper()
	f.ended.Do(f.end)
}

func (f *fixture) end() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.Shutdown(ctx); err != nil {
		f.t.Errorf("shutdown: %v", err)
	}
	if err := <-f.served; err != nil {
		f.t.Errorf("serve: %v", err)
	}
	f.nothingIsHeld()
}

func (f *fixture) nothingIsHeld() {
	f.t.Helper()
	for name, b := range map[string]*budget{"frames": &f.budget, "large frames": &f.large, "strangers": &f.strangers, "replies": &f.replies,
		"nodes' frames": f.peers.frames, "nodes' large frames": f.peers.large, "nodes' replies": f.peers.replies} {
		b.mu.Lock()
		if b.used != 0 || len(b.waiters) != 0 {
			f.t.Errorf("budget of %s: %d bytes are held, %d wait", name, b.used, len(b.waiters))
		}
		b.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if cs := &f.conns; len(cs.open) != 0 || len(cs.perIP) != 0 || cs.clients != 0 || cs.peers != 0 || len(cs.proving) != 0 {
		f.t.Errorf("%d connections, %d addresses, %d clients, %d nodes, %d on probation are left", len(cs.open), len(cs.perIP), cs.clients, cs.peers, len(cs.proving))
	}
}

// open is how many connections are open.
func (f *fixture) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns.open)
}

// request is a frame.
func request(key int16, correlation int32, body string) []byte {
	return requestFrom("", key, correlation, body)
}

func requestFrom(clientID string, key int16, correlation int32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(10+len(clientID)+len(body)))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	return append(b, body...)
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// readReply reads one response.
func readReply(r io.Reader) (correlation int32, body []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(h[:])-4)
	_, err = io.ReadFull(r, body)
	return int32(binary.BigEndian.Uint32(h[4:])), body, err
}

func wantReply(t *testing.T, r io.Reader, correlation int32, body string) {
	t.Helper()
	got, b, err := readReply(r)
	if err != nil || got != correlation || string(b) != body {
		t.Fatalf("reply %d with %.60q, %v; want %d with %.60q", got, b, err, correlation, body)
	}
}

func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Fatalf("read %d bytes, %v from a connection that should be closed", n, err)
	}
}

// networks runs a test over memory and over TCP.
func networks(t *testing.T, run func(t *testing.T, start func(Options) *fixture)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			run(t, func(o Options) *fixture {
				f := startMem(t, o)
				t.Cleanup(f.shutdown)
				return f
			})
		})
	})
	t.Run("tcp", func(t *testing.T) {
		run(t, func(o Options) *fixture { return startTCP(t, o) })
	})
}

func TestEcho(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		c := start(Options{Dispatcher: dispatcherFunc(echo)}).dial()
		defer c.Close()
		for i, size := range []int{0, 1, 100, 4000, 5000, 60_000} {
			body := strings.Repeat("x", size)
			send(t, c, request(keyEcho, int32(i), body))
			wantReply(t, c, int32(i), body)
		}
		for i, size := range []int{100 << 10, largeBuffer, largeBuffer + 1, 3 << 20, 10} {
			body := strings.Repeat("y", size)
			go func() { _, _ = c.Write(request(keyBig, int32(i), body)) }()
			wantReply(t, c, int32(i), body)
		}
	})
}

func TestPipelinedFramesInAnyPieces(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		f := start(Options{Dispatcher: dispatcherFunc(echo), MaxInFlight: 8})
		const frames = 300
		var all []byte
		for i := range int32(frames) {
			all = append(all, request(keyBig, i, strings.Repeat("z", int(i*i)%9000))...)
		}
		for _, piece := range []int{len(all), 70_000, 4096, 1023, 7, 1} {
			if piece < 100 {
				all = all[:20_000] // ends within a frame: it is not answered
			}
			c := f.dial()
			var writer sync.WaitGroup
			writer.Go(func() {
				for rest := all; len(rest) > 0; {
					n, err := c.Write(rest[:min(piece, len(rest))])
					if err != nil {
						t.Errorf("pieces of %d: %v", piece, err)
						return
					}
					rest = rest[n:]
				}
			})
			r := bufio.NewReader(c)
			i, left := int32(0), len(all)
			for ; i < frames; i++ {
				if left -= 14 + int(i*i)%9000; left < 0 {
					break
				}
				wantReply(t, r, i, strings.Repeat("z", int(i*i)%9000))
			}
			writer.Wait()
			c.Close()
		}
	})
}

func TestHeaderFieldsReachTheDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var conns []*Conn
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) {
			if c.Key != keyEcho || c.Version != 3 || c.CorrelationID != 77 || c.ClientID != "me" || !c.Alive() || c.Received.IsZero() {
				t.Errorf("%+v", c)
			}
			conns = append(conns, c.Conn)
			c.Reply.SetFlexible(true)
			echo(c)
		})})
		for range 2 {
			c := f.dial()
			send(t, c, requestFrom("me", keyEcho, 77, "body"))
			wantReply(t, c, 77, "\x00body")
			c.Close()
			synctest.Wait()
		}
		a, b := conns[0], conns[1]
		if a.ID() == b.ID() || a.Listener() != "TEST" || a.Principal().Name != "ANONYMOUS" || a.Metadata() != nil {
			t.Errorf("ids %d %d, listener %q, principal %v", a.ID(), b.ID(), a.Listener(), a.Principal())
		}
		a.SetSoftware("lib", "1.0")
		a.SetMetadata(5)
		if n, v := a.Software(); n != "lib" || v != "1.0" || a.Metadata() != 5 {
			t.Error("what was set is not found")
		}
		if a.LocalAddr().String() != "10.0.0.1:9092" || a.RemoteAddr() == nil {
			t.Errorf("addresses %v %v", a.LocalAddr(), a.RemoteAddr())
		}
		f.shutdown()
	})
}

func TestConnectionLimits(t *testing.T) {
	for name, o := range map[string]Options{"all": {MaxConnections: 2}, "per address": {MaxConnectionsPerIP: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.Dispatcher = dispatcherFunc(echo)
				f := startMem(t, o)
				first, second := f.dial(), f.dial()
				for range 20 {
					wantClosed(t, f.dial())
				}
				if lines := f.logs.lines(); len(lines) != 1 || !strings.Contains(lines[0], "too many connections") {
					t.Errorf("log: %q", lines)
				}
				first.Close()
				synctest.Wait()
				third := f.dial()
				for _, c := range []net.Conn{second, third} {
					send(t, c, request(keyEcho, 1, "still served"))
					wantReply(t, c, 1, "still served")
				}
				f.shutdown()
			})
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, _ := n.Listen("10.0.0.1:9092")
		s := New(Options{Dispatcher: dispatcherFunc(echo)})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l, "TEST") }()
		c, err := n.Dial(t.Context(), "tcp", "10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		send(t, c, request(keyEcho, 1, "open until Shutdown"))
		wantReply(t, c, 1, "open until Shutdown")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wantClosed(t, c)
		l, _ = n.Listen("10.0.0.1:9093")
		if err := s.Serve(t.Context(), l, "LATE"); !errors.Is(err, ErrShutdown) {
			t.Errorf("serve after shutdown: %v", err)
		}
	})
}
