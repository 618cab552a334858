package log_test

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// quorum is what a voter's memory has promised: term and vote, and entries with the terms that they were written in. While a suffix is being replaced only what precedes it is
// promised.
type quorum struct {
	term, vote, commit, last uint64
	terms                    []uint64 // of the indexes from 2 on
	next                     []uint64 // the terms that the entries may have as well: those that are being written
}

// metadata is the metadata log of a store.
type metadata struct {
	log     *log.Log
	storage *raftlog.Storage
	busy    bool
}

var metadataPartition = protocol.TopicPartition{Topic: "__cluster_metadata"}

func openRaft(store *log.Store, fsys vfs.FS) (*metadata, error) {
	c := log.DefaultConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.FileDeleteDelayMs = 2500, 300, 1000
	l, err := store.Open(metadataPartition, protocol.MetadataTopicID, c, log.NopObserver{})
	if err != nil {
		return nil, err
	}
	s, err := raftlog.Open(raftlog.Options{Log: l, FS: fsys, Dir: "quorum", Logger: quiet})
	if err != nil {
		return nil, err
	}
	return &metadata{log: l, storage: s}, nil
}

func (h *history) openMetadata() {
	m, err := openRaft(h.store, h.disk)
	if err == nil && m.storage.Fresh() {
		err = m.storage.Bootstrap("c")
		if h.left == nil {
			h.quorum = quorum{term: 1, commit: 1, last: 1}
		}
	}
	if err != nil {
		h.failf("open the metadata log: %w", err)
		return
	}
	h.meta = m
	if h.left == nil {
		h.adoptMetadata()
	}
}

// adoptMetadata compares, and takes what there is for what counts.
func (h *history) adoptMetadata() {
	if err := h.quorum.compare(h.meta.storage); err != nil {
		h.failf("metadata log: %w", err)
		return
	}
	s := h.meta.storage
	hs, _, err := s.InitialState()
	if err != nil {
		h.failf("metadata log: %w", err)
		return
	}
	last, err := s.LastIndex()
	if err != nil {
		h.failf("metadata log: %w", err)
		return
	}
	q := &h.quorum
	known := q.terms
	if !h.agree(q.terms, last) {
		known = q.next
	}
	q.terms = slices.Clone(known[:last-1])
	q.term, q.vote, q.commit, q.last, q.next = hs.GetTerm(), hs.GetVote(), hs.GetCommit(), last, nil
}

// agree tells whether the entries up to last are of the given terms.
func (h *history) agree(terms []uint64, last uint64) bool {
	if uint64(len(terms)+1) < last {
		return false
	}
	if last < 2 {
		return true
	}
	first, _ := h.meta.storage.FirstIndex()
	for i := max(first, 2); i <= last; i++ {
		if t, err := h.meta.storage.Term(i); err == nil && t != terms[i-2] {
			return false
		}
	}
	return true
}

func (h *history) stopMetadata() {
	if err := h.meta.storage.Close(); err != nil {
		h.failf("close the metadata log: %w", err)
	}
}

func (h *history) metadataBusy() bool { return h.meta != nil && h.meta.busy }

// metadata opens the metadata log that a cut has left.
func (r *restarted) metadata() error {
	if r.h.quorum.last == 0 {
		return nil // not founded
	}
	m, err := openRaft(r.store, r.disk)
	if err != nil {
		return err
	}
	r.h.checks++
	return r.h.quorum.compare(m.storage)
}

func entryOf(index, term uint64) *pb.Entry {
	data := bytes.Repeat([]byte{byte(index), byte(index >> 8), byte(term)}, 1+int(index*7%40))
	return &pb.Entry{Index: new(index), Term: new(term), Type: pb.EntryNormal.Enum(), Data: data}
}

func hardState(term, vote, commit uint64) *pb.HardState {
	return &pb.HardState{Term: new(term), Vote: new(vote), Commit: new(commit)}
}

