package raftlog

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/sabotage"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// firstEntry is the index of the first raft entry; offset 0 is the bootstrap batch, whose term 0 is what raft expects before it.
const firstEntry = 1

// Bootstrap begins the log of a new cluster with this node as the only voter: the bootstrap batch, and the committed entry that adds the voter, so that the
// log tells of every member there ever was. The node gets a random raft id. Interrupted, it leaves a fresh folder.
func (s *Storage) Bootstrap(clusterID string) error {
	id := identity{raftID: newRaftID(), clusterID: clusterID}
	voter, err := proto.Marshal(&pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(id.raftID)})
	if err != nil {
		return fmt.Errorf("bootstrap: encode first voter: %w", err)
	}
	b := appendBatch(s.bootstrapBatch(clusterID), s.builder, firstEntry, 1, kindConfChange, voter)
	if err := s.begin(id, hardState{term: 1, commit: firstEntry}, b); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// Join begins the log of a node that founds nothing: the bootstrap batch, no term, no vote and no members. The leader of the cluster sends it everything else.
// The node gets a random raft id. Interrupted, it leaves a fresh folder.
func (s *Storage) Join(clusterID string) error {
	id := identity{raftID: newRaftID(), clusterID: clusterID}
	if sabotage.On(sabotage.WipedVotesAgain) {
		id.raftID = uint64(crc32.ChecksumIEEE([]byte(s.dir))) // the same for the same node
	}
	if err := s.begin(id, hardState{}, s.bootstrapBatch(clusterID)); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// bootstrapBatch is what the log of every node of a cluster begins with.
func (s *Storage) bootstrapBatch(clusterID string) []byte {
	return appendBatch(nil, s.builder, 0, 0, kindBootstrap, []byte(clusterID))
}

// begin makes a fresh folder a node's memory. The state file comes last: without it the folder is fresh.
func (s *Storage) begin(id identity, hs hardState, batches []byte) error {
	if s.log.LogEndOffset() > 0 {
		if err := s.log.ResetTo(0); err != nil {
			return err
		}
	}
	if err := s.write(batches); err != nil {
		return err
	}
	if err := createState(s.fs, s.dir, id, hs); err != nil {
		return err
	}
	var err error
	if s.state, s.id, s.hard, err = openState(s.fs, s.dir); err != nil {
		return err
	}
	return s.load()
}

// newRaftID draws an id that was never used: not 0, and not one of those that raft keeps for its local threads, at the top.
func newRaftID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return binary.BigEndian.Uint64(b[:])%(math.MaxInt64) + 1
}

// Save makes what a Ready demands durable, in the order that keeps a crash at any point harmless: term and vote with the commit so far; the snapshot, which
// resets the log; the entries, over a conflicting suffix; at last, without waiting, the commit. Messages may be sent when it returns.
// Any of the three may be nil or empty.
func (s *Storage) Save(hs *pb.HardState, snapshot *pb.Snapshot, entries []*pb.Entry) error {
	if hs != nil && (hs.GetTerm() != s.hard.term || hs.GetVote() != s.hard.vote) {
		next := hardState{term: hs.GetTerm(), vote: hs.GetVote(), commit: s.hard.commit}
		write := s.state.writeSync
		if sabotage.On(sabotage.VoteBeforePersist) {
			write = s.state.writeLazy
		}
		if err := write(next); err != nil {
			return err
		}
		s.hard = next
	}
	if !raft.IsEmptySnap(snapshot) {
		if err := s.install(snapshot); err != nil {
			return fmt.Errorf("install snapshot %d: %w", snapshot.GetMetadata().GetIndex(), err)
		}
	}
	if len(entries) > 0 {
		if err := s.append(entries); err != nil {
			return fmt.Errorf("append raft entries from %d: %w", entries[0].GetIndex(), err)
		}
	}
	// Everything up to last is on disk here.
	if commit := min(hs.GetCommit(), s.last); commit > s.hard.commit {
		s.hard.commit = commit
		return s.state.writeLazy(s.hard)
	}
	return nil
}

// SyncCommit makes the commit index that was saved last durable: it must outlive what the others do once they know that it has moved.
func (s *Storage) SyncCommit() error { return s.state.writeSync(s.hard) }

// append writes entries behind those that stay, and waits for the disk.
func (s *Storage) append(entries []*pb.Entry) error {
	first := entries[0].GetIndex()
	if first > s.last+1 || first <= s.hard.commit {
		return fmt.Errorf("entries from %d do not fit a log that ends at %d and is committed up to %d", first, s.last, s.hard.commit)
	}
	if first <= s.last {
		if err := s.log.Truncate(protocol.Offset(first)); err != nil {
			return err
		}
		s.last = first - 1
		s.terms.cut(first)
		s.recent.cut(first)
	}
	s.buf = s.buf[:0]
	for _, e := range entries {
		var err error
		if s.buf, err = appendEntry(s.buf, s.builder, e); err != nil {
			return err
		}
	}
	if err := s.write(s.buf); err != nil {
		return err
	}
	for _, e := range entries {
		s.noteAppended(e)
	}
	if cap(s.buf) > maxRecentSize {
		s.buf = nil
	}
	return nil
}

// write appends batches and waits for the disk. A full one refuses before anything is lost, so either half may be tried again; a failed one is final.
func (s *Storage) write(batches []byte) error {
	err := s.untilRoom(func() error {
		var info log.AppendInfo
		return s.log.Append(batches, log.AppendOptions{Origin: log.Replica}, &info)
	})
	if err != nil {
		return err
	}
	if sabotage.On(sabotage.CommitUnflushed) {
		return nil
	}
	return s.untilRoom(s.log.Flush)
}

func (s *Storage) untilRoom(f func() error) error {
	for {
		err := f()
		if err == nil || !vfs.DiskFull(err) || s.log.Err() != nil || s.full == nil || !s.full() {
			return err
		}
	}
}

// Compact forgets the entries up to index, which the newest snapshot covers. The batch at index itself stays in the log for its term.
func (s *Storage) Compact(index uint64) error {
	if index < s.first {
		return nil
	}
	if index > s.snapshot.GetIndex() {
		return fmt.Errorf("compact metadata log to %d: the newest snapshot is at %d", index, s.snapshot.GetIndex())
	}
	if err := s.log.AdvanceLogStart(protocol.Offset(index)); err != nil {
		return fmt.Errorf("compact metadata log to %d: %w", index, err)
	}
	s.first = index + 1
	s.terms.compact(index)
	s.recent.compact(index)
	return nil
}
