//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// damagedMetadata damages the quorum's files below what was acknowledged. With no other node to fetch it from, the node must refuse to start, with a word about why, and touch
// neither records nor votes; with the file put back it starts as if nothing had been. What a power cut leaves behind the end is cut off, and nothing else with it.
func damagedMetadata(r *rig) {
	n := r.started(filepath.Join(r.dir, "data"))
	for i := range 20 {
		n.topic(fmt.Sprintf("kept-%d", i), 1)
	}
	n.kill()
	for _, pattern := range [][]string{{"__cluster_metadata-0", "*.log"}, {"quorum", "*"}} {
		for _, file := range r.files(append([]string{n.data}, pattern...)...) {
			info, err := os.Stat(file)
			r.must(err, "metadata")
			if info.Size() == 0 || info.IsDir() {
				continue
			}
			for _, at := range []int64{info.Size() / 4, info.Size() / 2} {
				n.refusesOrKeeps(file, func() { r.flip(file, at, 0x10) })
			}
			n.refusesOrKeeps(file, func() { r.must(os.Truncate(file, info.Size()/2), "truncate"); r.outcome.Faults++ })
		}
	}
	log := slices.Max(r.files(n.data, "__cluster_metadata-0", "*.log"))
	f, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
	r.must(err, "metadata")
	_, err = f.Write(make([]byte, 1000))
	r.must(err, "garbage")
	r.must(f.Close(), "garbage")
	r.outcome.Faults++
	n.newBoot() // a killed process does not leave this
	n.mustStart()
	n.keeps("garbage behind the end of the metadata log")
	n.stop()
}

// refusesOrKeeps damages a file and starts the node: either it refuses and leaves records and votes as they are, or the damage meant nothing and every topic is there. The folder is put back.
func (n *node) refusesOrKeeps(file string, damage func()) {
	n.rig.Helper()
	r := n.rig
	before := n.folder()
	damage()
	damaged := n.folder()
	name, err := filepath.Rel(n.data, file)
	r.must(err, "name")
	if err := n.start(); err == nil {
		n.keeps("damage in " + name)
		n.kill()
	} else {
		n.alive()
		for changed, content := range n.folder() {
			if content != damaged[changed] && (strings.HasSuffix(changed, ".log") || filepath.Dir(changed) == "quorum") {
				r.Errorf("%s: a start that was refused has changed %s", name, changed)
			}
		}
		r.outcome.Figures["refused"]++
	}
	r.must(os.RemoveAll(n.data), "put back")
	for name, content := range before {
		path := filepath.Join(n.data, name)
		r.must(os.MkdirAll(filepath.Dir(path), 0o755), "put back")
		r.must(os.WriteFile(path, []byte(content), 0o644), "put back")
	}
}

// folder is every file of the node with its content.
func (n *node) folder() map[string]string {
	n.rig.Helper()
	out := map[string]string{}
	n.rig.must(filepath.WalkDir(n.data, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(n.data, path)
		out[name] = string(b)
		return err
	}), "read the folder")
	return out
}

// keeps demands that all twenty topics are there.
func (n *node) keeps(when string) {
	n.rig.Helper()
	cl := n.client()
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	topics, err := kadm.NewClient(cl).ListTopics(ctx)
	n.rig.must(err, "list topics")
	if kept := len(topics.Names()); kept != 20 {
		n.rig.Errorf("lost: after %s the node has started with %d of 20 topics", when, kept)
	}
}
