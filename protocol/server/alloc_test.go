//go:build !race

package server

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestSteadyStateAllocatesNothing counts the allocations of the whole process: the client's side is two system calls. Under the race detector
// sync.Pool forgets at random, so this file is not built there.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, load := range loads(t) {
		t.Run(name, func(t *testing.T) {
			d, frames, size := load()
			f := startTCP(t, Options{Dispatcher: d, Metrics: NewMetrics(prometheus.NewRegistry())})
			c := f.dial()
			defer c.Close()
			replies := make([]byte, size)
			for range 50 { // fills the ring, the pools, and what readers learn
				exchange(t, c, frames, replies)
			}
			if n := testing.AllocsPerRun(300, func() { exchange(t, c, frames, replies) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
