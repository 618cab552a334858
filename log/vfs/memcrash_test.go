package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// tree is every file of a file system with its text, and every folder.
func tree(t *testing.T, fsys FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := fsys.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if e.IsDir() {
				out[name] = "/"
				walk(name)
			} else {
				out[name] = textOf(t, fsys, name)
			}
		}
	}
	walk("/")
	return out
}

func wantTree(t *testing.T, fsys FS, want map[string]string) {
	t.Helper()
	if got := tree(t, fsys); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after the power cut\n have %q\n want %q", got, want)
	}
}

func TestPowerCutKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/d"))
	must(t, m.SyncDir("/"))
	a := create(t, m, "/d/a", "aaaa")
	b := create(t, m, "/d/b", "bbbb")
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/"})
	must(t, m.SyncDir("/d"))
	must(t, a.SyncData())
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/", "/d/a": "aaaa", "/d/b": ""})
	_, err := a.WriteAt([]byte("AA"), 3)
	must(t, err)
	must(t, b.Truncate(2))
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/", "/d/a": "aaaa", "/d/b": ""})
	wantTree(t, m.CrashClone(nil, 1), map[string]string{"/d": "/", "/d/a": "aaaAA", "/d/b": "bb"})
	must(t, a.Truncate(1))
	must(t, a.Truncate(3))
	must(t, a.Sync())
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/", "/d/a": "a\x00\x00", "/d/b": ""})
}

func TestPowerCutAndNames(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/d"))
	must(t, m.MkdirAll("/e"))
	must(t, m.SyncDir("/"))
	for _, name := range []string{"/d/a", "/d/b", "/d/c"} {
		f := create(t, m, name, name)
		must(t, f.Sync())
		must(t, f.Close())
	}
	must(t, m.SyncDir("/d"))
	synced := tree(t, m)
	must(t, m.Remove("/d/a"))
	must(t, m.Rename("/d/b", "/d/c"))
	must(t, m.Rename("/d/c", "/e/c"))
	wantTree(t, m.CrashClone(nil, 0), synced)
	wantTree(t, m.CrashClone(nil, 1), map[string]string{"/d": "/", "/e": "/", "/e/c": "/d/b"})
	must(t, m.SyncDir("/e")) // settles the rename as a whole, and what it overtook, but not the removal
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/", "/d/a": "/d/a", "/d/b": "/d/b", "/e": "/", "/e/c": "/d/b"})
	must(t, m.SyncDir("/d"))
	wantTree(t, m.CrashClone(nil, 0), map[string]string{"/d": "/", "/e": "/", "/e/c": "/d/b"})
}

func TestRenameIsAtomicInAPowerCut(t *testing.T) {
	m := NewMem()
	must(t, create(t, m, "/a", "old").Sync())
	must(t, m.SyncDir("/"))
	must(t, create(t, m, "/a.tmp", "new").Sync())
	must(t, m.Rename("/a.tmp", "/a"))
	seen := map[string]bool{}
	for seed := range uint64(50) {
		got := tree(t, m.CrashClone(rand.New(rand.NewPCG(seed, 1)), 0.5))
		delete(got, "/a.tmp") // the new file may stand under its first name
		seen[fmt.Sprint(got)] = true
	}
	if len(seen) != 2 || !seen["map[/a:old]"] || !seen["map[/a:new]"] {
		t.Errorf("seen %v", seen)
	}
}

func TestPowerCutIsRepeatable(t *testing.T) {
	m := NewMem()
	rng := rand.New(rand.NewPCG(7, 7))
	var open []File
	for i := range 20 {
		f := create(t, m, fmt.Sprintf("/f%d", i), "")
		open = append(open, f)
	}
	for range 200 {
		_, err := open[rng.IntN(len(open))].WriteAt(bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(9000)), int64(rng.IntN(20_000)))
		must(t, err)
	}
	clone := func(seed uint64) string {
		return fmt.Sprint(tree(t, m.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.6)))
	}
	first := clone(1)
	if again := clone(1); again != first {
		t.Error("one seed gave two disks")
	}
	if clone(2) == first {
		t.Error("two seeds gave one disk")
	}
}

func TestTornWrite(t *testing.T) {
	m := NewMem()
	f := create(t, m, "/a", "")
	must(t, m.SyncDir("/"))
	whole := strings.Repeat("x", 4*pageSize)
	_, err := f.WriteAt([]byte(whole), 0)
	must(t, err)
	torn := 0
	for seed := range uint64(100) {
		got := tree(t, m.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.4))["/a"]
		if n := strings.Count(got, "x"); n%sectorSize != 0 {
			t.Fatalf("%d bytes survive: a sector was torn", n)
		} else if n != 0 && n != len(whole) {
			torn++
		}
	}
	if torn == 0 {
		t.Error("no write was torn")
	}
}

