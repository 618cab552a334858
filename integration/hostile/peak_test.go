package hostile

import (
	"runtime/metrics"
	"sync"
	"time"
)

// peak watches how large the heap of this process gets.
type peak struct{ most uint64 }

const lookEvery = 5 * time.Millisecond

// watch begins; the function that it returns ends it.
func (p *peak) watch() (stop func()) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			p.most = max(p.most, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// heap is the most bytes of objects seen, dead ones that were not yet swept among them. Only after stop.
func (p *peak) heap() uint64 { return p.most }
