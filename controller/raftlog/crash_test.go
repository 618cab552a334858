package raftlog

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// disk is a file system, the log store on it, and the storage under test.
type disk struct {
	fs    *vfs.Mem
	store *log.Store
	*Storage
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func openDisk(mem *vfs.Mem, fs vfs.FS) (*disk, error) {
	store, err := log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		return nil, err
	}
	c := log.DefaultConfig()
	c.SegmentBytes = 4096 // so that compaction has whole segments to delete
	l, err := store.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, c, log.NopObserver{})
	if err != nil {
		return nil, err
	}
	s, err := Open(Options{Log: l, FS: fs, Dir: "quorum", Logger: quiet})
	if err != nil {
		return nil, err
	}
	if s.Fresh() {
		if err := s.Bootstrap("c"); err != nil {
			return nil, err
		}
	}
	return &disk{mem, store, s}, nil
}

func mustOpen(t testing.TB, fs *vfs.Mem) *disk {
	t.Helper()
	d, err := openDisk(fs, fs)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// stop closes everything cleanly.
func (d *disk) stop(t testing.TB) {
	t.Helper()
	if err := errors.Join(d.Storage.Close(), d.store.Close()); err != nil {
		t.Fatal(err)
	}
}

// run makes entries first to last of a term, each with its own data.
func run(first, last, term uint64) []*pb.Entry {
	var es []*pb.Entry
	for i := first; i <= last; i++ {
		es = append(es, entry(i, term, pb.EntryNormal, []byte{byte(i), byte(i >> 8), byte(term)}))
	}
	return es
}

func hard(term, vote, commit uint64) *pb.HardState {
	return &pb.HardState{Term: new(term), Vote: new(vote), Commit: new(commit)}
}

func meta(index, term uint64) *pb.SnapshotMetadata {
	return &pb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: &pb.ConfState{Voters: []uint64{7}, AutoLeave: new(false)}}
}

func (d *disk) mustSave(t testing.TB, hs *pb.HardState, es []*pb.Entry) {
	t.Helper()
	if err := d.Save(hs, nil, es); err != nil {
		t.Fatal(err)
	}
}

// hookFS calls before each sync what the test wants.
type hookFS struct {
	*vfs.Mem
	before func()
}

type hookFile struct {
	vfs.File
	before func()
}

func (f hookFile) Sync() error     { f.before(); return f.File.Sync() }
func (f hookFile) SyncData() error { f.before(); return f.File.SyncData() }

func (h hookFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hookFile{f, h.before}, nil
}

func (h hookFS) Create(name string) (vfs.File, error) { return h.wrap(h.Mem.Create(name)) }
func (h hookFS) Open(name string) (vfs.File, error)   { return h.wrap(h.Mem.Open(name)) }
func (h hookFS) SyncDir(dir string) error             { h.before(); return h.Mem.SyncDir(dir) }

