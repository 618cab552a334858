package quorum

import (
	"maps"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/raftlog"
)

// raftStorage is the storage as raft sees it.
type raftStorage struct {
	*raftlog.Storage
	q *Machine
}

// Snapshot implements raft.Storage: it is for another node. One in which that node is no member would be ignored there, so there is none until a new one is written,
// which raft asks for again with the next heartbeat.
func (s raftStorage) Snapshot() (*pb.Snapshot, error) {
	newest := s.SnapshotMetadata().GetConfState()
	if !covers(newest, s.q.conf) {
		s.q.snapshot.wanted = true
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	snapshot, err := s.Storage.Snapshot()
	if err != nil {
		s.q.failed = err // raft would panic
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return snapshot, nil
}

// covers tells whether every member of now is one of then.
func covers(then, now *pb.ConfState) bool {
	known := slices.Concat(then.GetVoters(), then.GetLearners(), then.GetVotersOutgoing())
	for _, ids := range [][]uint64{now.GetVoters(), now.GetLearners(), now.GetVotersOutgoing()} {
		if slices.ContainsFunc(ids, func(id uint64) bool { return !slices.Contains(known, id) }) {
			return false
		}
	}
	return true
}

// shipments is when a snapshot was sent to whom, in ticks.
type shipments map[uint64]uint64

// shipmentTicks is how long raft waits for the effect of a snapshot before it looks where the other node stands. It would wait for ever: a message can be lost.
const shipmentTicks = uint64(10 * time.Second / Tick)

// SnapshotSent says what became of a snapshot that was to be sent to a node: all of it left, or it will not. Nothing comes of saying it twice or about one never sent.
func (q *Machine) SnapshotSent(raftID uint64, ok bool) {
	delete(q.shipped, raftID)
	status := raft.SnapshotFailure
	if ok {
		status = raft.SnapshotFinish
	}
	q.node.ReportSnapshot(raftID, status)
}

// Unreachable says that messages to a node could not be sent.
func (q *Machine) Unreachable(raftID uint64) { q.node.ReportUnreachable(raftID) }

func (q *Machine) expireShipments() {
	for _, id := range slices.Sorted(maps.Keys(q.shipped)) {
		if q.ticks-q.shipped[id] >= shipmentTicks {
			q.SnapshotSent(id, false)
		}
	}
}

// MessageSize is about how many bytes a message holds.
func MessageSize(m *Message) int {
	const fixed, perEntry = 128, 64
	size := fixed + len(m.GetSnapshot().GetData()) + len(m.GetContext())
	for _, e := range m.GetEntries() {
		size += perEntry + len(e.GetData())
	}
	return size
}
