package raftlog

import (
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// openFresh opens a storage in which nothing is founded.
func openFresh(t *testing.T, fs vfs.FS) *Storage {
	t.Helper()
	store, err := log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	l, err := store.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, log.DefaultConfig(), log.NopObserver{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Log: l, FS: fs, Dir: "quorum", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestJoin cuts the power before every sync of a join: the next start finds a fresh folder or the whole of it, which nobody founds a cluster over.
func TestJoin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	mem := vfs.NewMem()
	whole := 0
	joining := true
	check := func() {
		if !joining {
			return
		}
		for _, survive := range []float64{0, 0.5, 1} {
			clone := mem.CrashClone(rng, survive)
			s := openFresh(t, clone)
			if s.Fresh() {
				if err := s.Join("c"); err != nil {
					t.Fatal(err)
				}
			} else {
				whole++
			}
			checkJoined(t, s)
			if founded, err := Founded(clone, "quorum"); err != nil || !founded {
				t.Fatalf("founded %v, %v", founded, err)
			}
		}
	}
	s := openFresh(t, hookFS{mem, check})
	if err := s.Join("c"); err != nil {
		t.Fatal(err)
	}
	id := s.RaftID()
	checkJoined(t, s)
	check()
	joining = false
	if whole == 0 {
		t.Error("it was never found again")
	}
	// What the leader sends goes behind the bootstrap batch, in a term of the leader's.
	if err := s.Save(hard(5, 0, 2), nil, run(1, 3, 4)); err != nil {
		t.Fatal(err)
	}
	s = openFresh(t, mem.CrashClone(rng, 0))
	if last, _ := s.LastIndex(); last != 3 || s.RaftID() != id || s.hard.term != 5 {
		t.Errorf("last index %d, raft id %d, state %+v", last, s.RaftID(), s.hard)
	}
}

func checkJoined(t *testing.T, s *Storage) {
	t.Helper()
	hs, conf, err := s.InitialState()
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	if err != nil || hs.GetTerm() != 0 || hs.GetVote() != 0 || hs.GetCommit() != 0 || len(conf.GetVoters()) != 0 || first != 1 || last != 0 {
		t.Fatalf("%v, %v, entries %d to %d, %v", hs, conf, first, last, err)
	}
	if s.RaftID() == 0 || s.ClusterID() != "c" || s.Fresh() {
		t.Fatalf("raft id %d, cluster %q", s.RaftID(), s.ClusterID())
	}
}

// TestChangesBehindChangesAreCommitted: a power cut took the commit, but not the knowledge that all changes of the members but the last are committed.
func TestChangesBehindChangesAreCommitted(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, fs)
	es := run(2, 9, 2)
	for _, i := range []int{1, 4} { // entries 3 and 6
		es[i].Type = pb.EntryConfChangeV2.Enum()
	}
	d.mustSave(t, hard(2, 7, 1), es)
	d = mustOpen(t, fs.CrashClone(nil, 0))
	if hs, _, _ := d.InitialState(); hs.GetCommit() != 3 {
		t.Errorf("commit %d, want 3", hs.GetCommit())
	}
}
