//go:build clients

package clients

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// member is a tool that is left running while others look at it, and what it has printed.
type member struct {
	cmd   *exec.Cmd
	ended chan error

	mu   sync.Mutex
	said bytes.Buffer
	want string
	seen chan struct{} // closed once it has said want
}

// startMember runs cmd until it has said want; it ends with the test at the latest.
func startMember(t *testing.T, cmd *exec.Cmd, want string) *member {
	t.Helper()
	m := &member{cmd: cmd, ended: make(chan error, 1), want: want, seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = m, m
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return m
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended already
	go func() { m.ended <- cmd.Wait() }()
	select {
	case <-m.seen:
	case err := <-m.ended:
		m.ended <- err
		t.Errorf("%s ended before it said %q: %v\n%s", cmd.Path, want, err, m)
	case <-time.After(time.Minute):
		t.Errorf("%s has not said %q:\n%s", cmd.Path, want, m)
	}
	return m
}

func (m *member) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said.Write(b)
	if m.want != "" && strings.Contains(m.said.String(), m.want) {
		m.want = ""
		close(m.seen)
	}
	return len(b), nil
}

func (m *member) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.String()
}

// end asks it to end and returns all that it said.
func (m *member) end(ctx context.Context, t *testing.T) string {
	t.Helper()
	if m.cmd.Process == nil {
		return "" // it never started, as startMember said
	}
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-m.ended:
	case <-ctx.Done():
		t.Errorf("%s does not end:\n%s", m.cmd.Path, m)
	}
	return m.String()
}
