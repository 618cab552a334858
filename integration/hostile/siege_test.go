//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
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
	before := b.processor(t)
	undisturbed := produceFor(t, cl, max(duration/10, 5*time.Second))
	t.Logf("undisturbed: %s; memory %d MiB; %s", undisturbed, b.memory(t)>>20, b.processor(t).since(before).over(max(duration/10, 5*time.Second)))

	group := idleGroup(t)
	if group == "" {
		t.Log("no idle control group: the attackers may take processors from the kernel's own threads")
	}
	var hordes []*horde
	for n := range shards {
		hordes = append(hordes, startHorde(t, n, group, b.address))
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
	before = b.processor(t)
	under := produceFor(t, cl, duration)
	t.Logf("besieged:    %s; %s", under, b.processor(t).since(before).over(duration))
	profiling.Wait()
	t.Logf("memory: at most %d MiB, allowed %d MiB\n%s", b.memory(t)>>20, besiegedRSS(connections)>>20, b.figures(t, "ottla_connections", "ottla_request_memory", "ottla_reply_memory", "go_goroutines ", "process_open_fds "))
	var attacks counts
	var lasted time.Duration
	for n, h := range hordes {
		r, err := h.stop()
		if err != nil {
			t.Fatalf("attackers %d: %v", n, err)
		}
		attacks.add(r.Counts)
		lasted = max(lasted, r.Lasted)
	}
	t.Logf("attacks: %s", attacks.over(lasted))
	if attacks.tame(lasted, connections) {
		t.Error("the attackers hardly ran, so this proves nothing: the machine does other things")
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
