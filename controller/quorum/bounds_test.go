package quorum

import (
	"errors"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/vfs"
	"ottla/protocol"
)

// TestRequestsAreBounded: a leader that waits for its followers takes so many requests, and all of them are answered.
func TestRequestsAreBounded(t *testing.T) {
	c := of(t, 9, 3)
	l := c.leader()
	l.o.MaxWaiting = 10
	c.lose = func(from, to *node, _ *Message) bool { return true }
	var answers []*answer
	for range 50 {
		answers = append(answers, l.ask(property("log.retention.ms", "5")))
	}
	refused, waiting := 0, 0
	for _, a := range answers {
		switch {
		case errors.Is(a.err, kerr.RequestTimedOut):
			refused++
		case !a.given():
			waiting++
		}
	}
	if waiting != 20 || refused != 30 {
		t.Errorf("%d refused, %d wait", refused, waiting)
	}
	c.until("it leads no more", func() bool { return !l.leads })
	for _, a := range answers {
		if !a.given() || !errors.Is(a.err, kerr.NotController) && !errors.Is(a.err, kerr.RequestTimedOut) {
			t.Fatalf("answer %v", a.err)
		}
	}
	c.lose = nil
	c.checkEqual()
}

// TestSlowDisk: a leader whose disk is full for long is replaced, and what it had taken comes to nothing, or was taken over.
func TestSlowDisk(t *testing.T) {
	c := of(t, 10, 3)
	l := c.leader()
	l.disk.Set(vfs.Rule{Ops: vfs.OpWrite, Path: ".log", Nth: 1, Err: syscall.ENOSPC})
	a := &answer{}
	l.full = func() bool {
		l.full = nil
		old := l.Machine
		l.Machine = nil // in the middle of its write
		c.until("another one leads", func() bool { return c.leader() != nil })
		c.retention(6)
		l.Machine = old
		return true
	}
	l.Submit(protocol.Anonymous, property("log.retention.ms", "5"), func(resp kmsg.Response, err error) { *a = answer{resp, err} })
	l.turn()
	c.checkEqual()
	if !errors.Is(a.err, kerr.NotController) || l.retention() != "6" {
		t.Errorf("answer %v, retention %q", a, l.retention())
	}
}
