//go:build faults

package faults

import (
	"path/filepath"
	"time"
)

func killCases() []fault {
	return []fault{{id: "kill", name: "kill -9 at random and at failpoints under load, 100 partitions", runs: 10, run: kills}}
}

// kills ends the node while all kinds of producers write to 100 partitions, again and again, by turns at a random moment and in a step that a failpoint names. Clients live on
// through it.
func kills(r *rig) {
	n := r.injectable(filepath.Join(r.dir, "data"), "log.flush.offset.checkpoint.interval.ms=500")
	n.mustStart()
	const perTopic = 10 // kills of one history
	for left := r.runs; left > 0; left -= perTopic {
		topic := r.name("killed")
		n.topic(topic, 100, "segment.bytes", "1048576")
		l := n.load(topic, 100, everyMode)
		for i := range min(left, perTopic) {
			r.must(l.waitAcked(200), "before the kill")
			if i%2 == 0 {
				elapse(r.between(10*time.Millisecond, 400*time.Millisecond))
			} else {
				n.killInStep(left - i)
			}
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
