//go:build faults

package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"ottla/protocol/config"
)

func roomCases() []fault {
	return []fault{
		{id: "C01", name: "the disk fills up under load, and has room again", needs: []need{loops}, runs: 1, run: fullDisk},
		{id: "full", name: "full to the last byte, kill -9, restart, delete a topic, go on", needs: []need{loops}, runs: 2, run: fullRestart},
		{id: "C04", name: "no inodes, then no descriptors, where segments roll", needs: []need{loops, tool("prlimit")}, run: noFiles},
	}
}

// smallDisk are the properties of a node on a small volume: the floor of free room, where the source knows one, is made as small as that.
func smallDisk() []string {
	set := []string{"log.segment.delete.delay.ms=500"}
	if config.Lookup(config.Broker, "ottla.disk.free.min.bytes") != nil {
		set = append(set, "ottla.disk.free.min.bytes=4194304")
	}
	return set
}

// stuck waits until nothing is acknowledged any more.
func (l *load) stuck() {
	l.rig.Helper()
	before := int64(-1)
	l.rig.must(poll("no acknowledgements", func() bool {
		now := l.acked.Load()
		same := now == before
		before = now
		elapse(300 * time.Millisecond)
		return same
	}), "the disk is full")
}

// fullDisk takes all room away under load: producers are refused, readers are not, the node lives; with room again, producers go on.
func fullDisk(r *rig) {
	for range r.runs {
		v := r.volume(256)
		n := r.started(filepath.Join(v.dir, "data"), smallDisk()...)
		n.topic("full", 20, "segment.bytes", "1048576")
		l := n.load("full", 20, everyMode)
		r.must(l.waitAcked(500), "before the fault")
		ballast := v.fill()
		r.outcome.Faults++
		l.stuck()
		if !n.running() {
			r.Fatalf("the node ended\n%s", n.tail())
		}
		if b, err := n.fetch("full", 0, 0); err != nil || len(b) == 0 {
			r.Errorf("a read from a full disk: %d bytes, %v", len(b), err)
		}
		r.must(os.Remove(ballast), "make room")
		began := time.Now()
		r.must(l.waitAcked(200), "with room again")
		r.slowest("back_ms", time.Since(began))
		n.kill()
		n.mustStart()
		r.must(l.waitAcked(200), "after a restart")
		l.halt()
		r.judge(l.history())
		n.stop()
		n.verify()
	}
}

// fullRestart fills the disk under load to the last byte and kills the node: it must start again on the full disk, delete a topic there, and go on in what that gives free.
func fullRestart(r *rig) {
	v := r.volume(256)
	n := r.started(filepath.Join(v.dir, "data"), smallDisk()...)
	for range r.runs {
		old, topic := r.name("old"), r.name("full")
		n.topic(old, 2, "file.delete.delay.ms", "0")
		n.bulk(old, 2, 40<<20)
		n.topic(topic, 20, "segment.bytes", "1048576")
		l := n.load(topic, 20, everyMode)
		r.must(l.waitAcked(300), "before the fault")
		ballast := v.fill()
		r.outcome.Faults++
		l.stuck()
		n.kill()
		if err := topUp(ballast); err != nil {
			r.Errorf("fill what the kill has set free: %v", err)
		}
		n.mustStart()
		n.deleteTopic(old)
		began := time.Now()
		r.must(l.waitAcked(200), "after a topic was deleted")
		r.slowest("back_ms", time.Since(began))
		l.halt()
		r.judge(l.history())
		n.deleteTopic(topic)
		r.must(os.Remove(ballast), "make room")
	}
	n.stop()
	n.verify()
}

// topUp makes the file larger by what room there is.
func topUp(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if closed := f.Close(); !errors.Is(err, syscall.ENOSPC) {
		return err
	} else if closed != nil && !errors.Is(closed, syscall.ENOSPC) {
		return closed
	}
	return nil
}

// noFiles takes the means to make files away while segments roll: first inodes, then descriptors. Nothing half-made may be left that a restart stumbles over.
func noFiles(r *rig) {
	v := r.volume(256, "-N", "600")
	n := r.started(filepath.Join(v.dir, "data"), smallDisk()...)
	n.topic("files", 4, "segment.bytes", "1048576")
	l := n.load("files", 4, everyMode)
	r.must(l.waitAcked(300), "before the fault")
	fillers := v.noInodes()
	r.outcome.Faults++
	rolling := n.bulkInBackground("files-too", 2)
	elapse(2 * time.Second)
	if !n.running() {
		r.Fatalf("no inodes: the node ended\n%s", n.tail())
	}
	r.must(os.RemoveAll(fillers), "free inodes")
	rolling()
	r.must(l.waitAcked(200), "with inodes again")
	n.kill()
	n.mustStart()

	open := len(r.files("/proc", n.pid(), "fd", "*"))
	n.limitFiles(open + 1)
	r.outcome.Faults++
	rolling = n.bulkInBackground("files-three", 2)
	elapse(2 * time.Second)
	if !n.running() {
		r.Fatalf("no descriptors: the node ended\n%s", n.tail())
	}
	n.limitFiles(10_000)
	rolling()
	r.must(l.waitAcked(200), "with descriptors again")
	n.kill()
	n.mustStart()
	l.halt()
	r.judge(l.history())
	n.stop()
	n.verify()
}

// noInodes makes empty files in a folder until the volume takes no more.
func (v *volume) noInodes() (folder string) {
	v.rig.Helper()
	folder = filepath.Join(v.dir, "fillers")
	v.rig.must(os.Mkdir(folder, 0o755), "fillers")
	for i := 0; ; i++ {
		f, err := os.Create(filepath.Join(folder, strconv.Itoa(i)))
		if errors.Is(err, syscall.ENOSPC) {
			return folder
		}
		v.rig.must(err, "fillers")
		v.rig.must(f.Close(), "fillers")
	}
}

// limitFiles sets how many descriptors the running node may have.
func (n *node) limitFiles(count int) {
	n.rig.Helper()
	_, err := shell("prlimit", "--pid", n.pid(), "--nofile="+strconv.Itoa(count)+":")
	n.rig.must(err, "prlimit")
}