// TestSizeAheadOfData: a power cut may leave a file's new size without the bytes, which are zeros then; what was synced stays.
func TestSizeAheadOfData(t *testing.T) {
	m := NewMem()
	f := create(t, m, "/a", "old")
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	_, err := f.WriteAt([]byte("new"), 3)
	must(t, err)
	seen := map[string]bool{}
	for seed := range uint64(50) {
		seen[tree(t, m.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.5))["/a"]] = true
	}
	if len(seen) != 3 || !seen["old"] || !seen["oldnew"] || !seen["old\x00\x00\x00"] {
		t.Errorf("seen %v", seen)
	}
}

// TestMemAgainstModel drives one file with random operations and compares bytes now, and durable bytes after a strict power cut, with plain slices.
func TestMemAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m := NewMem()
		f := create(t, m, "/a", "")
		must(t, m.SyncDir("/"))
		var now, durable []byte
		for step := range 120 {
			off, n := rng.IntN(5*pageSize), rng.IntN(2*pageSize)
			switch rng.IntN(8) {
			case 0:
				must(t, f.Sync())
				durable = slices.Clone(now)
			case 1:
				must(t, f.Truncate(int64(off)))
				now = append(now[:min(off, len(now))], make([]byte, max(0, off-len(now)))...)
			case 2: // the disk goes on after a power cut, in a clone
				m = m.CrashClone(nil, 0)
				reopened, err := m.Open("/a")
				must(t, err)
				f, now = reopened, slices.Clone(durable)
			default:
				p := bytes.Repeat([]byte{byte(step + 1)}, n)
				_, err := f.WriteAt(p, int64(off))
				must(t, err)
				if n > 0 {
					now = append(now, make([]byte, max(0, off+n-len(now)))...)
					copy(now[off:], p)
				}
			}
			if got := text(t, f); got != string(now) {
				t.Fatalf("seed %d step %d: bytes differ", seed, step)
			}
			if got := textOf(t, m.CrashClone(nil, 0), "/a"); got != string(durable) {
				t.Fatalf("seed %d step %d: durable bytes differ", seed, step)
			}
			if got := textOf(t, m.CrashClone(nil, 1), "/a"); got != string(now) {
				t.Fatalf("seed %d step %d: bytes of a killed process differ", seed, step)
			}
		}
	}
}

func TestCloneIsApart(t *testing.T) {
	m := NewMem()
	f := create(t, m, "/a", "aaaa")
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	c := m.CrashClone(nil, 0)
	g, err := c.Open("/a")
	must(t, err)
	_, err = f.WriteAt([]byte("m"), 0)
	must(t, err)
	_, err = g.WriteAt([]byte("c"), 1)
	must(t, err)
	if text(t, f) != "maaa" || text(t, g) != "acaa" {
		t.Errorf("%q and %q", text(t, f), text(t, g))
	}
	if _, err := c.Lock("/a"); err != nil {
		t.Error(err)
	}
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(10 * pageSize)
	free := func() int64 {
		s, err := m.Space("/")
		must(t, err)
		return s.Free / pageSize
	}
	f := create(t, m, "/a", strings.Repeat("x", 6*pageSize))
	if free() != 4 {
		t.Fatalf("%d pages free", free())
	}
	_, err := f.WriteAt(make([]byte, 5*pageSize), 6*pageSize)
	wantErr(t, err, syscall.ENOSPC)
	must(t, f.Truncate(pageSize))
	if free() != 9 {
		t.Fatalf("%d pages free after a truncation", free())
	}
	must(t, m.Remove("/a"))
	if free() != 9 {
		t.Fatalf("%d pages free while the removed file is open", free())
	}
	must(t, f.Close())
	if free() != 10 {
		t.Fatalf("%d pages free in the end", free())
	}
}

// TestMemInBubble shows that Mem neither stalls virtual time nor misses it.
func TestMemInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMem()
		f := create(t, m, "/a", "a")
		done := make(chan error)
		go func() {
			time.Sleep(time.Hour)
			_, err := f.WriteAt([]byte("b"), 0)
			done <- errors.Join(err, f.Sync())
		}()
		start := time.Now()
		must(t, <-done)
		info, err := m.Stat("/a")
		must(t, err)
		if got := info.ModTime().Sub(start); got != time.Hour {
			t.Errorf("written after %v", got)
		}
	})
}

