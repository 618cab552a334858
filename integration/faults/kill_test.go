//go:build faults

package faults

import (
	"path/filepath"
	"time"
)

func killCases() []fault {
	return []fault{{id: "kill", name: "kill -9 at random under load, 100 partitions", runs: 10, run: killAtRandom}}
}

// killAtRandom kills the node while all kinds of producers write to 100 partitions, again and again. Clients live on through it.
func killAtRandom(r *rig) {
	n := r.started(filepath.Join(r.dir, "data"))
	const perTopic = 10 // kills of one history
	for left := r.runs; left > 0; left -= perTopic {
		topic := r.name("killed")
		n.topic(topic, 100, "segment.bytes", "1048576")
		l := n.load(topic, 100, everyMode)
		for range min(left, perTopic) {
			r.must(l.waitAcked(200), "before the kill")
			elapse(r.between(10*time.Millisecond, 400*time.Millisecond))
			n.kill()
			n.mustStart()
			r.outcome.Faults++
			r.slowest("slowest_ready_ms", n.readyIn)
		}
		r.must(l.waitAcked(200), "after the last kill")
		l.halt()
		r.judge(l.history())
		n.deleteTopic(topic)
	}
	n.stop()
	n.verify()
}

// slowest keeps the largest of what was measured, in milliseconds.
func (r *rig) slowest(figure string, d time.Duration) {
	r.outcome.Figures[figure] = max(r.outcome.Figures[figure], float64(d.Milliseconds()))
}
