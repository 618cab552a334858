package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"
	"testing"
)

// TestConformance runs the same expectations over every implementation: what passes on OS is what Mem must do.
func TestConformance(t *testing.T) {
	systems := map[string]func(t *testing.T) (FS, string){
		"OS":     func(t *testing.T) (FS, string) { return OS{}, t.TempDir() },
		"Mem":    func(t *testing.T) (FS, string) { return NewMem(), "/" },
		"Faulty": func(t *testing.T) (FS, string) { return NewFaulty(NewMem()), "/" },
	}
	suite := map[string]func(*testing.T, FS, string){
		"create and open":     conformCreateOpen,
		"read and write":      conformReadWrite,
		"write vectors":       conformWriteVec,
		"truncate":            conformTruncate,
		"allocate":            conformAllocate,
		"removed while open":  conformRemovedWhileOpen,
		"rename":              conformRename,
		"directories":         conformDirectories,
		"remove":              conformRemove,
		"lock":                conformLock,
		"space":               conformSpace,
		"closed and readonly": conformClosedReadOnly,
		"sync":                conformSync,
	}
	for system, open := range systems {
		for name, check := range suite {
			t.Run(system+"/"+name, func(t *testing.T) {
				fsys, dir := open(t)
				check(t, fsys, dir)
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error %v, want %v", got, want)
	}
	var p *fs.PathError
	if !errors.As(got, &p) {
		t.Fatalf("error %v is no path error", got)
	}
}

func create(t *testing.T, fsys FS, name, text string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	return f
}

func text(t *testing.T, f File) string {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(b)
}

func textOf(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.OpenReadOnly(name)
	must(t, err)
	defer f.Close()
	return text(t, f)
}

func conformCreateOpen(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "a")
	_, err := fsys.Open(name)
	wantErr(t, err, fs.ErrNotExist)
	must(t, create(t, fsys, name, "hello").Close())
	_, err = fsys.Create(name)
	wantErr(t, err, fs.ErrExist)
	_, err = fsys.Create(path.Join(dir, "no/such"))
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Create(path.Join(name, "below"))
	wantErr(t, err, syscall.ENOTDIR)
	f, err := fsys.Open(name)
	must(t, err)
	defer f.Close()
	if got := text(t, f); got != "hello" {
		t.Fatalf("read %q", got)
	}
	info, err := fsys.Stat(name)
	must(t, err)
	if info.Name() != "a" || info.Size() != 5 || info.IsDir() || info.ModTime().IsZero() {
		t.Fatalf("info %v %v %v %v", info.Name(), info.Size(), info.IsDir(), info.ModTime())
	}
	_, err = fsys.Open(dir)
	wantErr(t, err, syscall.EISDIR)
}

func conformReadWrite(t *testing.T, fsys FS, dir string) {
	f := create(t, fsys, path.Join(dir, "a"), "")
	defer f.Close()
	n, err := f.ReadAt(make([]byte, 1), 0)
	if n != 0 || err != io.EOF {
		t.Fatalf("read of nothing: %d %v", n, err)
	}
	big := bytes.Repeat([]byte("0123456789"), 2000)
	_, err = f.WriteAt(big, 10_000)
	must(t, err)
	got := make([]byte, 30_001)
	n, err = f.ReadAt(got, 0)
	if n != 30_000 || err != io.EOF || !bytes.Equal(got[:10_000], make([]byte, 10_000)) || !bytes.Equal(got[10_000:30_000], big) {
		t.Fatalf("read %d %v", n, err)
	}
	_, err = f.WriteAt([]byte("xy"), 15_000)
	must(t, err)
	n, err = f.ReadAt(got[:4], 14_999)
	if n != 4 || err != nil || string(got[:4]) != "9xy2" {
		t.Fatalf("read %d %v %q", n, err, got[:4])
	}
	if _, err = f.WriteAt([]byte("x"), -1); err == nil {
		t.Fatal("a negative offset was written")
	}
	if _, err = f.ReadAt(got[:1], -1); err == nil {
		t.Fatal("a negative offset was read")
	}
}

func conformWriteVec(t *testing.T, fsys FS, dir string) {
	f := create(t, fsys, path.Join(dir, "a"), "ab")
	defer f.Close()
	n, err := f.WriteVecAt([][]byte{[]byte("cd"), nil, []byte("efg")}, 2)
	if n != 5 || err != nil || text(t, f) != "abcdefg" {
		t.Fatalf("wrote %d %v: %q", n, err, text(t, f))
	}
	many := make([][]byte, 2500)
	for i := range many {
		many[i] = []byte{byte(i)}
	}
	n, err = f.WriteVecAt(many, 0)
	if n != len(many) || err != nil || text(t, f) != string(bytes.Join(many, nil)) {
		t.Fatalf("wrote %d %v", n, err)
	}
}

func conformTruncate(t *testing.T, fsys FS, dir string) {
	f := create(t, fsys, path.Join(dir, "a"), string(bytes.Repeat([]byte("x"), 9000)))
	defer f.Close()
	must(t, f.Truncate(3))
	must(t, f.Truncate(5000))
	if got := text(t, f); got != "xxx"+string(make([]byte, 4997)) {
		t.Fatalf("after truncation %q", got)
	}
	if err := f.Truncate(-1); err == nil {
		t.Fatal("a negative size was accepted")
	}
}

func conformAllocate(t *testing.T, fsys FS, dir string) {
	f := create(t, fsys, path.Join(dir, "a"), "abc")
	defer f.Close()
	must(t, f.Allocate(0, 1<<20))
	if size, err := f.Size(); size != 3 || err != nil {
		t.Fatalf("size %d %v after an allocation", size, err)
	}
	wantErr(t, f.Allocate(0, 0), syscall.EINVAL)
}

func conformRemovedWhileOpen(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "a")
	f := create(t, fsys, name, "old")
	defer f.Close()
	must(t, fsys.Remove(name))
	must(t, create(t, fsys, name, "new").Close())
	if got := text(t, f); got != "old" {
		t.Fatalf("a removed file reads %q", got)
	}
	if got := textOf(t, fsys, name); got != "new" {
		t.Fatalf("its name's next file reads %q", got)
	}
}

func conformRename(t *testing.T, fsys FS, dir string) {
	a, b := path.Join(dir, "a"), path.Join(dir, "b")
	f := create(t, fsys, a, "a")
	defer f.Close()
	must(t, create(t, fsys, b, "b").Close())
	must(t, fsys.Rename(a, b))
	_, err := fsys.Stat(a)
	wantErr(t, err, fs.ErrNotExist)
	if got := textOf(t, fsys, b); got != "a" {
		t.Fatalf("renamed file reads %q", got)
	}
	_, err = f.WriteAt([]byte("x"), 1)
	must(t, err)
	if got := textOf(t, fsys, b); got != "ax" {
		t.Fatalf("the open file and its name differ: %q", got)
	}
	must(t, fsys.Rename(b, b))
	wantErr(t, fsys.Rename(a, b), fs.ErrNotExist)
	must(t, fsys.MkdirAll(path.Join(dir, "d/e")))
	wantErr(t, fsys.Rename(b, path.Join(dir, "d")), fs.ErrExist)
	wantErr(t, fsys.Rename(path.Join(dir, "d"), b), syscall.ENOTDIR)
	wantErr(t, fsys.Rename(path.Join(dir, "d"), path.Join(dir, "d/e/f")), syscall.EINVAL)
	must(t, fsys.Rename(b, path.Join(dir, "d/e/b")))
	must(t, fsys.Rename(path.Join(dir, "d"), path.Join(dir, "g")))
	if got := textOf(t, fsys, path.Join(dir, "g/e/b")); got != "ax" {
		t.Fatalf("a renamed folder's file reads %q", got)
	}
}

func conformDirectories(t *testing.T, fsys FS, dir string) {
	must(t, fsys.MkdirAll(path.Join(dir, "d/e/f")))
	must(t, fsys.MkdirAll(path.Join(dir, "d/e")))
	for _, name := range []string{"c", "a", "b"} {
		must(t, create(t, fsys, path.Join(dir, "d", name), name).Close())
	}
	wantErr(t, fsys.MkdirAll(path.Join(dir, "d/a/x")), syscall.ENOTDIR)
	entries, err := fsys.ReadDir(path.Join(dir, "d"))
	must(t, err)
	got := ""
	for _, e := range entries {
		got += e.Name()
		if e.IsDir() {
			got += "/"
		}
	}
	if got != "abce/" {
		t.Fatalf("entries %q", got)
	}
	_, err = fsys.ReadDir(path.Join(dir, "none"))
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.ReadDir(path.Join(dir, "d/a"))
	wantErr(t, err, syscall.ENOTDIR)
	info, err := fsys.Stat(path.Join(dir, "d"))
	must(t, err)
	if !info.IsDir() || info.Name() != "d" {
		t.Fatalf("stat of a folder: %v %v", info.IsDir(), info.Name())
	}
}

func conformRemove(t *testing.T, fsys FS, dir string) {
	must(t, fsys.MkdirAll(path.Join(dir, "d/e")))
	must(t, create(t, fsys, path.Join(dir, "d/e/a"), "a").Close())
	wantErr(t, fsys.Remove(path.Join(dir, "d")), syscall.ENOTEMPTY)
	wantErr(t, fsys.Remove(path.Join(dir, "none")), fs.ErrNotExist)
	must(t, fsys.RemoveAll(path.Join(dir, "d")))
	must(t, fsys.RemoveAll(path.Join(dir, "d")))
	must(t, fsys.RemoveAll(path.Join(dir, "no/such")))
	_, err := fsys.Stat(path.Join(dir, "d"))
	wantErr(t, err, fs.ErrNotExist)
	must(t, fsys.MkdirAll(path.Join(dir, "d")))
	must(t, fsys.Remove(path.Join(dir, "d")))
}

func conformLock(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, ".lock")
	l, err := fsys.Lock(name)
	must(t, err)
	_, err = fsys.Lock(name)
	wantErr(t, err, ErrLocked)
	must(t, l.Close())
	l, err = fsys.Lock(name)
	must(t, err)
	must(t, l.Close())
	_, err = fsys.Lock(path.Join(dir, "no/such"))
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Stat(name)
	must(t, err)
}

