//go:build hostile

package hostile

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ottla/integration/process"
)

// besieged is a node as a process of its own.
type besieged struct {
	*process.Process
	address, http string
}

func startBesieged(t *testing.T) *besieged {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "ottla")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", binary, "ottla/cmd/ottla").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var b besieged
	for _, a := range []*string{&b.address, &b.http} {
		free, err := process.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		*a = free
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := process.Start(ctx, exec.Command(binary, "serve", "--data", t.TempDir(), "--listen", b.address, "--http", b.http, "--set", "ottla.pprof=true"), b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	b.Process = p
	return &b
}

// memory is the most that the node has had in memory, in bytes.
func (b *besieged) memory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.ID()))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// processor is what the node has had of the machine's processors.
type processor struct {
	used   time.Duration // by threads that have ended too
	waited time.Duration // threads that still run had work and no processor: other programs of the machine cause most of it, so it tells how far latencies are the node's own
}

func (p processor) since(before processor) processor {
	return processor{used: p.used - before.used, waited: p.waited - before.waited}
}

// over is p as a share of what a while would have given to one processor.
func (p processor) over(d time.Duration) string {
	return fmt.Sprintf("%.0f %% of a processor, waited %v for one (%.0f %%)", 100*p.used.Seconds()/d.Seconds(), p.waited.Round(time.Millisecond), 100*p.waited.Seconds()/d.Seconds())
}

func (b *besieged) processor(t *testing.T) processor {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", b.ID()))
	if err != nil {
		t.Fatal(err)
	}
	p := processor{used: usedBy(t, b.ID())}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(stat), &ran, &waited); err != nil {
			t.Fatalf("%s: %q: %v", thread, stat, err)
		}
		p.waited += waited
	}
	return p
}

// usedBy is the processors' time of a process, in and out of the kernel.
func usedBy(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	const user, system, tick = 11, 12, 10 * time.Millisecond // fields behind the name, which stands in brackets; proc_pid_stat(5)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var used time.Duration
	for _, at := range []int{user, system} {
		n, err := strconv.Atoi(fields[at])
		if err != nil {
			t.Fatalf("%q: %v", stat, err)
		}
		used += time.Duration(n) * tick
	}
	return used
}

// profile saves what the node says of itself under /debug/pprof to a file in the folder PROFILES; without one it does nothing.
func (b *besieged) profile(t *testing.T, name, query string) {
	t.Helper()
	dir := os.Getenv("PROFILES")
	if dir == "" {
		return
	}
	resp, err := http.Get("http://" + b.http + "/debug/pprof/" + name + query)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), body, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// figures are the node's metrics that begin with a name.
func (b *besieged) figures(t *testing.T, names ...string) string {
	t.Helper()
	resp, err := (&http.Client{Timeout: patience}).Get("http://" + b.http + "/metrics")
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	var found []string
	for l := range strings.Lines(string(body)) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(l, n) }) {
			found = append(found, strings.TrimSpace(l))
		}
	}
	return strings.Join(found, "\n")
}
