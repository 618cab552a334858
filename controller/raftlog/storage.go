package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/log"
	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// ErrDamaged says that what had been committed, or voted, is not as it was written: bytes changed, or files missing. Nothing is cut or repaired: a node without
// others must get its disk back; one among several can join again as a new incarnation.
var ErrDamaged = errors.New("the metadata log is damaged")

const temporarySuffix = ".tmp"

// Options says where the parts are.
type Options struct {
	Log    *log.Log // of __cluster_metadata-0
	FS     vfs.FS
	Dir    string // state file and snapshots; not the log's own folder, which the log makes and removes as it sees fit
	Logger *slog.Logger
	// Full, if not nil, is called when entries meet a full disk. It returns when they are to be tried again, or false to give up.
	Full func() bool
}

// Storage is one raft node's memory. Its methods are for one goroutine, but for WriteSnapshot, NewestSnapshot and SnapshotFile.
type Storage struct {
	log    *log.Log
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	full   func() bool

	state *stateFile // nil before Bootstrap or Join
	id    identity
	hard  hardState
	// Entries first to last are in the log. The index before first has a known term, of a batch that stays in the log for it (the bootstrap batch, at the
	// beginning) or of the snapshot.
	first, last uint64
	terms       terms
	recent      recent
	snapshot    *pb.SnapshotMetadata // the newest; nil if none
	newest      atomic.Pointer[SnapshotID]
	skipped     *skippedSnapshot // the newest that is damaged, if there is one

	builder *batch.Builder
	buf     []byte // batches on their way to the log
}

var _ raft.Storage = (*Storage)(nil)

// Open reads what is there: all of the log from its start, and the head of the newest snapshot. ErrDamaged if it does not fit together.
func Open(o Options) (*Storage, error) {
	s := &Storage{log: o.Log, fs: o.FS, dir: o.Dir, logger: o.Logger, full: o.Full, builder: batch.NewBuilder()}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open raft log in %s: %w", o.Dir, advised(err)), s.Close())
	}
	return s, nil
}

// advised adds what to do to an error that only people can mend.
func advised(err error) error {
	if errors.Is(err, log.ErrDamaged) && !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w (nothing was changed; 'ottla log verify' shows what is damaged. A node alone needs its data folder back from a copy or from a sound disk; "+
			"one among several can be emptied, and joins again as a new one)", err)
	}
	return err
}

func (s *Storage) open() (err error) {
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return err
	}
	if err := s.fs.SyncDir(path.Dir(s.dir)); err != nil {
		return err
	}
	// The last process may have been killed between a rename and this: what is found counts from here on, so its name has to last.
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	if err := s.openSnapshot(); err != nil {
		return err
	}
	if s.state, s.id, s.hard, err = openState(s.fs, s.dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return errors.Join(s.log.Demand(0), s.checkFresh())
		}
		return err
	}
	// Before the log looks at its files: what was committed is no torn tail. A snapshot that goes further takes the place of it, and may have begun to.
	var floor protocol.Offset
	if s.hard.commit > s.snapshot.GetIndex() {
		floor = protocol.Offset(s.hard.commit + 1)
	}
	if err := s.log.Demand(floor); err != nil {
		return err
	}
	if err := s.checkSkipped(); err != nil {
		return err
	}
	if err := s.reconcile(); err != nil {
		return err
	}
	// Killed before it had waited for the disk, the last process has left entries in the page cache: from here on they count, and other voters are told that they are here.
	if err := s.untilRoom(s.log.Flush); err != nil {
		return err
	}
	return s.load()
}

// checkFresh accepts a folder without a state file only if nothing was ever decided there: at most a bootstrap that did not come to its end.
func (s *Storage) checkFresh() error {
	if s.snapshot != nil || s.log.LogStartOffset() > 0 || s.log.LogEndOffset() > firstEntry+1 {
		return fmt.Errorf("%w: there are entries, but no %s: it was lost, or Apache Kafka wrote them", ErrDamaged, stateName)
	}
	return nil
}

// reconcile ends an installation that a crash interrupted between the snapshot's rename and the log's reset.
func (s *Storage) reconcile() error {
	if s.snapshot == nil {
		return nil
	}
	index, next := s.snapshot.GetIndex(), protocol.Offset(s.snapshot.GetIndex()+1)
	if start := s.log.LogStartOffset(); start == next {
		return nil
	} else if start > next {
		return fmt.Errorf("%w: the log starts at %d, the snapshot ends at %d", ErrDamaged, start, index)
	}
	if s.log.LogEndOffset() >= next {
		at, err := s.readOne(protocol.Offset(index))
		if err != nil {
			return err
		}
		if at.term == s.snapshot.GetTerm() {
			return nil
		}
	}
	if s.hard.commit > index {
		return fmt.Errorf("%w: committed up to %d, but the log does not go on from the snapshot at %d", ErrDamaged, s.hard.commit, index)
	}
	s.logger.Warn("metadata log replaced by the snapshot that was being installed", "index", index, "end", s.log.LogEndOffset())
	return s.log.ResetTo(next)
}

