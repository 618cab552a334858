package vfs

import (
	"bytes"
	"path/filepath"
	"testing"
)

// TestReadAside: the same bytes as ReadAt gives, cached or not, and the same count at the end of the file.
func TestReadAside(t *testing.T) {
	for name, fsys := range map[string]FS{"os": OS{}, "mem": NewMem()} {
		dir := t.TempDir()
		if err := fsys.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		f, err := fsys.Create(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
		if _, err := f.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for _, off := range []int64{0, 5, 4096, 70_001} {
				got := make([]byte, 50_000)
				if n, err := ReadAside(f, got, off); n != len(got) || err != nil || !bytes.Equal(got, want[off:off+50_000]) {
					t.Errorf("%s: at %d: %d bytes, %v", name, off, n, err)
				}
			}
			got := make([]byte, 1000)
			if n, _ := ReadAside(f, got, int64(len(want))-10); n != 10 {
				t.Errorf("%s: %d bytes at the end, want 10", name, n)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBootID: this machine has one, and a file system in memory has none.
func TestBootID(t *testing.T) {
	if a, b := BootID(OS{}), BootID(OS{}); a == "" || a != b {
		t.Errorf("%q, then %q", a, b)
	}
	if id := BootID(NewMem()); id != "" {
		t.Errorf("a file system in memory has %q", id)
	}
}