func TestFaultyRules(t *testing.T) {
	eio, full := syscall.EIO, syscall.ENOSPC
	below := NewMem()
	f := NewFaulty(below,
		Rule{Ops: OpSync, Path: ".log", Nth: 2, Err: eio},
		Rule{Ops: OpWrite, Path: "b.log", Err: full, Short: 3},
		Rule{Ops: OpRename | OpRemove, Path: "keep", Err: eio},
	)
	a, b := create(t, f, "/a.log", "a"), mustCreate(t, f, "/b.log")
	must(t, a.Sync())
	wantErr(t, a.SyncData(), eio)
	must(t, a.Sync())
	n, err := b.WriteVecAt([][]byte{[]byte("12"), []byte("34"), []byte("56")}, 0)
	wantErr(t, err, full)
	if n != 3 || textOf(t, below, "/b.log") != "123" {
		t.Errorf("%d bytes: %q", n, textOf(t, below, "/b.log"))
	}
	if n, err := b.WriteAt([]byte("4"), 3); n != 1 || !errors.Is(err, full) {
		t.Errorf("short write beyond the buffer: %d %v", n, err)
	}
	wantErr(t, f.Rename("/a.log", "/keep"), eio)
	must(t, f.Rename("/a.log", "/c"))
	f.Set()
	_, err = b.WriteAt([]byte("all"), 0)
	must(t, err)
	if _, ok := b.FD(); ok {
		t.Error("a faulty file has a descriptor")
	}
}

func mustCreate(t *testing.T, fsys FS, name string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	return f
}

// TestFaultyEveryOperation fails each kind of operation once.
func TestFaultyEveryOperation(t *testing.T) {
	f := NewFaulty(NewMem())
	file := create(t, f, "/x", "abc")
	must(t, f.MkdirAll("/d"))
	calls := []struct {
		op   Op
		call func() error
	}{
		{OpCreate, func() error { _, err := f.Create("/y"); return err }},
		{OpOpen, func() error { _, err := f.Open("/x"); return err }},
		{OpOpen, func() error { _, err := f.OpenReadOnly("/x"); return err }},
		{OpRead, func() error { _, err := file.ReadAt(make([]byte, 1), 0); return err }},
		{OpWrite, func() error { _, err := file.WriteAt([]byte("x"), 0); return err }},
		{OpWrite, func() error { _, err := file.WriteVecAt([][]byte{[]byte("x")}, 0); return err }},
		{OpSync, func() error { return file.Sync() }},
		{OpSync, func() error { return file.SyncData() }},
		{OpTruncate, func() error { return file.Truncate(0) }},
		{OpAllocate, func() error { return file.Allocate(0, 1) }},
		{OpSize, func() error { _, err := file.Size(); return err }},
		{OpSize, func() error { _, err := f.Stat("/x"); return err }},
		{OpRename, func() error { return f.Rename("/x", "/z") }},
		{OpRemove, func() error { return f.Remove("/x") }},
		{OpRemove, func() error { return f.RemoveAll("/x") }},
		{OpMkdir, func() error { return f.MkdirAll("/e") }},
		{OpReadDir, func() error { _, err := f.ReadDir("/d"); return err }},
		{OpSyncDir, func() error { return f.SyncDir("/d") }},
		{OpLock, func() error { _, err := f.Lock("/l"); return err }},
		{OpSpace, func() error { _, err := f.Space("/"); return err }},
		{OpClose, func() error { return file.Close() }},
	}
	for i, c := range calls {
		f.Set(Rule{Ops: ^c.op, Err: fs.ErrInvalid}, Rule{Ops: c.op, Err: syscall.EIO})
		if err := c.call(); !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	f.Set()
	if got := textOf(t, f, "/x"); got != "abc" {
		t.Errorf("a failed call did something: %q", got)
	}
}

func TestShortRead(t *testing.T) {
	f := NewFaulty(NewMem(), Rule{Ops: OpRead, Nth: 1, Err: syscall.EIO, Short: 2})
	file := create(t, f, "/x", "abc")
	p := make([]byte, 3)
	n, err := file.ReadAt(p, 0)
	wantErr(t, err, syscall.EIO)
	if n != 2 || string(p[:n]) != "ab" {
		t.Errorf("%d bytes %q", n, p[:n])
	}
}
