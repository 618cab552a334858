package raftlog

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// TestEachEntry: who only follows sees every offset, and the data of what was proposed.
func TestEachEntry(t *testing.T) {
	b := batch.NewBuilder()
	var all []byte
	for at, k := range []kind{kindBootstrap, kindConfChange, kindNoOp, kindMetadata, kindConfChangeV2, kindMetadata} {
		all = appendBatch(all, b, protocol.Offset(at), uint64(at/2), k, []byte{byte(at)})
	}
	var got []Entry
	if err := EachEntry(all, 0, func(e Entry) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	for at, e := range got {
		var data []byte
		if at == 3 || at == 5 {
			data = []byte{byte(at)}
		}
		if e.Offset != protocol.Offset(at) || e.Term != protocol.Term(at/2) || !bytes.Equal(e.Data, data) {
			t.Errorf("%d: %+v", at, e)
		}
	}
	stop := errors.New("enough")
	if err := EachEntry(all, 0, func(Entry) error { return stop }); !errors.Is(err, stop) || len(got) != 6 {
		t.Errorf("%v, %d entries", err, len(got))
	}
	for name, bad := range map[string][]byte{
		"from another offset": all[len(appendBatch(nil, b, 0, 0, kindBootstrap, []byte{0})):], "a piece of a snapshot": appendBatch(nil, b, 0, 0, kindSnapshotChunk, nil), "cut off": all[:len(all)-1], "noise": {1, 2, 3},
	} {
		if err := EachEntry(bad, 0, func(Entry) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNewestSnapshotOnDisk: it is named and read beside the driver, and is gone when a newer one has taken its place.
func TestNewestSnapshotOnDisk(t *testing.T) {
	d := mustOpen(t, vfs.NewMem())
	d.mustSave(t, hard(1, 0, 4), run(2, 4, 1))
	if _, ok := d.NewestSnapshot(); ok {
		t.Error("there is one already")
	}
	for _, index := range []uint64{2, 3} {
		m := meta(index, 1)
		if _, err := d.WriteSnapshot(m, slices.Values([][]byte{[]byte("one"), []byte("two")})); err != nil {
			t.Fatal(err)
		}
		if err := d.Adopt(m); err != nil {
			t.Fatal(err)
		}
		id, ok := d.NewestSnapshot()
		if !ok || id != IDOf(m) || id.End != protocol.Offset(index+1) {
			t.Fatalf("%+v", id)
		}
		f, err := d.SnapshotFile(id)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		data := make([]byte, size)
		if _, err := f.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		var chunks []string
		if err := EachChunk(data, id, func(c []byte) error { chunks = append(chunks, string(c)); return nil }); err != nil || !slices.Equal(chunks, []string{"one", "two"}) {
			t.Errorf("%q, %v", chunks, err)
		}
		if err := EachChunk(data, SnapshotID{id.End + 1, id.Term}, func([]byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("for another one: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.SnapshotFile(IDOf(meta(2, 1))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
}

// FuzzEachEntry: whatever comes, nothing panics.
func FuzzEachEntry(f *testing.F) {
	b := batch.NewBuilder()
	f.Add(appendBatch(appendBatch(nil, b, 0, 0, kindBootstrap, []byte("c")), b, 1, 1, kindMetadata, []byte("data")))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := protocol.Offset(0)
		err := EachEntry(data, 0, func(e Entry) error {
			if e.Offset != next {
				t.Errorf("offset %d, want %d", e.Offset, next)
			}
			next++
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
		if err := EachChunk(data, SnapshotID{1, 1}, func([]byte) error { return nil }); err == nil || !errors.Is(err, ErrDamaged) {
			t.Errorf("a snapshot: %v", err)
		}
	})
}
