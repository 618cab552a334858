//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ottla/integration/faults/history"
	"ottla/log/batch"
)

func fileCases() []fault {
	return []fault{
		{id: "C17", name: "indexes damaged, empty, missing, too long, out of date", run: damagedIndexes},
		{id: "C18", name: "producer snapshots and epoch checkpoints damaged, missing, out of date", run: damagedSnapshots},
		{id: "C19", name: "segments deleted and truncated under a running node", run: lostSegments},
		{id: "C26", name: "the metadata log and its snapshot torn and flipped", needs: []need{mounts}, run: damagedMetadata},
	}
}

// mangling is a way to damage a small file.
type mangling struct {
	name string
	do   func(r *rig, file string) error
}

var manglings = []mangling{
	{"missing", func(_ *rig, file string) error { return os.Remove(file) }},
	{"empty", func(_ *rig, file string) error { return os.Truncate(file, 0) }},
	{"cut", func(_ *rig, file string) error { return resize(file, func(n int64) int64 { return n - 3 }) }},
	{"half", func(_ *rig, file string) error { return resize(file, func(n int64) int64 { return n / 2 }) }},
	{"too long", func(_ *rig, file string) error { return resize(file, func(n int64) int64 { return n + 4096 }) }},
	{"noise", func(r *rig, file string) error {
		return rewrite(file, func([]byte) byte { return byte(r.rnd.Uint32()) })
	}},
	{"zeros", func(_ *rig, file string) error { return rewrite(file, func([]byte) byte { return 0 }) }},
	{"a bit", func(r *rig, file string) error {
		b, err := os.ReadFile(file)
		if err != nil || len(b) == 0 {
			return err
		}
		b[r.rnd.IntN(len(b))] ^= 1 << r.rnd.IntN(8)
		return os.WriteFile(file, b, 0o644)
	}},
}

func resize(file string, to func(int64) int64) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return os.Truncate(file, max(0, to(info.Size())))
}

func rewrite(file string, with func([]byte) byte) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i := range b {
		b[i] = with(b)
	}
	return os.WriteFile(file, b, 0o644)
}

// down ends the node, in order or as a crash, by turns.
func (n *node) down(crash bool) {
	n.rig.Helper()
	if crash {
		n.kill()
	} else {
		n.stop()
	}
}

// copies reads files for later.
func (r *rig) copies(files []string) map[string][]byte {
	r.Helper()
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		r.must(err, "copy")
		out[f] = b
	}
	return out
}

// damagedIndexes asks a log of several segments for offsets by time and records by offset, before and after each way to damage its indexes: the answers are the same.
func damagedIndexes(r *rig) {
	n := r.started(filepath.Join(r.dir, "data"))
	const records = 400
	n.topic("indexed", 1, "segment.bytes", "1048576", "index.interval.bytes", "1000")
	first := time.Now().Add(-time.Hour).UnixMilli()
	for i := range records {
		b := batch.NewBuilder()
		b.Add(first+int64(i)*1000, nil, history.Value{Topic: "indexed", ID: history.ID{Seq: uint64(i)}}.Append(nil, 10_000))
		_, err := n.produce("indexed", 0, b.Build(nil))
		r.must(err, "produce")
	}
	want := n.answers("indexed", records, first)
	n.stop()
	sound := r.copies(n.indexes())
	n.mustStart()
	for _, m := range manglings {
		for _, crash := range []bool{false, true} {
			n.down(crash)
			r.putBack(sound)
			for f := range sound {
				r.must(m.do(r, f), "%s", m.name)
				r.outcome.Faults++
			}
			n.mustStart()
			if got := n.answers("indexed", records, first); !slices.Equal(got, want) {
				at := slices.IndexFunc(got, func(s string) bool { return !slices.Contains(want, s) })
				r.Errorf("index: %s (crash %v): %d answers differ, such as %s", m.name, crash, difference(got, want), got[max(0, at)])
			}
		}
	}
	n.stop()
	n.verify()
}

// putBack writes files as they were.
func (r *rig) putBack(files map[string][]byte) {
	r.Helper()
	for f, b := range files {
		r.must(os.WriteFile(f, b, 0o644), "put back")
	}
}

func difference(a, b []string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// indexes are all index files of the topic, as they are now.
func (n *node) indexes() []string {
	return append(n.rig.files(n.data, "indexed-0", "*.index"), n.rig.files(n.data, "indexed-0", "*.timeindex")...)
}

// answers is what the node says of every tenth offset and the times around it.
func (n *node) answers(topic string, records int, first int64) (out []string) {
	n.rig.Helper()
	c, err := n.raw()
	n.rig.must(err, "dial")
	for i := 0; i < records; i += 10 {
		offset, err := c.offsetAt(topic, 0, first+int64(i)*1000-500)
		out = append(out, fmt.Sprintf("time %d: %d, %v", i, offset, err))
		b, err := c.fetch(topic, 0, int64(i))
		var h batch.Header
		if err == nil {
			err = batch.ParseHeader(b, &h)
		}
		out = append(out, fmt.Sprintf("offset %d: %d, %v", i, h.BaseOffset, err))
	}
	return out
}
