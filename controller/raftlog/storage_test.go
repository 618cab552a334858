package raftlog

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/log/vfs"
)

func TestBootstrap(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, fs)
	id := d.RaftID()
	if id == 0 || d.ClusterID() != "c" {
		t.Errorf("raft id %d, cluster %q", id, d.ClusterID())
	}
	d.stop(t)
	d = mustOpen(t, fs)
	if d.RaftID() != id {
		t.Errorf("raft id %d became %d", id, d.RaftID())
	}
	hs, conf, err := d.InitialState()
	if err != nil || hs.GetTerm() != 1 || hs.GetVote() != 0 || hs.GetCommit() != 1 || len(conf.GetVoters()) != 0 {
		t.Errorf("%v, %v, %v", hs, conf, err)
	}
	es, err := d.Entries(1, 2, math.MaxUint64)
	if err != nil || len(es) != 1 || es[0].GetType() != pb.EntryConfChange {
		t.Fatalf("%v, %v", es, err)
	}
	var change pb.ConfChange
	if err := proto.Unmarshal(es[0].GetData(), &change); err != nil || change.GetNodeId() != id {
		t.Errorf("%v, %v", &change, err)
	}
	if _, err := d.Snapshot(); !errors.Is(err, raft.ErrSnapshotTemporarilyUnavailable) {
		t.Errorf("snapshot: %v", err)
	}
	if other := mustOpen(t, vfs.NewMem()); other.RaftID() == id {
		t.Error("two folders have one raft id")
	}
}

