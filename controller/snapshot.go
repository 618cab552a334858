package controller

import (
	"fmt"
	"iter"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/log/vfs"
	"ottla/protocol"
)

// snapshotState is when the next snapshot is due, and the one being written.
type snapshotState struct {
	index   uint64 // of the newest one
	bytes   int64  // of entries applied since
	notYet  uint64 // none before this index: the disk was full
	writing bool
	written chan snapshotWritten // room for one: the writer never waits
}

// snapshotWritten is what became of one.
type snapshotWritten struct {
	metadata *pb.SnapshotMetadata
	size     int64
	err      error
}

// restore makes the newest snapshot the committed state.
func (c *Controller) restore() error {
	m := c.storage.SnapshotMetadata()
	if m == nil {
		c.speculative = c.committed
		return nil
	}
	restored, was := image.Empty(), c.committed
	err := c.storage.ReadSnapshot(func(chunk []byte) (err error) {
		restored, _, err = restored.ApplyList(protocol.Offset(m.GetIndex()), protocol.Term(m.GetTerm()), chunk)
		return err
	})
	if err != nil {
		return err
	}
	c.conf, c.applied, c.committed = m.GetConfState(), m.GetIndex(), restored
	c.lastIndex = max(c.lastIndex, c.applied)
	c.snapshot.index, c.snapshot.bytes = m.GetIndex(), 0
	c.dropSpeculation()
	if c.caughtUp {
		c.publish(image.Diff(was, restored))
	}
	return nil
}

// snapshotRetries is how many times a snapshot is tried, on a disk that stays full, before the next one would be due.
const snapshotRetries = 10

// maybeSnapshot begins to write the committed state, on a goroutine of its own, when enough has been applied since the last one.
func (c *Controller) maybeSnapshot() {
	due := c.applied-c.snapshot.index >= c.o.SnapshotEntries || c.snapshot.bytes >= c.o.SnapshotBytes
	if !due || c.snapshot.writing || c.applied < c.snapshot.notYet {
		return
	}
	m := &pb.SnapshotMetadata{Index: new(c.applied), Term: new(uint64(c.committed.Term())), ConfState: proto.CloneOf(c.conf)}
	state := c.committed
	c.snapshot.writing, c.snapshot.bytes = true, 0
	go func() {
		size, err := c.storage.WriteSnapshot(m, chunks(state))
		c.snapshot.written <- snapshotWritten{m, size, err}
	}()
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

// adoptSnapshot lets the log forget what the snapshot holds.
func (c *Controller) adoptSnapshot(w snapshotWritten) error {
	c.snapshot.writing = false
	if w.err != nil && vfs.DiskFull(w.err) {
		// The log goes on without it, and keeps what the snapshot would have replaced.
		c.snapshot.notYet = c.applied + c.o.SnapshotEntries/snapshotRetries
		c.o.Logger.Warn("metadata snapshot is put off", "index", w.metadata.GetIndex(), "error", w.err)
		return nil
	}
	if w.err != nil {
		return fmt.Errorf("write snapshot: %w", w.err)
	}
	if err := c.storage.Adopt(w.metadata); err != nil {
		return err
	}
	c.snapshot.index = max(c.snapshot.index, w.metadata.GetIndex())
	c.o.Metrics.snapshotSize.Set(float64(w.size))
	c.o.Logger.Info("metadata snapshot", "index", w.metadata.GetIndex(), "bytes", w.size)
	return c.storage.Compact(w.metadata.GetIndex())
}

// awaitSnapshot waits for the writer, if there is one.
func (c *Controller) awaitSnapshot() error {
	if !c.snapshot.writing {
		return nil
	}
	return c.adoptSnapshot(<-c.snapshot.written)
}
