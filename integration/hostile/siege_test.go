//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"ottla/integration/process"
)

const (
	shards     = 4                // processes of attackers: the limit of open files is one of a process
	shardOf    = "HOSTILE_SHARD"  // which of them this process is
	targetOf   = "HOSTILE_TARGET" // the node's address
	goodEvery  = 10 * time.Millisecond
	goodSize   = 16 << 10  // bytes of the good client's records: large enough to need the node's memory for frames
	budget     = 256 << 20 // ottla.memory.budget.bytes as it comes
	worstRatio = 2.0
)

// besiegedRSS is what the node may need: frames and replies, as much again before the garbage collector has to run, what each connection costs (a stack, a small buffer), and the node itself.
func besiegedRSS(connections int) int { return 2*(budget+budget/2) + connections*32<<10 + 192<<20 }

func fromEnv(t *testing.T, name, otherwise string) string {
	t.Helper()
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func siegeSize(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(fromEnv(t, "CONNECTIONS", "5000"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSiegeShard is a process of attackers. It ends with its input, and prints its tally.
func TestSiegeShard(t *testing.T) {
	shard, address := os.Getenv(shardOf), os.Getenv(targetOf)
	if shard == "" {
		t.Skip("part of TestSiege")
	}
	n, err := strconv.Atoi(shard)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil { // attackers have machines of their own
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	var tally tally
	var all sync.WaitGroup
	for i := n; i < siegeSize(t); i += shards {
		how := attackAt(i * 7919 % 1000) // spread, so that each process has some of all
		all.Go(func() { besiege(ctx, address, fmt.Sprintf("127.0.%d.%d", 1+n, 1+i%8), how, uint64(i), &tally) })
	}
	all.Wait()
	b, err := json.Marshal(map[string]int64{"dialed": tally.Dialed.Load(), "refused": tally.Refused.Load()})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("tally %s\n", b)
}

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

// waited is for how long the node's threads that still run had work and no processor. Other programs of the machine cause most of it, so it tells how far latencies are the node's own.
func (b *besieged) waited(t *testing.T) time.Duration {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", b.ID()))
	if err != nil {
		t.Fatal(err)
	}
	var all time.Duration
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(stat), &ran, &waited); err != nil {
			t.Fatalf("%s: %q: %v", thread, stat, err)
		}
		all += waited
	}
	return all
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

// latencies are those of the good client's requests.
type latencies []time.Duration

func (l latencies) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (l latencies) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("%d requests, p50 %s, p99 %s, worst %s", len(l), ms(l.quantile(.5)), ms(l.quantile(.99)), ms(l.quantile(1)))
}

// produceFor has the good client write one record after the other for a while.
func produceFor(t *testing.T, cl *kgo.Client, d time.Duration) latencies {
	t.Helper()
	var all latencies
	value := bytes.Repeat([]byte("good"), goodSize/4)
	tick := time.NewTicker(goodEvery)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		began := time.Now()
		err := cl.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr()
		cancel()
		if err != nil {
			t.Errorf("the good client: %v", err)
		}
		all = append(all, time.Since(began))
	}
	return all
}

// shardProcess starts one process of attackers; stop ends it and returns its tally.
func shardProcess(t *testing.T, n int, address string) (stop func() string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSiegeShard$", "-test.v", "-test.timeout=0")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", shardOf, n), targetOf+"="+address)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() string {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Sprintf("%v: %s", err, said.String())
		}
		for l := range strings.Lines(said.String()) {
			if tally, ok := strings.CutPrefix(l, "tally "); ok {
				return strings.TrimSpace(tally)
			}
		}
		return "no tally: " + said.String()
	})
	t.Cleanup(func() { stop() })
	return stop
}

// TestSiege: thousands of hostile connections of every kind, and a good client that must hardly notice. DURATION and CONNECTIONS change how long and how many; PROFILES is a folder
// for the node's profiles of the siege.
func TestSiege(t *testing.T) {
	duration, err := time.ParseDuration(fromEnv(t, "DURATION", "5m"))
	if err != nil {
		t.Fatal(err)
	}
	connections := siegeSize(t)
	b := startBesieged(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.DefaultProduceTopic("good"), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for _, topic := range []string{"good", "bait"} {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	for range 64 { // what those who never read ask for
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "bait", Value: make([]byte, 900<<10)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produceFor(t, cl, 2*time.Second) // warm
	waited := b.waited(t)
	undisturbed := produceFor(t, cl, max(duration/10, 5*time.Second))
	t.Logf("undisturbed: %s; memory %d MiB; waited %v for a processor", undisturbed, b.memory(t)>>20, b.waited(t)-waited)

	var stops []func() string
	for n := range shards {
		stops = append(stops, shardProcess(t, n, b.address))
	}
	begin := produceFor(t, cl, 10*time.Second) // they come within five
	t.Logf("siege begins: %s\n%s", begin, b.figures(t, "ottla_connections"))
	var profiling sync.WaitGroup
	profiling.Go(func() {
		b.profile(t, "profile", fmt.Sprintf("?seconds=%d", max(int(duration.Seconds())/2, 1)))
		b.profile(t, "trace", "?seconds=3")
		for _, name := range []string{"heap", "allocs", "goroutine"} {
			b.profile(t, name, "")
		}
	})
	waited = b.waited(t)
	under := produceFor(t, cl, duration)
	t.Logf("besieged:    %s; waited %v for a processor", under, b.waited(t)-waited)
	profiling.Wait()
	t.Logf("memory: at most %d MiB, allowed %d MiB\n%s", b.memory(t)>>20, besiegedRSS(connections)>>20, b.figures(t, "ottla_connections", "ottla_request_memory", "ottla_reply_memory", "go_goroutines ", "process_open_fds "))
	for n, stop := range stops {
		t.Logf("attackers %d: %s", n, stop())
	}

	select {
	case <-b.Exited():
		t.Fatalf("the node has ended: %v\n%s", b.Err(), b.Said())
	default:
	}
	if said := b.Said(); strings.Contains(said, "panic") {
		t.Errorf("the node panicked:\n%s", said)
	}
	if n := b.memory(t); n > besiegedRSS(connections) {
		t.Errorf("the node had %d bytes in memory", n)
	}
	checkEnds(t, adm, len(undisturbed)+len(begin)+len(under))
	if ratio := float64(under.quantile(.99)) / float64(undisturbed.quantile(.99)); ratio > worstRatio {
		t.Errorf("p99 is %.2f times what it is undisturbed, allowed %.1f", ratio, worstRatio)
	} else {
		t.Logf("p99 is %.2f times what it is undisturbed", ratio)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// checkEnds wants every record of the good client in the log.
func checkEnds(t *testing.T, adm *kadm.Client, least int) {
	t.Helper()
	ends, err := adm.ListEndOffsets(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := ends.Lookup("good", 0); !ok || o.Err != nil || o.Offset < int64(least) {
		t.Errorf("end offset %+v of at least %d records: %v", o, least, errors.Join(o.Err))
	}
}
