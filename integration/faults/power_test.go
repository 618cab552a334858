//go:build faults

package faults

import (
	"path/filepath"
	"time"

	"ottla/integration/faults/history"
)

func powerCases() []fault {
	return []fault{
		{id: "power", name: "power cut under load, durable topics", needs: []need{loops}, runs: 6, run: powerCuts},
		{id: "memory", name: "power cut under load, ottla.durability=memory", needs: []need{loops}, runs: 4, run: memoryCuts},
	}
}

// powerCuts cuts the power while producers with acks=all write. Clients live on through it.
func powerCuts(r *rig) {
	v := r.volume(1024)
	n := r.started(filepath.Join(v.dir, "data"))
	const perTopic = 5
	for left := r.runs; left > 0; left -= perTopic {
		topic := r.name("cut")
		n.topic(topic, 100, "segment.bytes", "1048576")
		l := n.load(topic, 100, durableModes)
		for i := range min(left, perTopic) {
			r.writeback(writebacks[i%len(writebacks)])
			r.must(l.waitAcked(200), "before the cut")
			elapse(r.between(10*time.Millisecond, 800*time.Millisecond))
			v.powerCut(n)
			n.mustStart()
			r.outcome.Faults++
			r.slowest("slowest_ready_ms", n.readyIn)
		}
		r.must(l.waitAcked(200), "after the last cut")
		l.halt()
		r.judge(l.history())
		n.deleteTopic(topic)
	}
	n.stop()
	n.verify()
}

// memoryCuts cuts the power once per topic: what was acknowledged from the page cache may be lost, but from the end only, and the node must say so.
func memoryCuts(r *rig) {
	v := r.volume(1024)
	n := r.started(filepath.Join(v.dir, "data"))
	for i := range r.runs {
		topic := r.name("memory")
		n.topic(topic, 20, "ottla.durability", "memory", "segment.bytes", "1048576")
		l := n.load(topic, 20, []mode{{acks: -1}, {acks: 1}, {acks: -1}})
		r.writeback(writebacks[i%len(writebacks)])
		r.must(l.waitAcked(500), "before the cut")
		elapse(r.between(10*time.Millisecond, 4*time.Second))
		v.cut()
		n.kill()
		l.halt()
		v.unmount()
		v.mount()
		n.newBoot()
		n.mustStart()
		r.outcome.Faults++
		h := l.history()
		verdict, lost := history.Suffix(h)
		r.hear(verdict)
		r.outcome.Counts.Add(h.Counts())
		r.outcome.Figures["lost"] += float64(lost)
		if lost > 0 && !n.reportsLoss(topic) {
			r.Errorf("unreported: %d acknowledged records of %s are lost, and neither the log nor the metrics say that any may be\n%s", lost, topic, n.tail())
		}
		n.deleteTopic(topic)
	}
	n.stop()
	n.verify()
}

// reportsLoss tells whether the node has said that records of the topic may be lost: a warning that names it.
func (n *node) reportsLoss(topic string) bool { return n.logged("level=WARN", topic) }
