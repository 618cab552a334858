//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func stepCases() []fault {
	return []fault{
		{id: "C22", name: "killed in the middle of a step: create, rename, sync, remove, write", needs: []need{loops, injection}, runs: 12, run: killedInSteps},
		{id: "C23", name: "killed while a torn log is cut", needs: []need{injection}, run: killedInCuts},
	}
}

// steps are the operations in the middle of which a node is killed; each is one failpoint, or what strace can do about it.
var steps = []struct{ action, kind, glob string }{
	{"kill", "create", "*.log"}, {"killafter", "create", "*.log"}, {"killafter", "create", "*.index"}, {"killafter", "create", "*.timeindex"},
	{"kill", "write", "*.log"}, {"tear", "write", "*.log"}, {"killafter", "write", "*.log"},
	{"kill", "sync", "*.log"}, {"killafter", "sync", "*.log"}, {"kill", "sync", "*.index"}, {"killafter", "sync", "*.snapshot"},
	{"kill", "dirsync", "*"}, {"killafter", "dirsync", "*"}, {"killafter", "mkdir", "*"},
	{"kill", "rename", "*"}, {"killafter", "rename", "*"}, {"killafter", "rename", "*checkpoint*"},
	{"tear", "write", "__cluster_metadata-0/*.log"}, {"killafter", "write", "__cluster_metadata-0/*.log"}, {"tear", "write", "quorum/*"},
	{"kill", "remove", "*"}, {"killafter", "remove", "*"}, {"tear", "write", "ottla.folders"}, {"kill", "truncate", "*"}, {"killafter", "truncate", "*"},
}

// killedInSteps has the node kill itself in a step, under a load that rolls segments and makes and deletes topics; every other time the power goes with it.
func killedInSteps(r *rig) {
	v := r.volume(1024)
	n := r.injectable(filepath.Join(v.dir, "data"), "log.segment.delete.delay.ms=200", "log.flush.offset.checkpoint.interval.ms=500")
	n.mustStart()
	n.topic("stepped", 10, "segment.bytes", "1048576")
	l := n.load("stepped", 10, durableModes)
	for i := range r.runs {
		r.must(l.waitAcked(100), "before the kill")
		n.killInStep(i)
		if i%2 == 1 {
			v.powerCut(n)
		} else {
			n.kill()
		}
		if i%3 == 2 {
			n.killedInStart()
		}
		n.mustStart()
		r.outcome.Faults++
	}
	r.must(l.waitAcked(100), "after the last kill")
	l.halt()
	r.judge(l.history())
	n.stop()
	n.verify()
}

// killInStep has the node kill itself in a step, while topics come and go beside the load; it runs on if the step does not come about.
func (n *node) killInStep(i int) {
	n.rig.Helper()
	churn := n.churn()
	step := n.rig.killIn(n, i)
	select {
	case <-n.exited:
		n.rig.outcome.Figures["killed_in_step"]++
	case <-time.After(3 * time.Second):
		n.rig.Logf("%s did not happen", step)
	}
	churn()
}

// killedInStart starts the node, to be killed somewhere on the way, and kills it if it comes through. Without failpoints it is left to the others.
func (n *node) killedInStart() {
	if n.tag != "failpoint" {
		return
	}
	n.env = []string{fmt.Sprintf("OTTLA_FAILPOINT=killafter:*:*:%%0.02@%d", n.rig.rnd.Uint32())}
	_ = n.start() // as far as it comes
	n.kill()
	n.env = nil
}

// killIn arms the running node: with a failpoint, else strace kills it in one of the calls that it can name.
func (r *rig) killIn(n *node, i int) string {
	if n.tag == "failpoint" {
		s := steps[(i+r.rnd.IntN(len(steps)))%len(steps)]
		spec := fmt.Sprintf("%s:%s:%s:%d", s.action, s.kind, s.glob, 1+r.rnd.IntN(5))
		n.setFailpoints(spec)
		return spec
	}
	kinds := []string{"rename", "remove", "sync", "write"}
	kind := kinds[i%len(kinds)]
	n.trace(fmt.Sprintf("--inject=%s:signal=KILL:when=%d+", calls[kind], 1+r.rnd.IntN(5)))
	return kind
}

// churn makes and deletes topics, and fills one whose segments roll, until the end that it gives back is called.
func (n *node) churn() (end func()) {
	rolling := n.bulkInBackground(n.rig.name("churn"), 2)
	stop, done := make(chan struct{}), make(chan struct{})
	gone := n.rig.name("gone")
	go func() {
		defer close(done)
		for i := 0; n.running(); i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			n.makeAndDelete(fmt.Sprintf("%s-%d", gone, i))
		}
	}()
	return func() {
		close(stop)
		<-done
		rolling()
	}
}

// makeAndDelete has a topic come and go; what is not answered does not matter.
func (n *node) makeAndDelete(topic string) {
	c, err := dialRaw(n.kafka)
	if err != nil {
		return
	}
	defer c.close()
	if c.create(topic, 2) == nil {
		_, _ = c.produce(topic, 0, plainBatch("gone"))
		_ = c.delete(topic)
	}
}

// killedInCuts leaves torn tails and kills the node while recovery cuts them off; then again; the third start must find what the first would have.
func killedInCuts(r *rig) {
	n := r.injectable(filepath.Join(r.dir, "data"))
	n.mustStart()
	s := n.shelf(10, 3)
	n.kill()
	for p := range s.parts {
		file, following := s.stored(p)
		s.write(p, append(file, following[:20+int(p)*8]...))
	}
	for _, action := range []string{"kill", "killafter"} {
		if n.tag == "failpoint" {
			n.env = []string{"OTTLA_FAILPOINT=" + action + ":truncate:" + "*.log:2"}
		} else {
			n.wrapper = []string{"strace", "-f", "-q", "-o", os.DevNull, "--kill-on-exit", "--inject=ftruncate:signal=KILL:when=2+"}
		}
		r.must(n.launch(), "start")
		// Logs are read at first use.
		for end := time.Now().Add(20 * time.Second); n.running() && time.Now().Before(end); elapse(20 * time.Millisecond) {
			if n.ready() {
				n.touch(s)
			}
		}
		if n.running() {
			r.Errorf("no log was cut: the node was to be killed in that\n%s", n.tail())
		}
		n.kill()
	}
	n.env, n.wrapper = nil, nil
	n.mustStart()
	s.checkAll("after the cuts")
	s.putAll("after the cuts")
	n.kill()
	n.mustStart()
	s.checkAll("after another crash")
	n.stop()
	n.verify()
}

// touch has every log of a shelf loaded, as far as the node lives to do it.
func (n *node) touch(s *shelf) {
	for p := range s.parts {
		if _, err := n.fetch(s.topic, p, 0); err != nil && !strings.Contains(err.Error(), "EOF") {
			return
		}
	}
}
