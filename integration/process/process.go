// Package process runs brokers as processes of their own: started, waited for, stopped or killed, their words kept.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Process is a broker that runs.
type Process struct {
	cmd    *exec.Cmd
	said   said
	exited chan struct{}
	err    error // of the end; valid once exited is closed
}

// said is what a process has written so far. It may be read while the process runs.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// Start runs cmd and waits until address accepts a connection. On an error nothing runs any more.
func Start(ctx context.Context, cmd *exec.Cmd, address string) (*Process, error) {
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := p.awaitListener(ctx, address); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w\n%s", err, p.Said())
	}
	return p, nil
}

func (p *Process) awaitListener(ctx context.Context, address string) error {
	for {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended: %w", p.cmd.Path, errors.Join(errors.New("before it answered"), p.err))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer on %s: %w", p.cmd.Path, address, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Said is what it has written to both outputs so far.
func (p *Process) Said() string { return p.said.String() }

// ID is the operating system's.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Exited is closed when it has ended; then Err tells how.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how it ended.
func (p *Process) Err() error { return p.err }

// Stop asks it to end, as an operator does, and waits. A process that does not end until ctx does is killed, which is an error.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s does not stop: %w", p.cmd.Path, ctx.Err())
	}
}

// Kill ends it as a crash does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// FreeAddress is an address on loopback that nobody listened on a moment ago.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