// TestBootstrapInterrupted cuts the power before every sync of a bootstrap: the next start makes a whole one.
func TestBootstrapInterrupted(t *testing.T) {
	mem := vfs.NewMem()
	rng := rand.New(rand.NewPCG(1, 2))
	_, err := openDisk(mem, hookFS{mem, func() {
		for _, survive := range []float64{0, 0.5, 1} {
			d := mustOpen(t, mem.CrashClone(rng, survive))
			if last, _ := d.LastIndex(); last != 1 || d.ClusterID() != "c" {
				t.Fatalf("last index %d, cluster %q", last, d.ClusterID())
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStorageIsMemoryStorage does the same things to a Storage and to raft's own storage in memory, restarting the former now and then, and compares all that raft can ask.
func TestStorageIsMemoryStorage(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := mustOpen(t, vfs.NewMem())
		d.recent = recent{}
		m := newModel(t, d)
		for step := range 60 {
			m.step(t, rng, d)
			if rng.IntN(8) == 0 {
				d.stop(t)
				d = mustOpen(t, d.fs)
			}
			m.compare(t, rng, d)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

type memoryModel struct {
	*raft.MemoryStorage
	term, commit uint64
}

func newModel(t *testing.T, d *disk) *memoryModel {
	m := &memoryModel{raft.NewMemoryStorage(), 1, 1}
	es, err := d.Entries(1, 2, math.MaxUint64)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Append(es); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *memoryModel) step(t *testing.T, rng *rand.Rand, d *disk) {
	t.Helper()
	last, _ := m.LastIndex()
	switch rng.IntN(8) {
	case 0: // install
		m.term++
		at := last + 1 + rng.Uint64N(10)
		snapshot := snapshotOf(t, at, m.term)
		m.commit = at
		if err := errors.Join(d.Save(hard(m.term, 0, at), snapshot, nil), m.ApplySnapshot(proto.CloneOf(snapshot))); err != nil {
			t.Fatal(err)
		}
	case 1: // snapshot and compact
		if m.commit <= d.SnapshotMetadata().GetIndex() {
			return
		}
		term, err := m.Term(m.commit)
		if err != nil {
			t.Fatal(err)
		}
		at := meta(m.commit, term)
		if _, err := d.WriteSnapshot(at, slices.Values([][]byte{[]byte("state")})); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Adopt(at), d.Compact(m.commit)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.CreateSnapshot(m.commit, at.ConfState, nil); err != nil {
			t.Fatal(err)
		}
		if first, _ := m.FirstIndex(); m.commit >= first {
			if err := m.Compact(m.commit); err != nil {
				t.Fatal(err)
			}
		}
	case 2: // a conflicting suffix
		m.term++
		m.append(t, rng, d, m.commit+1+rng.Uint64N(last-m.commit+1))
	default:
		m.append(t, rng, d, last+1)
	}
}

func (m *memoryModel) append(t *testing.T, rng *rand.Rand, d *disk, first uint64) {
	t.Helper()
	last := first + rng.Uint64N(30)
	es := run(first, last, m.term)
	m.commit += rng.Uint64N(last - m.commit + 1)
	if err := errors.Join(d.Save(hard(m.term, 9, m.commit), nil, es), m.Append(es)); err != nil {
		t.Fatal(err)
	}
}

// snapshotOf is what another voter would send.
func snapshotOf(t *testing.T, index, term uint64) *pb.Snapshot {
	t.Helper()
	fs := vfs.NewMem()
	s := &Storage{fs: fs, dir: "/", snapshot: meta(index, term)}
	if _, err := s.WriteSnapshot(s.snapshot, slices.Values([][]byte{[]byte("state")})); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func (m *memoryModel) compare(t *testing.T, rng *rand.Rand, d *disk) {
	t.Helper()
	first, _ := m.FirstIndex()
	last, _ := m.LastIndex()
	if f, _ := d.FirstIndex(); f != first {
		t.Errorf("first index %d, want %d", f, first)
	}
	if l, _ := d.LastIndex(); l != last {
		t.Errorf("last index %d, want %d", l, last)
	}
	for range 10 {
		at := first - 1 + rng.Uint64N(last-first+3)
		want, wantErr := m.Term(at)
		if got, err := d.Term(at); got != want || !errors.Is(err, wantErr) {
			t.Errorf("term of %d is %d, %v; want %d, %v", at, got, err, want, wantErr)
		}
		if at < first || at > last {
			continue
		}
		hi, size := at+1+rng.Uint64N(last-at+1), rng.Uint64N(200)
		es, err := d.Entries(at, hi, size)
		wantEs, wantErr := m.Entries(at, hi, size)
		if !errors.Is(err, wantErr) || !slices.EqualFunc(es, wantEs, func(a, b *pb.Entry) bool { return proto.Equal(a, b) }) {
			t.Errorf("entries %d to %d: %v, %v; want %v, %v", at, hi, es, err, wantEs, wantErr)
		}
	}
	if _, err := d.Entries(first-1, last, 100); first > 1 && !errors.Is(err, raft.ErrCompacted) {
		t.Errorf("entries before the first: %v", err)
	}
	got, err := d.Snapshot()
	if want, _ := m.Snapshot(); err == nil && (got.GetMetadata().GetIndex() != want.GetMetadata().GetIndex() || got.GetMetadata().GetTerm() != want.GetMetadata().GetTerm()) {
		t.Errorf("snapshot %v, want %v", got.GetMetadata(), want.GetMetadata())
	}
}

// TestInstallInterrupted cuts the power before every sync of an installation.
func TestInstallInterrupted(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	mem := vfs.NewMem()
	installing := false
	d, err := openDisk(mem, hookFS{mem, func() {
		if !installing {
			return
		}
		for _, survive := range []float64{0, 0.5, 1} {
			d := mustOpen(t, mem.CrashClone(rng, survive))
			first, _ := d.FirstIndex()
			last, _ := d.LastIndex()
			before := first == 1 && last == 12
			after := first == 31 && last == 30
			if !before && !after {
				t.Fatalf("entries %d to %d", first, last)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.mustSave(t, hard(2, 7, 10), run(2, 12, 2))
	installing = true
	if err := d.Save(hard(3, 0, 30), snapshotOf(t, 30, 3), nil); err != nil {
		t.Fatal(err)
	}
	if installing = false; d.hard.commit != 30 {
		t.Errorf("commit %d", d.hard.commit)
	}
	var chunks []string
	if err := d.ReadSnapshot(func(c []byte) error { chunks = append(chunks, string(c)); return nil }); err != nil || !slices.Equal(chunks, []string{"state"}) {
		t.Errorf("%q, %v", chunks, err)
	}
	d.mustSave(t, hard(3, 0, 31), run(31, 31, 3))
}

// TestRecentIsBounded: entries that are no longer in memory come from the log.
func TestRecentIsBounded(t *testing.T) {
	d := mustOpen(t, vfs.NewMem())
	data := make([]byte, 100<<10)
	for i := uint64(2); i < 50; i++ {
		d.mustSave(t, hard(2, 7, i), []*pb.Entry{entry(i, 2, pb.EntryNormal, data)})
	}
	if d.recent.size > maxRecentSize || len(d.recent.entries) > 12 {
		t.Errorf("%d entries of %d bytes in memory", len(d.recent.entries), d.recent.size)
	}
	es, err := d.Entries(1, 50, math.MaxUint64)
	if err != nil || len(es) != 49 {
		t.Fatalf("%d entries, %v", len(es), err)
	}
	if es, err = d.Entries(2, 50, 250<<10); err != nil || len(es) != 2 {
		t.Errorf("%d entries within 250 KiB, %v", len(es), err)
	}
}
