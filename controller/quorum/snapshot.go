package quorum

import (
	"fmt"
	"iter"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/controller/record"
	"ottla/controller/sabotage"
	"ottla/log/vfs"
	"ottla/protocol"
)

// snapshotState is when the next snapshot is due, and the one being written.
type snapshotState struct {
	index   uint64 // of the newest one
	bytes   int64  // of entries applied since
	notYet  uint64 // none before this index: the disk was full
	wanted  bool   // by raft, for another node
	writing bool
	due     *SnapshotWork // to be handed out by Ready
}

// SnapshotWork is a snapshot that is to be written.
type SnapshotWork struct {
	storage  *raftlog.Storage
	metadata *pb.SnapshotMetadata
	state    *image.Image
	size     int64
	err      error
}

// Write writes the file. It may take long, and run beside everything else.
func (w *SnapshotWork) Write() { w.size, w.err = w.storage.WriteSnapshot(w.metadata, chunks(w.state)) }

// restore makes the newest snapshot the committed state.
func (q *Machine) restore() error {
	m := q.storage.SnapshotMetadata()
	if m == nil {
		q.speculative = q.committed
		return nil
	}
	restored, was := image.Empty(), q.committed
	err := q.storage.ReadSnapshot(func(chunk []byte) (err error) {
		restored, _, err = restored.ApplyList(protocol.Offset(m.GetIndex()), protocol.Term(m.GetTerm()), chunk)
		return err
	})
	if err != nil {
		return err
	}
	q.conf, q.applied, q.committed = m.GetConfState(), m.GetIndex(), restored
	if q.lastIndex, err = q.storage.LastIndex(); err != nil {
		return err
	}
	q.snapshot.index, q.snapshot.bytes = m.GetIndex(), 0
	q.dropSpeculation()
	if q.catchUp.done {
		q.publish(image.Diff(was, restored))
	}
	return nil
}

// snapshotRetries is how many times a snapshot is tried, on a disk that stays full, before the next one would be due.
const snapshotRetries = 10

// maybeSnapshot has the committed state written when enough has been applied since the last time.
func (q *Machine) maybeSnapshot() {
	due := q.applied-q.snapshot.index >= q.o.SnapshotEntries || q.snapshot.bytes >= q.o.SnapshotBytes || q.snapshot.wanted && q.applied > q.snapshot.index
	if !due || q.snapshot.writing || q.applied < q.snapshot.notYet {
		return
	}
	m := &pb.SnapshotMetadata{Index: new(q.applied), Term: new(uint64(q.committed.Term())), ConfState: proto.CloneOf(q.conf)}
	if sabotage.On(sabotage.SnapshotWithoutLearners) {
		m.ConfState.Learners = nil
	}
	q.snapshot.due = &SnapshotWork{storage: q.storage, metadata: m, state: q.committed}
	q.snapshot.writing, q.snapshot.wanted, q.snapshot.bytes = true, false, 0
}

// chunks is the state as encoded lists of records.
func chunks(state *image.Image) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rs := range record.Split(state.Snapshot()) {
			if !yield(record.Encode(rs)) {
				return
			}
		}
	}
}

// Wrote takes a snapshot back that has been written, or not: the log forgets what is in it, or, where other nodes may still be behind, what was in the one before. An error is final.
func (q *Machine) Wrote(w *SnapshotWork) error {
	q.snapshot.writing = false
	if w.err != nil && vfs.DiskFull(w.err) {
		// The log goes on without it, and keeps what the snapshot would have replaced.
		q.snapshot.notYet = q.applied + q.o.SnapshotEntries/snapshotRetries
		q.o.Logger.Warn("metadata snapshot is put off", "index", w.metadata.GetIndex(), "error", w.err)
		return nil
	}
	if w.err != nil {
		return fmt.Errorf("write snapshot: %w", w.err)
	}
	if err := q.storage.Adopt(w.metadata); err != nil {
		return err
	}
	compact := w.metadata.GetIndex()
	if !q.Alone() {
		compact = min(compact, q.snapshot.index)
	}
	q.snapshot.index = max(q.snapshot.index, w.metadata.GetIndex())
	q.o.Metrics.snapshotSize.Set(float64(w.size))
	q.o.Logger.Info("metadata snapshot", "index", w.metadata.GetIndex(), "bytes", w.size)
	return q.storage.Compact(compact)
}
