package raftlog

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"ottla/log/vfs"
)

const firstSegment = "data/__cluster_metadata-0/00000000000000000000.log"

func fileBytes(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.OpenReadOnly(name)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); size > 0 && err != nil {
		t.Fatal(err)
	}
	return b
}

func overwrite(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

func boot(t testing.TB, fs *vfs.Mem, id string) {
	t.Helper()
	if err := fs.MkdirAll("/proc/sys/kernel/random"); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(id), 0); err != nil {
		t.Fatal(err)
	}
}

// TestCommittedIsNeverCut: a flip of any byte of the committed entries is refused, with a message that says what to do, and no file is changed. After a kill, when all that was
// written is there, the same holds for what was not known to be committed.
func TestCommittedIsNeverCut(t *testing.T) {
	for _, killed := range []bool{false, true} {
		fs := vfs.NewMem()
		if killed {
			boot(t, fs, "A")
		}
		d := mustOpen(t, fs)
		d.mustSave(t, hard(2, 7, 6), run(2, 6, 2))
		committed := len(fileBytes(t, fs, firstSegment))
		d.mustSave(t, nil, run(7, 9, 2))
		whole := fileBytes(t, fs, firstSegment)
		end := committed
		if killed {
			end = len(whole)
		}
		for at := 0; at < end; at += 3 {
			crashed := fs.CrashClone(nil, 1)
			bad := slices.Clone(whole)
			bad[at] ^= 0x40
			overwrite(t, crashed, firstSegment, bad)
			d, err := openDisk(crashed, crashed)
			if err == nil && lastBatch(whole, at) {
				continue // a term that was raised, or a length that goes past the end: nothing behind it tells
			}
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "data folder") {
				t.Fatalf("killed %v, byte %d: %v, last %v", killed, at, err, d)
			}
			if got := fileBytes(t, crashed, firstSegment); !bytes.Equal(got, bad) {
				t.Fatalf("killed %v, byte %d: the file was changed", killed, at)
			}
		}
	}
}

// lastBatch tells whether at lies in the length or in the leader epoch of the last batch.
func lastBatch(log []byte, at int) bool {
	start, next := 0, 0
	for next < len(log) {
		start = next
		next += 12 + int(log[start+8])<<24 + int(log[start+9])<<16 + int(log[start+10])<<8 + int(log[start+11])
	}
	return at >= start+8 && at < start+16
}

// TestDamagedSnapshot: every byte of a snapshot is covered. Where the log has all that the snapshot had, the node goes on; where it has not, it is refused.
func TestDamagedSnapshot(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		fs := vfs.NewMem()
		d := mustOpen(t, fs)
		d.mustSave(t, hard(2, 7, 10), run(2, 12, 2))
		m := meta(4, 2)
		if _, err := d.WriteSnapshot(m, slices.Values([][]byte{[]byte("state")})); err != nil {
			t.Fatal(err)
		}
		if compacted {
			if err := errors.Join(d.Adopt(m), d.Compact(4)); err != nil {
				t.Fatal(err)
			}
			if err := d.store.Close(); err != nil { // the log start offset is written down
				t.Fatal(err)
			}
		}
		name := "quorum/" + snapshotName(m)
		whole := fileBytes(t, fs, name)
		for at := range whole {
			crashed := fs.CrashClone(nil, 1)
			bad := slices.Clone(whole)
			bad[at] ^= 1
			overwrite(t, crashed, name, bad)
			d, err := openDisk(crashed, crashed)
			switch {
			case compacted && !errors.Is(err, ErrDamaged):
				t.Fatalf("byte %d: %v", at, err)
			case !compacted && (err != nil || d.last != 12 || d.SnapshotMetadata() != nil):
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
}

// TestOlderSnapshotSuffices: a crash before Adopt leaves two; the newer one is damaged.
func TestOlderSnapshotSuffices(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, fs)
	d.mustSave(t, hard(2, 7, 10), run(2, 12, 2))
	for _, index := range []uint64{4, 8} {
		if _, err := d.WriteSnapshot(meta(index, 2), slices.Values([][]byte{[]byte("state")})); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Compact(0); err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(nil, 1)
	name := "quorum/" + snapshotName(meta(8, 2))
	bad := fileBytes(t, crashed, name)
	bad[len(bad)-1] ^= 1
	overwrite(t, crashed, name, bad)
	d = mustOpen(t, crashed)
	if d.SnapshotMetadata().GetIndex() != 4 || d.last != 12 {
		t.Fatalf("%v, last %d", d.SnapshotMetadata(), d.last)
	}
}
