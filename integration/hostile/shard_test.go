//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shards   = 4                // processes of attackers: the limit of open files is one of a process
	shardOf  = "HOSTILE_SHARD"  // which of them this process is
	targetOf = "HOSTILE_TARGET" // the node's address
)

// tally is what attackers have done and seen so far.
type tally struct {
	Dialed, Refused atomic.Int64 // connections
	Sent, Received  atomic.Int64 // bytes
	Requests        atomic.Int64 // whole ones
	Answers         atomic.Int64
}

// counts is a tally at one moment.
type counts struct{ Dialed, Refused, Sent, Received, Requests, Answers int64 }

func (t *tally) counts() counts {
	return counts{t.Dialed.Load(), t.Refused.Load(), t.Sent.Load(), t.Received.Load(), t.Requests.Load(), t.Answers.Load()}
}

func (c *counts) add(o counts) {
	c.Dialed, c.Refused, c.Sent, c.Received = c.Dialed+o.Dialed, c.Refused+o.Refused, c.Sent+o.Sent, c.Received+o.Received
	c.Requests, c.Answers = c.Requests+o.Requests, c.Answers+o.Answers
}

// over is c as rates.
func (c counts) over(d time.Duration) string {
	per := func(n int64) float64 { return float64(n) / d.Seconds() }
	return fmt.Sprintf("%.0f connections/s (%d refused in all), %.0f requests/s, %.0f answers/s, %.2f MB/s sent, %.2f MB/s read",
		per(c.Dialed), c.Refused, per(c.Requests), per(c.Answers), per(c.Sent)/1e6, per(c.Received)/1e6)
}

// What a thousand attackers that have the processors they want do in a second, roughly, is 200 connections and 900 requests. Half of it is a siege.
const (
	leastConnections = 100
	leastRequests    = 450
)

// tame tells whether so many attackers did much less than they would.
func (c counts) tame(d time.Duration, connections int) bool {
	seconds, thousands := d.Seconds(), float64(connections)/1000
	return float64(c.Dialed) < leastConnections*seconds*thousands || float64(c.Requests) < leastRequests*seconds*thousands
}

// TestSiegeShard is a process of attackers. It ends with its input, and prints its counts.
func TestSiegeShard(t *testing.T) {
	shard, address := os.Getenv(shardOf), os.Getenv(targetOf)
	if shard == "" {
		t.Skip("part of TestSiege")
	}
	n, err := strconv.Atoi(shard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	var tally tally
	var all sync.WaitGroup
	began := time.Now()
	for i := n; i < siegeSize(t); i += shards {
		how := attackAt(i * 7919 % 1000) // spread, so that each process has some of all
		all.Go(func() { besiege(ctx, address, fmt.Sprintf("127.0.%d.%d", 1+n, 1+i%8), how, uint64(i), &tally) })
	}
	<-ctx.Done()
	report := report{Counts: tally.counts(), Lasted: time.Since(began)}
	all.Wait()
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("tally %s\n", b)
}

// report is what a process of attackers says at its end.
type report struct {
	Counts counts
	Lasted time.Duration
}

// horde is a process of them.
type horde struct {
	cmd  *exec.Cmd
	in   io.Closer
	said bytes.Buffer
	stop func() (report, error) // ends it
}

// startHorde starts process n of attackers. They have machines of their own in life and share the node's here, so they get what everybody else leaves, and lose it at once to whoever wakes:
// under SCHED_IDLE, and in a group that is idle as well, unless that is "". (With sched_autogroup_enabled the policy counts within a session only: the kernel's own threads, which write to
// disks and deliver packets, would else stand in line with thousands of attackers.)
func startHorde(t *testing.T, n int, group, address string) *horde {
	t.Helper()
	h := &horde{cmd: exec.Command(os.Args[0], "-test.run=^TestSiegeShard$", "-test.v", "-test.timeout=0")}
	h.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", shardOf, n), targetOf+"="+address)
	h.cmd.Stdout, h.cmd.Stderr = &h.said, &h.said
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := startIdle(h.cmd); err != nil {
		t.Fatal(err)
	}
	h.stop = sync.OnceValues(h.end)
	t.Cleanup(func() { _, _ = h.stop() })
	if group != "" {
		if err := writeTo(filepath.Join(group, "cgroup.procs"), strconv.Itoa(h.cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// idleGroup makes a control group whose processes run when nobody else wants to, and returns its folder; "" where that is not allowed.
func idleGroup(t *testing.T) string {
	t.Helper()
	for _, parent := range []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"} { // of version 1 and version 2
		dir := filepath.Join(parent, fmt.Sprint("ottla-hostile-", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if writeTo(filepath.Join(dir, "cpu.idle"), "1") == nil {
			return dir
		}
	}
	return ""
}

// writeTo writes to a file that is there.
func writeTo(path, s string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

// startIdle starts cmd under SCHED_IDLE. A process inherits that of the thread that makes it, which is of no use afterwards and ends with its goroutine.
func startIdle(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 19}, 0)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

func (h *horde) end() (r report, err error) {
	_ = h.in.Close()
	if err := h.cmd.Wait(); err != nil {
		return r, fmt.Errorf("%w: %s", err, h.said.String())
	}
	for l := range strings.Lines(h.said.String()) {
		if told, ok := strings.CutPrefix(l, "tally "); ok {
			return r, json.Unmarshal([]byte(told), &r)
		}
	}
	return r, fmt.Errorf("no tally: %s", h.said.String())
}