// stepMetadata is one thing that a voter does.
func (h *history) stepMetadata() {
	h.meta.busy = true
	defer func() { h.meta.busy = false }()
	q, s := h.quorum, h.meta.storage
	var err error
	switch h.rng.IntN(7) {
	case 6:
		err = h.install(&q)
	case 0:
		h.say("vote in term %d", q.term+1)
		q.term, q.vote = q.term+1, h.rng.Uint64()
		err = s.Save(hardState(q.term, q.vote, q.commit), nil, nil)
	case 1:
		q.term, q.vote = q.term+1, 0
		if q.last > q.commit {
			q.last = q.commit + h.rng.Uint64N(q.last-q.commit)
			q.terms = slices.Clone(q.terms[:q.last-1])
		}
		h.say("a leader of term %d replaces what follows %d", q.term, q.last)
		err = h.save(&q)
	case 2:
		if q.commit <= s.SnapshotMetadata().GetIndex() || q.commit < 2 {
			return
		}
		h.say("metadata snapshot at %d", q.commit)
		m := snapshotAt(q.commit, q.terms[q.commit-2])
		if _, err = s.WriteSnapshot(m, slices.Values([][]byte{[]byte("state")})); err == nil {
			if err = s.Adopt(m); err == nil {
				err = s.Compact(q.commit)
			}
		}
	default:
		h.say("metadata entries behind %d", q.last)
		err = h.save(&q)
	}
	if err != nil {
		h.failf("metadata log: %w", err)
		return
	}
	h.quorum = q
}

func snapshotAt(index, term uint64) *pb.SnapshotMetadata {
	return &pb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: &pb.ConfState{Voters: []uint64{7}, AutoLeave: new(false)}}
}

// install takes over the snapshot of a leader that is far ahead: the log is emptied and goes on behind it.
func (h *history) install(q *quorum) error {
	m := snapshotAt(q.last+1+h.rng.Uint64N(9), q.term)
	h.say("metadata snapshot at %d is installed over entries up to %d", m.GetIndex(), q.last)
	data, err := snapshotBytes(m)
	if err != nil {
		return err
	}
	q.terms = slices.Clone(q.terms)
	for q.last < m.GetIndex() {
		q.last, q.terms = q.last+1, append(q.terms, q.term)
	}
	q.commit, h.quorum.next = q.last, q.terms
	q.next = nil
	return h.meta.storage.Save(hardState(q.term, q.vote, q.commit), &pb.Snapshot{Data: data, Metadata: m}, nil)
}

// snapshotBytes is a snapshot as another voter sends it.
func snapshotBytes(m *pb.SnapshotMetadata) ([]byte, error) {
	disk := vfs.NewMem()
	store, err := log.OpenStore(log.StoreOptions{FS: disk, Dirs: []string{"d"}, Logger: quiet})
	if err != nil {
		return nil, err
	}
	other, err := openRaft(store, disk)
	if err != nil {
		return nil, err
	}
	if _, err := other.storage.WriteSnapshot(m, slices.Values([][]byte{[]byte("state")})); err != nil {
		return nil, err
	}
	if err := other.storage.Adopt(m); err != nil {
		return nil, err
	}
	s, err := other.storage.Snapshot()
	return s.GetData(), err
}

// save appends entries, over those that follow q.last. Meanwhile only what stays is promised.
func (h *history) save(q *quorum) error {
	first := q.last + 1
	q.last += 1 + h.rng.Uint64N(12)
	q.terms = slices.Clone(q.terms)
	var entries []*pb.Entry
	for i := first; i <= q.last; i++ {
		q.terms = append(q.terms, q.term)
		entries = append(entries, entryOf(i, q.term))
	}
	q.commit += h.rng.Uint64N(q.last - q.commit + 1)
	h.quorum.last, h.quorum.next = min(h.quorum.last, first-1), q.terms
	q.next = nil
	return h.meta.storage.Save(hardState(q.term, q.vote, q.commit), nil, entries)
}

// compare checks a storage against what was promised.
func (q *quorum) compare(s *raftlog.Storage) error {
	hs, _, err := s.InitialState()
	if err != nil {
		return err
	}
	if hs.GetTerm() < q.term || hs.GetTerm() == q.term && hs.GetVote() != q.vote {
		return fmt.Errorf("term %d and vote %d, want %d and %d", hs.GetTerm(), hs.GetVote(), q.term, q.vote)
	}
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if last < q.last {
		return fmt.Errorf("it ends at entry %d, want %d", last, q.last)
	}
	if first = max(first, 2); first > last {
		return nil
	}
	entries, err := s.Entries(first, last+1, 1<<30)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := q.compareEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func (q *quorum) compareEntry(e *pb.Entry) error {
	i := e.GetIndex() - 2
	old := i < uint64(len(q.terms)) && q.terms[i] == e.GetTerm()
	fresh := e.GetIndex() > q.last && i < uint64(len(q.next)) && q.next[i] == e.GetTerm()
	if !old && !fresh {
		return fmt.Errorf("entry %d is of term %d, which nobody wrote", e.GetIndex(), e.GetTerm())
	}
	if !bytes.Equal(e.GetData(), entryOf(e.GetIndex(), e.GetTerm()).GetData()) {
		return fmt.Errorf("entry %d has other bytes", e.GetIndex())
	}
	return nil
}

var _ raft.Storage = (*raftlog.Storage)(nil)
