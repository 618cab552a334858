package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// coverageLine begins the line by which a shard tells what it has counted.
const coverageLine = "SIM-COVERAGE "

// runShards plays the seeds in several processes: crypto/rand is seeded for a whole process, so one process plays one seed at a time. Shard k plays every seed whose distance from the
// first is k more than a multiple of their number.
func runShards(t *testing.T, n int) {
	var mu sync.Mutex
	var total Coverage
	var wg sync.WaitGroup
	for k := range *shards {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=6h", fmt.Sprintf("-seeds=%d", n), fmt.Sprintf("-seed=%d", *seed), fmt.Sprintf("-events=%d", *events),
			fmt.Sprintf("-twice=%v", *twice), fmt.Sprintf("-shards=%d", *shards), fmt.Sprintf("-shard=%d", k))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			var text strings.Builder
			lines := bufio.NewScanner(out)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				line := lines.Text()
				if counts, ok := strings.CutPrefix(line, coverageLine); ok {
					var c Coverage
					if err := json.Unmarshal([]byte(counts), &c); err != nil {
						t.Errorf("shard %d: %v", k, err)
					}
					mu.Lock()
					total.Add(c)
					mu.Unlock()
					continue
				}
				fmt.Fprintln(&text, line)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("shard %d: %v\n%s", k, err, text.String())
			}
		})
	}
	wg.Wait()
	t.Logf("%d seeds from %d on\n%s", n, *seed, total)
}
