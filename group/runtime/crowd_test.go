package runtime

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol"
)

// Many callers on many shards, while leaderships come and go: every operation is answered once, what was answered well is in the log, and nothing is lost to a race.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards, callers, each = 4, 4, 500
		g := newRig(t, Options[*toy]{Workers: 4, MaxBatch: 1000})
		defer g.close()
		for shard := range int32(shards) {
			g.partition(shard).follow = true
			g.lead(shard, 1)
		}
		synctest.Wait()
		var all sync.WaitGroup
		var answers, committed [callers][each]atomic.Int32
		for c := range callers {
			all.Go(func() {
				for i := range each {
					all.Add(1)
					answer := func(n int32) func() {
						return func() {
							answers[c][i].Add(1)
							committed[c][i].Add(n)
							all.Done()
						}
					}
					failed := func(error) { answer(0)() }
					g.Write(int32((c+i)%shards), func(*toy, time.Time) Effects {
						return Effects{Records: []Record{{fmt.Appendf(nil, "%d of %d", i, c), []byte("x")}}, Committed: answer(1), Failed: failed}
					}, failed)
				}
			})
		}
		all.Go(func() {
			for epoch := protocol.LeaderEpoch(2); epoch < 40; epoch++ {
				g.lead(int32(epoch)%shards, epoch)
				g.Resign(int32(epoch+1)%shards, epoch-6)
			}
		})
		all.Wait()
		synctest.Wait()
		written := make(map[string]string)
		for _, p := range g.partitions {
			for k := range replayed(p.records(t, p.end)) {
				written[k] = k
			}
		}
		for c := range callers {
			for i := range each {
				if n := answers[c][i].Load(); n != 1 {
					t.Fatalf("operation %d of %d was answered %d times", i, c, n)
				}
				if committed[c][i].Load() == 1 {
					if written[fmt.Sprintf("%d of %d", i, c)] == "" {
						t.Fatalf("operation %d of %d was answered, but is not in the log", i, c)
					}
				}
			}
		}
		for shard := range int32(shards) {
			g.put(shard, "last", "x")
		}
		expect(t, g.answers(), slices.Repeat([]string{"last=x ok"}, shards)...)
	})
}
