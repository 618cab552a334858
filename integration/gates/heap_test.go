//go:build gates

package gates

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"ottla"
)

// rounds is how often a request is measured; the least counts. What has risen has risen in all of them, what the background does has not.
const rounds = 3

var heapKinds = []kind{allocations, heapBytes, diskBytes, diskWrites, diskSyncs}

// TestHeapAndDisk measures a node in this process, on the machine's file system.
func TestHeapAndDisk(t *testing.T) {
	disk := &countedDisk{}
	n, err := ottla.Start(t.Context(), ottla.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", FS: disk, Logger: slog.New(slog.DiscardHandler),
		Properties: map[string]string{"group.initial.rebalance.delay.ms": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close the node: %v", err)
		}
	})
	s := set(t, n.Addr().String())
	measured := figures{}
	for i := range requests {
		q := &requests[i]
		bursts := q.prepare(t, s)
		per := len(bursts) / rounds
		for round := range rounds {
			for k, figure := range q.heap(t, s, disk, bursts[round*per:][:per]) {
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
	judge(t, measured, heapKinds...)
}

// heap is what one request of bursts costs. No collection takes pooled memory away meanwhile.
func (q *request) heap(t *testing.T, s *scene, disk *countedDisk, bursts [][]byte) map[kind]float64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	bytes, writes, syncs := disk.bytes.Load(), disk.writes.Load(), disk.syncs.Load()
	if err := q.send(s, bursts); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	per := float64(len(bursts) * q.size())
	return map[kind]float64{
		allocations: float64(after.Mallocs-before.Mallocs) / per,
		heapBytes:   float64(after.TotalAlloc-before.TotalAlloc) / per,
		diskBytes:   float64(disk.bytes.Load()-bytes) / per,
		diskWrites:  float64(disk.writes.Load()-writes) / per,
		diskSyncs:   float64(disk.syncs.Load()-syncs) / per,
	}
}