// load reads the whole log: it checks every batch and learns terms and the newest entries.
func (s *Storage) load() error {
	start, end := s.log.LogStartOffset(), s.log.LogEndOffset()
	if s.snapshot == nil && start != 0 {
		return fmt.Errorf("%w: the log starts at %d and there is no snapshot", ErrDamaged, start)
	}
	if uint64(end) <= s.hard.commit {
		return fmt.Errorf("%w: committed up to %d, but the log ends before %d", ErrDamaged, s.hard.commit, end)
	}
	if s.snapshot != nil && uint64(start) == s.snapshot.GetIndex()+1 {
		s.first, s.last = uint64(start), uint64(start)-1
		s.terms.add(s.snapshot.GetIndex(), s.snapshot.GetTerm())
	} else {
		base, err := s.readOne(start)
		if err != nil {
			return err
		}
		s.first, s.last = uint64(start)+1, uint64(start)
		s.terms.add(uint64(start), base.term)
	}
	var last, previous uint64 // changes of the members
	err := s.scan(protocol.Offset(s.first), end, func(i item) (bool, error) {
		e, err := i.entry()
		if err != nil {
			return false, err
		}
		s.noteAppended(e)
		if e.GetType() != pb.EntryNormal {
			last, previous = e.GetIndex(), last
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	// A leader proposes a change of the members only behind one that is committed. This must be known here, whatever a power cut took of the commit: who
	// is two configurations behind may hold a majority that is none any more, and a founder would elect itself.
	s.hard.commit = max(s.hard.commit, previous)
	if s.hard.term < s.terms.at(s.last) {
		return fmt.Errorf("%w: the last entry is of term %d, the stored term is %d", ErrDamaged, s.terms.at(s.last), s.hard.term)
	}
	return nil
}

func (s *Storage) noteAppended(e *pb.Entry) {
	s.last = e.GetIndex()
	s.terms.add(s.last, e.GetTerm())
	s.recent.add(e)
}

// Fresh tells whether nothing was ever stored here: Bootstrap or Join comes first.
func (s *Storage) Fresh() bool { return s.state == nil }

// RaftID is this incarnation's; ClusterID whose metadata this is.
func (s *Storage) RaftID() uint64    { return s.id.raftID }
func (s *Storage) ClusterID() string { return s.id.clusterID }

// InitialState implements raft.Storage. What the snapshot holds is committed, whatever the state file knows of it.
func (s *Storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hs := &pb.HardState{Term: new(s.hard.term), Vote: new(s.hard.vote), Commit: new(max(s.hard.commit, s.snapshot.GetIndex()))}
	conf := &pb.ConfState{}
	if s.snapshot != nil {
		conf = proto.CloneOf(s.snapshot.GetConfState())
	}
	return hs, pb.EnsureConfState(conf), nil
}

// FirstIndex implements raft.Storage.
func (s *Storage) FirstIndex() (uint64, error) { return s.first, nil }

// LastIndex implements raft.Storage.
func (s *Storage) LastIndex() (uint64, error) { return s.last, nil }

// Term implements raft.Storage.
func (s *Storage) Term(index uint64) (uint64, error) {
	switch {
	case index+1 < s.first:
		return 0, raft.ErrCompacted
	case index > s.last:
		return 0, raft.ErrUnavailable
	}
	return s.terms.at(index), nil
}

// Entries implements raft.Storage. The newest come from memory, older ones from the log.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	switch {
	case lo < s.first:
		return nil, raft.ErrCompacted
	case lo >= hi || hi > s.last+1:
		return nil, raft.ErrUnavailable
	}
	out := make([]*pb.Entry, 0, min(hi-lo, 1024))
	size := uint64(0)
	fits := func(e *pb.Entry) bool {
		size += uint64(proto.Size(e))
		if len(out) > 0 && size > maxSize {
			return false
		}
		out = append(out, e)
		return true
	}
	if cached := s.recent.from(lo, hi); cached != nil {
		for _, e := range cached {
			if !fits(e) {
				break
			}
		}
		return out, nil
	}
	err := s.scan(protocol.Offset(lo), protocol.Offset(hi), func(i item) (bool, error) {
		e, err := i.entry()
		return err == nil && fits(e), err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Close makes the last commit durable and closes the state file; the log is its owner's.
func (s *Storage) Close() error {
	if s.state == nil {
		return nil
	}
	err := s.state.close()
	s.state = nil
	return err
}

// removeTemporary drops files whose writing was interrupted.
func (s *Storage) removeTemporary() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), temporarySuffix) {
			if err := s.fs.Remove(path.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
