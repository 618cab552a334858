package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"ottla/protocol/memnet"
)

// brokenListener fails as often as told before it listens.
type brokenListener struct {
	net.Listener
	errs []error
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return l.Listener.Accept()
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestAcceptSurvivesWantOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen("10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		full := &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
		f := startOn(t, Options{Dispatcher: dispatcherFunc(echo)}, &brokenListener{Listener: l, errs: []error{full, full, full}}, nil)
		c, err := n.Dial(t.Context(), "tcp", "10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, request(keyEcho, 1, "patience"))
		wantReply(t, c, 1, "patience")
		if lines := f.logs.lines(); len(lines) != 1 || !strings.Contains(lines[0], "accept failed") {
			t.Errorf("log: %q", lines)
		}
		f.shutdown()
	})
}

func TestServeReportsABrokenListener(t *testing.T) {
	l, err := memnet.New().Listen("10.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	s := New(Options{Dispatcher: dispatcherFunc(echo)})
	if err := s.Serve(context.Background(), &brokenListener{Listener: l, errs: []error{broken}}, "TEST"); !errors.Is(err, broken) {
		t.Errorf("serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}

// TestUnsentRepliesStopReading: large replies pile up behind a parked one, and the client is not read until they can leave.
func TestUnsentRepliesStopReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 300 << 10
		park := newParking()
		dispatched := 0
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) {
			if dispatched++; c.CorrelationID == 0 {
				park.Dispatch(c)
				return
			}
			c.Reply.SetBuf(append(c.Reply.Buf(), make([]byte, size)...))
			c.Done()
		})})
		c := f.dial()
		for i := range int32(20) {
			send(t, c, request(keyEcho, i, ""))
		}
		synctest.Wait()
		if want := 1 + maxUnsent/size + 1; dispatched != want {
			t.Errorf("%d calls dispatched, want %d", dispatched, want)
		}
		(<-park.calls).Wake()
		wantReply(t, c, 0, "late 0")
		for i := range int32(19) {
			wantReply(t, c, i+1, string(make([]byte, size)))
		}
		f.shutdown()
	})
}

func TestForgottenAndDoubleAnswersPanic(t *testing.T) {
	mustPanic := func(name string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		f()
	}
	c := newConn(New(Options{}), &net.TCPConn{}, "TEST")
	forgotten, err := c.takeSlot()
	if err != nil {
		t.Fatal(err)
	}
	mustPanic("no answer", func() { _ = c.publish(forgotten) })
	forgotten.Done()
	mustPanic("two answers", forgotten.NoReply)
}
