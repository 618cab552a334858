//go:build faults

package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func deviceCases() []fault {
	return []fault{
		{id: "C05", name: "EIO on fsync, then power cut", needs: []need{loops, injection}, runs: 1, run: failingDisk("eio", "sync")},
		{id: "C06", name: "EIO on write; a full disk on write; a short write", needs: []need{loops, injection}, runs: 1, run: failingWrites},
		{id: "C08", name: "slow disk: 500 ms for every sync", needs: []need{loops, injection}, run: slowDisk},
		{id: "C09", name: "stalled disk: frozen until the node says that it is not ready", needs: []need{loops, tool("fsfreeze")}, run: stalledDisk},
		{id: "C25", name: "the file system turns read-only after an error", needs: []need{loops, tool("e2fsck")}, runs: 1, run: readOnlyDisk},
	}
}

// failingDisk has operations of a kind fail under load. The node must end, with an exit code that says so; and nothing that it has acknowledged, before or after the error, may be
// missing when the power is cut then.
func failingDisk(action, kind string) func(r *rig) {
	return func(r *rig) {
		for range r.runs {
			v := r.volume(512)
			n := r.injectable(filepath.Join(v.dir, "data"))
			n.mustStart()
			n.topic("failing", 20)
			l := n.load("failing", 20, durableModes)
			r.must(l.waitAcked(500), "before the fault")
			heal := n.inject(action, kind)
			n.mustFail()
			heal()
			v.powerCut(n)
			n.mustStart()
			r.must(l.waitAcked(200), "after the fault")
			l.halt()
			r.judge(l.history())
			n.stop()
			n.verify()
		}
	}
}

// failingWrites has writes fail in three ways. After an error of the device the node ends; want of room is survived; a torn write may be either, and the log goes on after it.
func failingWrites(r *rig) {
	failingDisk("eio", "write")(r)
	actions := []string{"enospc"}
	if failpoints() == "" {
		actions = append(actions, "short")
	} else {
		r.Log("short writes need failpoints, and this source has none")
	}
	for _, action := range actions {
		n := r.injectable(filepath.Join(r.dir, r.name("data")))
		n.mustStart()
		n.topic("failing", 20)
		l := n.load("failing", 20, everyMode)
		r.must(l.waitAcked(500), "before the fault")
		heal := n.inject(action, "write")
		elapse(time.Second)
		heal()
		if action == "enospc" && !n.running() {
			r.Errorf("%s: the node ended\n%s", action, n.tail())
		}
		if !n.running() {
			n.mustFail()
			n.mustStart()
		}
		r.must(l.waitAcked(200), "after %s", action)
		n.kill()
		n.mustStart()
		l.halt()
		r.judge(l.history())
		n.stop()
		n.verify()
	}
}

// slowDisk makes every sync slow. The node stays, and acknowledges late.
func slowDisk(r *rig) {
	v := r.volume(512)
	n := r.injectable(filepath.Join(v.dir, "data"))
	n.mustStart()
	n.topic("slow", 20)
	l := n.load("slow", 20, everyMode)
	r.must(l.waitAcked(500), "before the fault")
	heal := n.inject("delay=500ms", "sync")
	for range 6 {
		r.must(l.waitAcked(1), "while the disk is slow")
		elapse(500 * time.Millisecond)
		if !n.running() {
			r.Fatalf("the node ended\n%s", n.tail())
		}
	}
	heal()
	r.must(l.waitAcked(500), "after the fault")
	l.halt()
	h := l.history()
	for _, op := range h.Ops {
		if op.Done > 0 {
			r.slowest("slowest_ack_ms", time.Duration(op.Done-op.Invoke))
		}
	}
	r.judge(h)
	n.stop()
}

// stalledDisk freezes the disk until the node reports it, but for no longer than FAULTS_STALL (30 s without it). When the disk is back, everything goes on.
func stalledDisk(r *rig) {
	stall := 30 * time.Second
	if s := os.Getenv("FAULTS_STALL"); s != "" {
		var err error
		stall, err = time.ParseDuration(s)
		r.must(err, "FAULTS_STALL")
	}
	v := r.volume(512)
	n := r.started(filepath.Join(v.dir, "data"))
	n.topic("stalled", 20)
	l := n.load("stalled", 20, everyMode)
	r.must(l.waitAcked(500), "before the fault")
	v.freeze()
	r.outcome.Faults++
	began := time.Now()
	reported := func() bool {
		code, _, err := n.ask(http.MethodGet, "/readyz", "")
		return err == nil && code == http.StatusServiceUnavailable
	}
	for !reported() && time.Since(began) < stall {
		elapse(50 * time.Millisecond)
	}
	r.slowest("not_ready_after_ms", time.Since(began))
	if !reported() {
		r.Errorf("watchdog: /readyz says nothing of a disk that has stalled for %v", stall)
	}
	v.thaw()
	r.must(poll("ready again", n.ready), "after the stall")
	r.must(l.waitAcked(500), "after the stall")
	n.kill()
	n.mustStart()
	l.halt()
	r.judge(l.history())
	n.stop()
}

// readOnlyDisk makes ext4 meet an error, after which it refuses every write: a broken disk, as far as the node can tell.
func readOnlyDisk(r *rig) {
	for range r.runs {
		v := r.volume(512)
		n := r.started(filepath.Join(v.dir, "data"))
		n.topic("fixed", 20)
		l := n.load("fixed", 20, durableModes)
		r.must(l.waitAcked(500), "before the fault")
		r.must(os.WriteFile("/sys/fs/ext4/"+v.device()+"/trigger_fs_error", []byte("faults"), 0o200), "make an error")
		r.outcome.Faults++
		n.mustFail()
		v.unmount()
		_, _ = shell("e2fsck", "-fp", v.image) // 1 is what it gives for a repair; the mount shows whether it was one
		v.mount()
		n.newBoot()
		n.mustStart()
		r.must(l.waitAcked(200), "after the fault")
		l.halt()
		r.judge(l.history())
		n.stop()
		n.verify()
	}
}
