//go:build gates

package gates

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ottla/integration/process"
)

var callKinds = []kind{ioCalls, syncCalls, waitCalls}

// waiting are the system calls of a scheduler: waiting, waking and asking for the time.
var waiting = map[string]bool{
	"futex": true, "epoll_pwait": true, "epoll_wait": true, "epoll_ctl": true, "nanosleep": true, "clock_nanosleep": true, "sched_yield": true, "tgkill": true, "getpid": true,
	"rt_sigreturn": true, "rt_sigaction": true, "rt_sigprocmask": true, "madvise": true, "mmap": true, "munmap": true, "clone": true, "clone3": true, "gettid": true,
	"sigaltstack": true, "restart_syscall": true, "timer_settime": true, "timer_create": true, "timer_delete": true, "prctl": true, "rseq": true, "set_robust_list": true, "mprotect": true,
	unready: true,
}

var syncing = map[string]bool{"fsync": true, "fdatasync": true, "syncfs": true, "sync_file_range": true}

// TestSystemCalls measures a node that is a process of its own.
func TestSystemCalls(t *testing.T) {
	if why := cannotTrace(t); why != "" {
		t.Skip(why)
	}
	dir := t.TempDir()
	node := startNode(t, dir)
	s := set(t, node.address)
	measured := figures{}
	for i := range requests {
		q := &requests[i]
		bursts := q.prepare(t, s)
		per := len(bursts) / rounds
		for round := range rounds {
			calls := trace(t, node.ID(), filepath.Join(dir, "strace"), func() error { return q.send(s, bursts[round*per:][:per]) })
			for k, figure := range calls.perRequest(per * q.size()) {
				if before, ok := measured[q.name][k]; ok {
					figure = math.Min(before, figure)
				}
				measured.set(q.name, k, figure)
			}
		}
		if !q.fresh {
			q.confirm(t, s, 0)
		}
	}
	judge(t, measured, callKinds...)
}

type node struct {
	*process.Process
	address string
}

// startNode builds the binary and starts it over a folder in dir.
func startNode(t *testing.T, dir string) node {
	t.Helper()
	binary := filepath.Join(dir, "ottla")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "ottla/cmd/ottla").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--data", filepath.Join(dir, "data"), "--listen", address, "--http", "", "--set", "group.initial.rebalance.delay.ms=0")
	p, err := process.Start(t.Context(), cmd, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stop the node: %v\n%s", err, p.Said())
		}
	})
	return node{p, address}
}

// cannotTrace tells why strace cannot attach to a process here; empty if it can.
func cannotTrace(t *testing.T) string {
	t.Helper()
	sleeper := exec.CommandContext(t.Context(), "sleep", "60")
	if err := sleeper.Start(); err != nil {
		return fmt.Sprintf("no process to trace: %v", err)
	}
	defer func() {
		_ = sleeper.Process.Kill() // it may have ended with the test
		_ = sleeper.Wait()
	}()
	stop, err := attach(t.Context(), sleeper.Process.Pid, filepath.Join(t.TempDir(), "strace"))
	if err != nil {
		return fmt.Sprintf("strace cannot attach: %v", err)
	}
	if err := stop(); err != nil {
		return fmt.Sprintf("strace cannot detach: %v", err)
	}
	return ""
}

// attach counts the system calls of a process in a file, until stop.
func attach(ctx context.Context, pid int, file string) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "strace", "-f", "-c", "-o", file, "-p", strconv.Itoa(pid))
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var words strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), " attached") {
			fmt.Fprintln(&words, lines.Text())
			continue
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, said) // which threads came and went
		}()
		return func() error {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				return err
			}
			<-drained
			return ended(cmd)
		}, nil
	}
	return nil, errors.Join(cmd.Wait(), errors.New(strings.TrimSpace(words.String())))
}

// ended waits for a strace that was interrupted: it writes what it has counted and dies of the same signal.
func ended(cmd *exec.Cmd) error {
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == -1 || exit.ExitCode() == 130) {
		return nil
	}
	return err
}

// calls are system calls by name. Those that failed stand under unready: they found nothing to read, or no room, and tell how busy the machine is.
type calls map[string]int

const unready = "unready"

func trace(t *testing.T, pid int, file string, f func() error) calls {
	t.Helper()
	stop, err := attach(t.Context(), pid, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(), stop()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCalls(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// parseCalls reads the table of strace -c: share, seconds, microseconds per call, calls, errors if any, name.
func parseCalls(table string) (calls, error) {
	c := calls{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if _, err := strconv.ParseFloat(fields[0], 64); err != nil {
			continue // the head and the lines below it
		}
		n, err := strconv.Atoi(fields[3])
		if err != nil {
			return nil, fmt.Errorf("strace: %q: %w", line, err)
		}
		name, failed := fields[len(fields)-1], 0
		if len(fields) > 5 {
			if failed, err = strconv.Atoi(fields[4]); err != nil {
				return nil, fmt.Errorf("strace: %q: %w", line, err)
			}
		}
		c[name] += n - failed
		c[unready] += failed
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("strace has counted nothing:\n%s", table)
	}
	return c, nil
}

func (c calls) perRequest(requests int) map[kind]float64 {
	costs := map[kind]float64{ioCalls: 0, syncCalls: 0, waitCalls: 0}
	for name, n := range c {
		switch {
		case waiting[name]:
			costs[waitCalls] += float64(n)
		case syncing[name]:
			costs[syncCalls] += float64(n)
			fallthrough
		default:
			costs[ioCalls] += float64(n)
		}
	}
	for k := range costs {
		costs[k] /= float64(requests)
	}
	return costs
}

func TestParseCalls(t *testing.T) {
	c, err := parseCalls(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.001200           6       200        12 read
 40.00    0.000800           8       100           fdatasync
------ ----------- ----------- --------- --------- ----------------
100.00    0.002000           6       300        12 total
`)
	if err != nil || len(c) != 3 || c["read"] != 188 || c["fdatasync"] != 100 || c[unready] != 12 {
		t.Fatalf("%v, %v", c, err)
	}
	if costs := c.perRequest(100); costs[ioCalls] != 2.88 || costs[syncCalls] != 1 || costs[waitCalls] != 0.12 {
		t.Errorf("%v", costs)
	}
}
