package vfs

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// fullDisk is a disk of 8 MiB with a ballast of 4 MiB in d, and nothing free.
func fullDisk(t *testing.T, below FS, m *Mem) (*Reserve, *Ballast) {
	t.Helper()
	m.SetCapacity(8 << 20)
	if err := m.MkdirAll("d/t-0"); err != nil {
		t.Fatal(err)
	}
	r := NewReserve(below, func(name string) bool { return strings.HasSuffix(name, ".log") })
	b, err := r.Add("d", "ballast")
	if err == nil {
		err = b.Fill(4 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	hog, err := m.Create("hog")
	if err == nil {
		err = hog.Allocate(0, 4<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

// TestBallastIsGivenUpInPieces: a write that must not fail succeeds, a spared one is refused; what is not needed stays put by, and comes back when there is room.
func TestBallastIsGivenUpInPieces(t *testing.T) {
	m := NewMem()
	r, b := fullDisk(t, m, m)
	spared, err := r.Create("d/t-0/0.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spared.WriteAt(make([]byte, 100), 0); !errors.Is(err, syscall.ENOSPC) || b.Size() != 4<<20 {
		t.Errorf("spared: %v, a ballast of %d", err, b.Size())
	}
	f, err := r.Create("d/t-0/state")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt(make([]byte, 100), 0); n != 100 || err != nil || b.Size() != 3<<20 || b.GivenUp(4<<20) != 1<<20 {
		t.Errorf("%d, %v, a ballast of %d", n, err, b.Size())
	}
	if n, err := f.WriteVecAt([][]byte{make([]byte, 3<<20), make([]byte, 100)}, 100); n != 3<<20+100 || err != nil || b.Size() != 0 {
		t.Errorf("%d, %v, a ballast of %d", n, err, b.Size())
	}
	if _, err := f.WriteAt(make([]byte, 5<<20), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("with nothing left: %v", err)
	}
	if _, err := m.Stat("d/ballast"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty ballast: %v", err)
	}
	if err := b.Fill(4 << 20); !errors.Is(err, syscall.ENOSPC) || b.Size() != 0 {
		t.Errorf("filled on a full disk: %v", err)
	}
	m.SetCapacity(16 << 20)
	if err := b.Fill(4 << 20); err != nil || b.Size() != 4<<20 || b.GivenUp(4<<20) != 0 {
		t.Errorf("filled again: %v", err)
	}
	if again, err := NewReserve(m, nil).Add("d", "ballast"); err != nil || again.Size() != 4<<20 {
		t.Errorf("found: %v", err)
	}
}

// TestReserveTriesOnlyFullDisksAgain: whatever call meets a full disk gets a piece, and no other error is tried again, nor a sync.
func TestReserveTriesOnlyFullDisksAgain(t *testing.T) {
	calls := map[Op]func(FS, File) error{
		OpCreate:   func(f FS, _ File) error { _, err := f.Create("d/new"); return err },
		OpRename:   func(f FS, _ File) error { return f.Rename("d/old", "d/renamed") },
		OpMkdir:    func(f FS, _ File) error { return f.MkdirAll("d/dir") },
		OpRemove:   func(f FS, _ File) error { return f.Remove("d/old") },
		OpTruncate: func(_ FS, f File) error { return f.Truncate(1) },
		OpWrite:    func(_ FS, f File) error { _, err := f.WriteAt([]byte{1}, 0); return err },
		OpSync:     func(_ FS, f File) error { return f.Sync() },
	}
	for op, call := range calls {
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO} {
			m := NewMem()
			faulty := NewFaulty(m)
			r, b := fullDisk(t, faulty, m)
			f, err := r.Create("d/old")
			if err != nil {
				t.Fatal(err)
			}
			faulty.Set(Rule{Ops: op, Path: "d/", Nth: 1, Err: errno})
			err = call(r, f)
			again := errno == syscall.ENOSPC && op != OpSync
			if again != (err == nil) || again != (b.Size() < 4<<20) {
				t.Errorf("op %b, %v: %v, a ballast of %d", op, errno, err, b.Size())
			}
		}
	}
}

// TestBallastWithoutFallocate: the file system cannot allocate, and room is taken by bytes.
func TestBallastWithoutFallocate(t *testing.T) {
	m := NewMem()
	b, err := NewReserve(NewFaulty(m, Rule{Ops: OpAllocate, Err: syscall.EOPNOTSUPP}), nil).Add("/", "ballast")
	if err == nil {
		err = b.Fill(3<<20 + 5)
	}
	if used := m.used.Load(); err != nil || used < 3<<20 {
		t.Errorf("%v, %d bytes are used", err, used)
	}
}

// sizedDisk tells the size that the ballast has when its blocks are asked for.
type sizedDisk struct {
	*Mem
	size *int64
}

type sizedFile struct {
	File
	size *int64
}

func (m sizedDisk) Create(name string) (File, error) {
	f, err := m.Mem.Create(name)
	return sizedFile{f, m.size}, err
}

func (f sizedFile) Allocate(off, n int64) (err error) {
	if *f.size, err = f.File.Size(); err != nil {
		return err
	}
	return f.File.Allocate(off, n)
}

// A process that dies while the ballast is being made leaves no file that only looks like one.
func TestBallastTakesItsSizeLast(t *testing.T) {
	size := int64(-1)
	r := NewReserve(sizedDisk{NewMem(), &size}, func(string) bool { return false })
	b, err := r.Add("/", "ballast")
	if err == nil {
		err = b.Fill(4 << 20)
	}
	if err != nil || size != 0 || b.Size() != 4<<20 {
		t.Fatalf("%d bytes before there are blocks for them, %d after: %v", size, b.Size(), err)
	}
}
