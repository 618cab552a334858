//go:build faults

package faults

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

func folderCases() []fault {
	return []fault{{id: "C21", name: "the folder of another node, of another cluster, half a folder", run: foreignFolders}}
}

// foreignFolders starts nodes over folders that are not theirs: all refuse, say what is wrong, and touch nothing.
func foreignFolders(r *rig) {
	a := r.node(filepath.Join(r.dir, "a"), "node.id=1")
	a.mustStart()
	a.topic("mine", 3)
	a.bulk("mine", 3, 1<<20)
	a.stop()
	b := r.node(filepath.Join(r.dir, "b"), "node.id=2")
	b.mustStart()
	b.stop()

	asB := r.node(a.data, "node.id=2")
	asB.refuses("node 1's")
	r.edit(filepath.Join(a.data, "meta.properties"), "cluster.id=", "cluster.id=AAAAAAAAAAAAAAAAAAAAAQ")
	a.refuses("cluster")
	a.restore()
	r.must(os.Rename(filepath.Join(a.data, "quorum"), filepath.Join(r.dir, "quorum")), "take the quorum away")
	a.refuses("quorum")
	r.must(os.Rename(filepath.Join(r.dir, "quorum"), filepath.Join(a.data, "quorum")), "put it back")
	r.must(os.Rename(filepath.Join(a.data, "meta.properties"), filepath.Join(r.dir, "meta.properties")), "take meta.properties away")
	a.refuses("meta.properties")
	r.must(os.Rename(filepath.Join(r.dir, "meta.properties"), filepath.Join(a.data, "meta.properties")), "put it back")
	a.mustStart()
	if end, err := a.end("mine", 0); err != nil || end == 0 {
		r.Errorf("after it was refused, the folder of its own node: end %d, %v", end, err)
	}
	a.stop()
}

// refuses demands that a start fails, with a word of why in what it prints, and that no file has changed.
func (n *node) refuses(word string) {
	n.rig.Helper()
	n.rig.outcome.Faults++
	before := n.folder()
	err := n.start()
	if err == nil {
		n.kill()
		n.rig.Fatalf("a node has started over a folder that is not its own; wanted a word about %q", word)
	}
	if !strings.Contains(err.Error(), word) {
		n.rig.Errorf("the refusal does not say %q: %v", word, err)
	}
	if !maps.Equal(before, n.folder()) {
		n.rig.Errorf("a start that was refused (%s) has changed the folder", word)
	}
}

// edit replaces the line of a property file that begins with a prefix; the original is kept beside the folder for restore.
func (r *rig) edit(file, prefix, line string) {
	r.Helper()
	b, err := os.ReadFile(file)
	r.must(err, "edit")
	r.must(os.WriteFile(filepath.Join(r.dir, "original"), b, 0o644), "edit")
	var out bytes.Buffer
	for l := range strings.Lines(string(b)) {
		if strings.HasPrefix(l, prefix) {
			l = line + "\n"
		}
		out.WriteString(l)
	}
	r.must(os.WriteFile(file, out.Bytes(), 0o644), "edit")
}

// restore puts back the meta.properties that edit has changed.
func (n *node) restore() {
	n.rig.Helper()
	n.rig.must(os.Rename(filepath.Join(n.rig.dir, "original"), filepath.Join(n.data, "meta.properties")), "restore")
}
