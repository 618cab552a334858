package vfs

import (
	"path"
	"testing"
)

// TestWriteVecAllocatesNothing holds for the buffers of an append: few.
func TestWriteVecAllocatesNothing(t *testing.T) {
	f := mustCreate(t, OS{}, path.Join(t.TempDir(), "a"))
	defer f.Close()
	bufs := [][]byte{make([]byte, 61), make([]byte, 1000), make([]byte, 10)}
	page := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		_, werr := f.WriteVecAt(bufs, 0)
		_, rerr := f.ReadAt(page, 0)
		if werr != nil || rerr != nil {
			t.Fatal(werr, rerr)
		}
	}); n != 0 {
		t.Errorf("%v allocations per write and read", n)
	}
}

func BenchmarkWriteVecAt(b *testing.B) {
	f, err := OS{}.Create(path.Join(b.TempDir(), "a"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	bufs := [][]byte{make([]byte, 61), make([]byte, 16<<10)}
	b.ReportAllocs()
	b.SetBytes(61 + 16<<10)
	for b.Loop() {
		if _, err := f.WriteVecAt(bufs, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemAppend writes a log of 100 MB, synced each MB.
func BenchmarkMemAppend(b *testing.B) {
	p := make([]byte, 16<<10)
	b.ReportAllocs()
	b.SetBytes(100 << 20)
	for b.Loop() {
		f, err := NewMem().Create("/a")
		if err != nil {
			b.Fatal(err)
		}
		for off := int64(0); off < 100<<20; off += int64(len(p)) {
			if _, err := f.WriteAt(p, off); err != nil {
				b.Fatal(err)
			}
			if off%(1<<20) == 0 {
				if err := f.SyncData(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
