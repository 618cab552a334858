package segment

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// tapped calls before ahead of every change of names.
type tapped struct {
	*vfs.Mem
	before func()
}

func (f *tapped) tap() {
	if f.before != nil {
		f.before()
	}
}
func (f *tapped) Create(name string) (vfs.File, error) { f.tap(); return f.Mem.Create(name) }
func (f *tapped) Rename(from, to string) error         { f.tap(); return f.Mem.Rename(from, to) }
func (f *tapped) Remove(name string) error             { f.tap(); return f.Mem.Remove(name) }
func (f *tapped) SyncDir(dir string) error             { f.tap(); return f.Mem.SyncDir(dir) }

// sealed makes a durable segment of n batches from base on.
func sealed(t *testing.T, files *Files, base protocol.Offset, n int) *Segment {
	t.Helper()
	s, err := Create(files, "p", base, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b := single(base + protocol.Offset(i))
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		var h batch.Header
		if err := batch.ParseHeader(b, &h); err != nil {
			t.Fatal(err)
		}
		s.Added(&h, 0)
	}
	if err := s.Seal(0); err != nil {
		t.Fatal(err)
	}
	h := s.TakeDirty()
	if err := h.SyncData(); err != nil {
		t.Fatal(err)
	}
	h.Release()
	if err := s.SyncIndexes(); err != nil {
		t.Fatal(err)
	}
	return s
}

func single(at protocol.Offset) []byte {
	b := batch.NewBuilder()
	b.BaseOffset = at
	b.Add(int64(at), []byte("k"), []byte("value"))
	return b.Build(nil)
}

// rowOf is the batches of the folder's segments, as a start finds them.
func rowOf(t *testing.T, fsys vfs.FS) string {
	t.Helper()
	files := NewFiles(fsys, 10)
	entries, err := fsys.ReadDir("p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FinishSwaps(files, "p", entries); err != nil {
		t.Fatal(err)
	}
	if entries, err = fsys.ReadDir("p"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		base, suffix, ok := ParseName(e.Name())
		if Leftover(e.Name()) || !ok || suffix != LogSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		s := Found(files, "p", base, info.Size(), 0)
		fmt.Fprintf(&out, "[%d:", base)
		h, err := s.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		for at := base; at < base+20; at++ {
			if p, ok, err := s.Find(h, at, 0, s.Size()); err != nil {
				t.Fatal(err)
			} else if ok {
				fmt.Fprintf(&out, " %d", p)
			}
		}
		h.Release()
		out.WriteString("]")
	}
	return out.String()
}

// After a power cut anywhere in a swap there are the old segments or the new one.
func TestSwapIsOldOrNew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fsys := &tapped{Mem: vfs.NewMem()}
	if err := fsys.MkdirAll("p"); err != nil {
		t.Fatal(err)
	}
	files := NewFiles(fsys, 10)
	old := []*Segment{sealed(t, files, 0, 4), sealed(t, files, 4, 3), sealed(t, files, 7, 5)}
	next := sealed(t, files, 12, 1)
	if err := fsys.SyncDir("p"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	before := rowOf(t, fsys)
	crashes := map[string]int{}
	var clones []*vfs.Mem
	fsys.before = func() {
		for i := range 60 {
			clones = append(clones, fsys.CrashClone(rng, []float64{0, 1, 0.5, 0.8}[i%4]))
		}
	}
	d, err := NewDraft(files, "p", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []protocol.Offset{2, 5, 11} {
		if err := d.Add(single(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	pinned, err := old[1].Acquire()
	if err != nil {
		t.Fatal(err)
	}
	merged, renamed, committed, err := d.Replace(old, 0)
	if err != nil || !committed || len(renamed) != 8 {
		t.Fatalf("%v, %v, %v", renamed, committed, err)
	}
	for _, s := range old { // readers that have the old list still find everything
		if p, ok, err := find(s, s.Base()+1); err != nil || !ok || p == 0 {
			t.Fatalf("old segment %d: %d, %v, %v", s.Base(), p, ok, err)
		}
		s.Close()
	}
	if _, err := pinned.ReadAt(make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	pinned.Release()
	fsys.before()
	fsys.before = nil
	after := rowOf(t, fsys)
	if end, err := merged.NextOffset(); err != nil || end != next.Base() || after == before {
		t.Fatalf("ends at %d, %v: %s", end, err, after)
	}
	for i, c := range clones {
		row := rowOf(t, c)
		if row != before && row != after {
			t.Fatalf("crash %d: %s\nwant %s\nor   %s", i, row, before, after)
		}
		if again := rowOf(t, c); again != row {
			t.Fatalf("the second start found %s, the first %s", again, row)
		}
		crashes[row]++
	}
	t.Log(crashes)
	if len(crashes) != 2 {
		t.Error("only one of both was seen")
	}
}

func find(s *Segment, o protocol.Offset) (int64, bool, error) {
	h, err := s.Acquire()
	if err != nil {
		return 0, false, err
	}
	defer h.Release()
	return s.Find(h, o, 0, s.Size())
}

// A swap file that is not whole replaces nothing.
func TestDamagedSwapIsLeftAlone(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("p"); err != nil {
		t.Fatal(err)
	}
	files := NewFiles(fsys, 10)
	sealed(t, files, 0, 3)
	b := append(single(0), single(2)...)
	b[len(b)-1] ^= 1
	f, err := fsys.Create(path.Join("p", Name(0, LogSuffix)+swapSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	before, _ := fsys.ReadDir("p")
	if _, err := FinishSwaps(files, "p", before); err == nil {
		t.Fatal("a damaged swap file was taken")
	}
	if after, _ := fsys.ReadDir("p"); len(after) != len(before) {
		t.Fatalf("%v became %v", before, after)
	}
}
