package replica

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
)

// Leadership is a partition that this broker leads in one epoch: what a coordinator keeps its state in (runtime.PartitionLog). When the epoch is over every method fails,
// also if this broker leads again. Its methods are safe for concurrent use, but there is one Await at a time.
//
// Errors: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH and UNKNOWN_LEADER_EPOCH for an epoch that is over or has not come, KAFKA_STORAGE_ERROR.
type Leadership struct {
	partition *Partition
	epoch     protocol.LeaderEpoch

	waiter purgatory.Waiter
	wake   func()
}

// Leadership is a partition in the epoch in which this broker leads it. It is made without a lock and loads nothing: the log is loaded at the first use.
//
// Errors: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER if there is no replica here.
func (m *Manager) Leadership(id protocol.TopicID, partition int32, epoch protocol.LeaderEpoch) (*Leadership, error) {
	p := m.table.partition(id, partition)
	if p == nil {
		return nil, m.missing(id, partition)
	}
	return &Leadership{partition: p, epoch: epoch}, nil
}

// Append adds one batch of the broker's own, patched in place, with acks=all, and says at which offset it is. It waits neither for the flush nor for replicas: the
// caller comes to Store.Settle when it has nothing more to append.
//
// Errors: those of a Leadership and of Partition.Append.
func (l *Leadership) Append(records []byte) (base protocol.Offset, err error) {
	epoch, err := l.partition.leads(l.epoch)
	if err != nil {
		return protocol.NoOffset, err
	}
	var info log.AppendInfo
	if err := l.partition.appendIn(epoch, records, acksAll, log.AppendOptions{Origin: log.Internal, Settles: true}, &info); err != nil {
		return protocol.NoOffset, err
	}
	return info.BaseOffset, nil
}

// Read copies whole batches into buf, which it overwrites, and returns them: from the one that holds from on, up to the log's end, which may be above the high watermark.
// A batch larger than buf comes alone, in new memory. Nothing is the log's end.
//
// Errors: those of a Leadership; OFFSET_OUT_OF_RANGE outside the log.
func (l *Leadership) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	p := l.partition
	if _, err := p.leads(l.epoch); err != nil {
		return nil, err
	}
	var r log.Range
	if err := p.log.Read(from, p.log.LogEndOffset(), cap(buf), true, &r); err != nil || r.Source == nil {
		return nil, err
	}
	defer r.Source.Release()
	if r.Size > cap(buf) {
		buf = make([]byte, r.Size)
	}
	buf = buf[:r.Size]
	if n, err := r.Source.ReadAt(buf, r.Position); n < len(buf) {
		return nil, fmt.Errorf("%w: read %s: %w", kerr.KafkaStorageError, p.log.TopicPartition(), err)
	}
	return buf, nil
}

// Offsets tells where the partition stands. Errors: those of a Leadership.
func (l *Leadership) Offsets() (log.Offsets, error) {
	if _, err := l.partition.leads(l.epoch); err != nil {
		return log.Offsets{}, err
	}
	return l.partition.Offsets(), nil
}

// Await calls wake once, when the high watermark has reached at or Offsets has an error to tell; from any goroutine, possibly before it returns.
func (l *Leadership) Await(at protocol.Offset, wake func()) {
	l.waiter.Finish() // of the wait before; of none, it does nothing
	l.wake = wake
	l.partition.manager.waits.Start(&l.waiter, (*leadershipWaker)(l), time.Time{})
	l.waiter.Offset(l.partition.Waiters(), at)
	// A leadership that ended before the condition was registered has failed others, not this one; one that ends from here on fails it.
	if protocol.LeaderEpoch(l.partition.epoch.Load()) != l.epoch {
		l.waiter.Finish()
		wake()
		return
	}
	l.waiter.Ready(0)
}

// leadershipWaker is the Leadership as the purgatory sees it. The wait is over when it calls, so the next one may begin meanwhile.
type leadershipWaker Leadership

func (w *leadershipWaker) Wake() { w.wake() }
