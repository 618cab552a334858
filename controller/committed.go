package controller

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/quorum"
	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
)

// follow is what this node gives to those that follow the metadata without a part in the quorum. They see what the published image has, and read the log and the snapshot files
// themselves: the driver only says how far.
type follow struct {
	waiters   purgatory.List
	inContact atomic.Bool
	told      protocol.Offset // to the waiters; the driver's
}

// errCutOff has followers look for another member.
var errCutOff = protocol.Errorf(kerr.NotLeaderForPartition, "This node has not caught up with the metadata quorum, or has lost contact with it.")

// show tells who waits how far the image has come: once for all that a turn has published, after the requests that caused it were answered.
func (f *follow) show(high protocol.Offset, inContact bool) {
	was := f.inContact.Swap(inContact)
	switch {
	case !inContact && was:
		f.waiters.Fail()
	case inContact && (!was || high > f.told):
		f.told = high
		f.waiters.Advance(high, 0)
	}
}

// ReadCommitted finds whole batches of the metadata log, at most maxBytes but always one, from the entry at from on up to the high watermark, which is one past the published image.
// out.Range is pinned for the caller; it is empty where there is nothing yet, however far from is ahead. It waits for no other work of the driver's.
//
// Errors: NOT_LEADER_OR_FOLLOWER while this node has published nothing, or has heard of no leader for two seconds; OFFSET_OUT_OF_RANGE below out.Offsets.LogStart;
// KAFKA_STORAGE_ERROR.
func (c *Controller) ReadCommitted(from protocol.Offset, maxBytes int, out *log.ReadResult) error {
	*out = log.ReadResult{}
	img := c.published.Load()
	if !c.follow.inContact.Load() || img.Offset() < 0 {
		return errCutOff
	}
	high := img.Offset() + 1
	out.Offsets = log.Offsets{LogStart: c.o.Log.LogStartOffset(), HighWatermark: high, LastStable: high, LogEnd: high, Epoch: protocol.LeaderEpoch(img.Term())}
	if from >= high {
		return nil
	}
	err := c.o.Log.Read(from, high, maxBytes, true, &out.Range)
	if err != nil {
		out.Offsets.LogStart = c.o.Log.LogStartOffset() // it may have moved on, and be the reason
	}
	return err
}

// CommittedWaiters is advanced to the high watermark when that has risen, and failed when ReadCommitted begins to fail.
func (c *Controller) CommittedWaiters() *purgatory.List { return &c.follow.waiters }

// NewestSnapshot names the newest snapshot by the offset behind it and its term; false if there is none.
func (c *Controller) NewestSnapshot() (end protocol.Offset, term protocol.Term, ok bool) {
	id, ok := c.storage.NewestSnapshot()
	return id.End, id.Term, ok
}

// ReadSnapshot reads at most maxBytes of a snapshot from position on, and tells its size. Errors: SNAPSHOT_NOT_FOUND, also of one that was replaced meanwhile; POSITION_OUT_OF_RANGE;
// KAFKA_STORAGE_ERROR.
func (c *Controller) ReadSnapshot(end protocol.Offset, term protocol.Term, position int64, maxBytes int) (b []byte, size int64, err error) {
	f, err := c.storage.SnapshotFile(raftlog.SnapshotID{End: end, Term: term})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, protocol.Errorf(kerr.SnapshotNotFound, "There is no snapshot of the metadata up to offset %d in term %d.", end, term)
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
	}
	defer func() { _ = f.Close() }() // only read
	if size, err = f.Size(); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
	}
	if position < 0 || position >= size {
		return nil, size, protocol.Errorf(kerr.PositionOutOfRange, "Position %d is not in a snapshot of %d bytes.", position, size)
	}
	b = make([]byte, min(int64(max(maxBytes, 0)), size-position))
	if n, err := f.ReadAt(b, position); n < len(b) {
		return nil, size, fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
	}
	return b, size, nil
}

// Committed calls done once with an offset: whoever has all before it has all that was committed when Committed was called. See quorum.Machine.Committed. done runs on the
// driver's goroutine, or on the caller's, and must not block. Errors: NOT_CONTROLLER.
func (c *Controller) Committed(done func(protocol.Offset, error)) {
	taken := c.queue.call(func(m *quorum.Machine) {
		if m == nil {
			done(protocol.NoOffset, quorum.ErrNotController)
			return
		}
		m.Committed(done)
	})
	if !taken {
		done(protocol.NoOffset, quorum.ErrNotController)
	}
}