// TestNothingSavedIsLost cuts the power before every sync of a random history of a voter. What is found has every term, vote and entry that a finished Save promised.
func TestNothingSavedIsLost(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 2))
		mem := vfs.NewMem()
		saved := history{} // what the finished saves promised
		crash := func() {
			for _, survive := range []float64{0, rng.Float64()} {
				d, err := openDisk(nil, mem.CrashClone(rng, survive))
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if err := saved.check(d.Storage); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		d, err := openDisk(mem, hookFS{mem, crash})
		if err != nil {
			t.Fatal(err)
		}
		next := saved
		next.term, next.last, next.commit = 1, 1, 1
		for range 25 {
			saved = next
			if err := next.step(rng, d.Storage, &saved); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// history is the promises: entries up to last, with their data, in the terms that they were written in.
type history struct {
	term, vote, last, commit uint64
	terms                    []uint64 // of the indexes from 2 on
}

// step does one thing that a voter does. While a suffix is being replaced only what precedes it is promised.
func (h *history) step(rng *rand.Rand, s *Storage, promised *history) error {
	switch rng.IntN(6) {
	case 0: // vote
		h.term++
		h.vote = rng.Uint64()
		return s.Save(hard(h.term, h.vote, h.commit), nil, nil)
	case 1: // a new leader replaces what is not committed
		h.term++
		h.vote = 0
		if h.last > h.commit {
			h.last = h.commit + rng.Uint64N(h.last-h.commit)
			h.terms = slices.Clone(h.terms[:h.last-1])
		}
		promised.last, promised.terms = h.last, h.terms
		return h.append(rng, s)
	case 2: // snapshot
		if h.commit <= s.SnapshotMetadata().GetIndex() || h.commit < 2 {
			return nil
		}
		m := meta(h.commit, h.terms[h.commit-2])
		if _, err := s.WriteSnapshot(m, slices.Values([][]byte{[]byte("state")})); err != nil {
			return err
		}
		return errors.Join(s.Adopt(m), s.Compact(h.commit))
	default:
		return h.append(rng, s)
	}
}

func (h *history) append(rng *rand.Rand, s *Storage) error {
	first := h.last + 1
	h.last += 1 + rng.Uint64N(20)
	h.terms = slices.Clone(h.terms)
	for range h.last - first + 1 {
		h.terms = append(h.terms, h.term)
	}
	h.commit += rng.Uint64N(h.last - h.commit + 1)
	return s.Save(hard(h.term, h.vote, h.commit), nil, run(first, h.last, h.term))
}

// check compares a storage after a crash with what was promised before it.
func (h *history) check(s *Storage) error {
	hs, _, err := s.InitialState()
	if err != nil {
		return err
	}
	if hs.GetTerm() < h.term || hs.GetTerm() == h.term && hs.GetVote() != h.vote {
		return errors.New("term or vote lost")
	}
	if s.last < h.last {
		return errors.New("entries lost")
	}
	first := max(s.first, 2)
	if first > h.last {
		return nil
	}
	es, err := s.Entries(first, h.last+1, 1<<30)
	if err != nil {
		return err
	}
	for _, e := range es {
		want := run(e.GetIndex(), e.GetIndex(), h.terms[e.GetIndex()-2])[0]
		if e.GetTerm() != want.GetTerm() || !slices.Equal(e.GetData(), want.GetData()) {
			return errors.New("an entry is another one: " + e.String())
		}
	}
	return nil
}

// TestDamage changes what was committed, behind the storage's back.
func TestDamage(t *testing.T) {
	const logFile = "data/__cluster_metadata-0/00000000000000000000.log"
	flip := func(name string, at int64) func(*testing.T, *vfs.Mem) {
		return func(t *testing.T, fs *vfs.Mem) {
			f, err := fs.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			var b [1]byte
			if _, err := f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0]++
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, *vfs.Mem) {
		return func(t *testing.T, fs *vfs.Mem) {
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(*testing.T, *vfs.Mem){
		"first entry":         flip(logFile, 120),
		"committed entry":     flip(logFile, 400),
		"state file missing":  remove(path.Join("quorum", stateName)),
		"state file damaged":  flip(path.Join("quorum", stateName), 12),
		"log missing":         remove(logFile),
		"snapshot is damaged": flip("quorum/"+snapshotName(meta(4, 2)), 70),
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			d := mustOpen(t, fs)
			d.mustSave(t, hard(2, 7, 10), run(2, 12, 2))
			if _, err := d.WriteSnapshot(meta(4, 2), slices.Values([][]byte{[]byte("state")})); err != nil {
				t.Fatal(err)
			}
			if name == "snapshot is damaged" { // and the log does not make up for it: see TestDamagedSnapshot
				if err := errors.Join(d.Adopt(meta(4, 2)), d.Compact(4), d.store.Close()); err != nil {
					t.Fatal(err)
				}
			}
			crashed := fs.CrashClone(nil, 1)
			damage(t, crashed)
			d, err := openDisk(crashed, crashed)
			if err == nil {
				err = d.ReadSnapshot(func([]byte) error { return nil })
			}
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, log.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
}

// TestTornTailIsCut: what was never promised may be lost.
func TestTornTailIsCut(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, fs)
	d.mustSave(t, hard(2, 7, 3), run(2, 3, 2))
	crashed := fs.CrashClone(nil, 1)
	f, err := crashed.Open("data/__cluster_metadata-0/00000000000000000000.log")
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0}, size); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, crashed)
	if last, _ := d.LastIndex(); last != 3 {
		t.Errorf("last index %d, want 3", last)
	}
	d.mustSave(t, nil, run(4, 5, 2))
}

// TestDiskErrors: a failing disk is an error of Save, and never a promise.
func TestDiskErrors(t *testing.T) {
	for _, rule := range []vfs.Rule{
		{Ops: vfs.OpSync, Path: stateName, Nth: 1, Err: errors.New("broken")},
		{Ops: vfs.OpWrite, Path: stateName, Nth: 1, Err: errors.New("broken")},
		{Ops: vfs.OpWrite, Path: ".log", Nth: 1, Err: errors.New("broken")},
		{Ops: vfs.OpSync, Path: ".log", Nth: 1, Err: errors.New("broken")},
	} {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem)
		d, err := openDisk(mem, faulty)
		if err != nil {
			t.Fatal(err)
		}
		faulty.Set(rule)
		if err := d.Save(hard(2, 7, 2), nil, run(2, 3, 2)); err == nil {
			t.Errorf("%v on %s: saved", rule.Ops, rule.Path)
		}
	}
}

var _ raft.Storage = (*disk)(nil)