func conformSpace(t *testing.T, fsys FS, dir string) {
	s, err := fsys.Space(dir)
	must(t, err)
	if s.Total <= 0 || s.Free <= 0 || s.Free > s.Total {
		t.Fatalf("space %+v", s)
	}
	_, err = fsys.Space(path.Join(dir, "none"))
	wantErr(t, err, fs.ErrNotExist)
}

func conformClosedReadOnly(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "a")
	f := create(t, fsys, name, "abc")
	must(t, f.Close())
	_, err := f.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, f.Close(), fs.ErrClosed)
	_, err = f.Size()
	wantErr(t, err, fs.ErrClosed)
	r, err := fsys.OpenReadOnly(name)
	must(t, err)
	defer r.Close()
	_, err = r.WriteAt([]byte("x"), 0)
	wantErr(t, err, syscall.EBADF)
	_, err = r.WriteVecAt([][]byte{[]byte("x")}, 0)
	wantErr(t, err, syscall.EBADF)
}

func conformSync(t *testing.T, fsys FS, dir string) {
	f := create(t, fsys, path.Join(dir, "a"), "abc")
	defer f.Close()
	must(t, f.Sync())
	must(t, f.SyncData())
	must(t, fsys.SyncDir(dir))
	wantErr(t, fsys.SyncDir(path.Join(dir, "none")), fs.ErrNotExist)
	if got := text(t, f); got != "abc" {
		t.Fatalf("after a sync %q", got)
	}
}
