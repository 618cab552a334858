//go:build clients

package clients

import (
	"bytes"
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// member is a tool that is left running while others look at it, and what it has printed.
type member struct {
	cmd   *exec.Cmd
	ended chan error

	mu     sync.Mutex
	said   []byte
	looked int           // what it said before this has been waited for
	want   string        // is waited for, if not ""
	seen   chan struct{} // closed once it has said want
}

// startMember runs cmd until it has said want; it ends with the test at the latest.
func startMember(t *testing.T, cmd *exec.Cmd, want string) *member {
	t.Helper()
	m := &member{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = m, m
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return m
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended already
	go func() { m.ended <- cmd.Wait() }()
	m.await(t, want)
	return m
}

// await waits until it says want, after what has been waited for before.
func (m *member) await(t *testing.T, want string) {
	t.Helper()
	seen := make(chan struct{})
	m.mu.Lock()
	m.want, m.seen = want, seen
	m.look()
	m.mu.Unlock()
	select {
	case <-seen:
	case err := <-m.ended:
		m.ended <- err
		t.Errorf("%s ended before it said %q: %v\n%s", m.cmd.Path, want, err, m)
	case <-time.After(time.Minute):
		t.Errorf("%s has not said %q:\n%s", m.cmd.Path, want, m)
	}
}

// look searches for want in what has not been looked at. Caller holds mu.
func (m *member) look() {
	if m.want == "" {
		return
	}
	if at := bytes.Index(m.said[m.looked:], []byte(m.want)); at >= 0 {
		m.looked += at + len(m.want)
		m.want = ""
		close(m.seen)
	}
}

func (m *member) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, b...)
	m.look()
	return len(b), nil
}

func (m *member) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.said)
}

// end sends it a signal to end and returns all that it said.
func (m *member) end(ctx context.Context, t *testing.T, signal syscall.Signal) string {
	t.Helper()
	if m.cmd.Process == nil {
		return "" // it never started, as startMember said
	}
	if err := m.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	select {
	case <-m.ended:
	case <-ctx.Done():
		t.Errorf("%s does not end:\n%s", m.cmd.Path, m)
	}
	return m.String()
}
