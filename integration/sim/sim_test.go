package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/cryptotest"
)

var (
	seeds   = flag.Int("seeds", 0, "how many seeds are played; 0: a few")
	seed    = flag.Uint64("seed", 1, "the first of them; the next ones follow")
	events  = flag.Int("events", 2000, "events of a seed before everything heals, at least")
	twice   = flag.Bool("twice", false, "play each seed twice and compare the traces")
	verbose = flag.Bool("watch", false, "tell every event")
	shards  = flag.Int("shards", 1, "how many processes share the seeds")
	shard   = flag.Int("shard", -1, "which of them this one is; set by the first process")
)

// few is how many seeds an ordinary test run plays.
const few = 100

// maxFailures is how many seeds may fail before no more are played.
const maxFailures = 3

// play runs one seed in a test of its own: crypto/rand is seeded for its duration.
func play(t *testing.T, n uint64, watch io.Writer) (r Result) {
	t.Run(fmt.Sprint(n), func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, n)
		r = Run(n, Options{Events: *events, Watch: watch})
	})
	return r
}

// TestSeeds plays seeds. One that fails prints how it is repeated.
func TestSeeds(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = few
		if testing.Short() {
			n = few / 5
		}
	}
	if *shards > 1 && *shard < 0 {
		runShards(t, n)
		return
	}
	var watch io.Writer
	if *verbose {
		watch = os.Stdout
	}
	var total Coverage
	var all uint64
	failures := 0
	for k := range uint64(n) {
		if *shards > 1 && k%uint64(*shards) != uint64(*shard) {
			continue
		}
		this := *seed + k
		r := play(t, this, watch)
		total.Add(r.Coverage)
		all = (all ^ r.Hash) * fnvPrime
		if *twice {
			if again := play(t, this, nil); again.Hash != r.Hash {
				t.Errorf("seed %d: the trace is %016x, and %016x the second time", this, r.Hash, again.Hash)
			}
		}
		if r.Err != nil {
			t.Errorf("seed %d: %v\n%s\nthe last events:\n%s\nrepeat: make sim SEED=%d", this, r.Err, r.Plan, r.Tail, this)
			if failures++; failures >= maxFailures {
				break
			}
		}
	}
	if *shard >= 0 {
		counts, err := json.Marshal(total)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(coverageLine + string(counts))
	}
	t.Logf("%d seeds from %d on, traces %016x\n%s", n, *seed, all, total)
}
