package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
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

// TestFollowersBesideSave: who reads what is committed sees it as it was written, whatever is appended, cut off behind it, compacted, or replaced by a snapshot meanwhile.
func TestFollowersBesideSave(t *testing.T) {
	d := mustOpen(t, vfs.NewMem())
	var high atomic.Int64
	var stop atomic.Bool
	high.Store(1)
	var readers sync.WaitGroup
	for reader := range 2 {
		readers.Go(func() {
			rng, read := rand.New(rand.NewPCG(uint64(reader), 9)), 0
			for !stop.Load() {
				limit := protocol.Offset(high.Load() + 1)
				from := max(2, limit-1-protocol.Offset(rng.IntN(40)))
				var r log.Range
				err := d.log.Read(from, limit, 2000, true, &r)
				if errors.Is(err, kerr.OffsetOutOfRange) {
					continue
				}
				if err != nil {
					t.Errorf("from %d: %v", from, err)
					return
				}
				if r.Size == 0 {
					continue
				}
				b := make([]byte, r.Size)
				_, err = r.Source.ReadAt(b, r.Position)
				r.Source.Release()
				if err == nil {
					err = EachEntry(b, from, func(e Entry) error {
						if read++; e.Offset >= limit || len(e.Data) > 0 && string(e.Data) != committedData(uint64(e.Offset)) {
							return fmt.Errorf("entry %d, which is committed up to %d, holds %q", e.Offset, limit, e.Data)
						}
						return nil
					})
				}
				if err != nil {
					t.Errorf("from %d: %v", from, err)
					return
				}
			}
			if read == 0 {
				t.Error("nothing was read")
			}
		})
	}
	rng := rand.New(rand.NewPCG(4, 4))
	term := uint64(1)
	for range 300 {
		last, _ := d.LastIndex()
		committed := uint64(high.Load())
		switch rng.IntN(12) {
		case 0: // another leader, which had a snapshot
			term++
			at := last + 10
			if err := d.Save(hard(term, 0, at), snapshotOf(t, at, term), nil); err != nil {
				t.Fatal(err)
			}
			high.Store(int64(at))
		case 1:
			m := meta(committed, d.terms.at(committed))
			if committed <= d.SnapshotMetadata().GetIndex() {
				continue
			}
			if _, err := d.WriteSnapshot(m, slices.Values([][]byte{[]byte("state")})); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(d.Adopt(m), d.Compact(committed)); err != nil {
				t.Fatal(err)
			}
		case 2, 3: // entries that nobody will have
			term++
			lost := run(committed+1, committed+3, term)
			for _, e := range lost {
				e.Data = []byte("lost")
			}
			d.mustSave(t, hard(term, 0, committed), lost)
		default: // a leader's, in the place of those
			term++
			es := run(committed+1, committed+1+uint64(rng.IntN(5)), term)
			for _, e := range es {
				e.Data = []byte(committedData(e.GetIndex()))
			}
			end := es[len(es)-1].GetIndex()
			d.mustSave(t, hard(term, 0, end), es)
			high.Store(int64(end))
		}
	}
	stop.Store(true)
	readers.Wait()
	d.stop(t)
}

// committedData is what every node's entry of an index holds.
func committedData(index uint64) string { return fmt.Sprintf("committed %d %0100d", index, index) }
