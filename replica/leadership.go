package replica

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
)

// Leadership is a partition in one leader epoch of this broker: what a coordinator writes through, whose state is of no use in another one. When the epoch is over,
// every method gives NOT_LEADER_OR_FOLLOWER, also if this broker leads again. Its methods are safe for concurrent use, but for Await.
type Leadership struct {
	partition *Partition
	epoch     protocol.LeaderEpoch
	purgatory *purgatory.Purgatory
	waiter    purgatory.Waiter
	waited    bool // waiter has to be finished before it is used again
}

// Leadership is the partition as this broker leads it in the epoch, whether it is over or not.
//
// Errors: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER: there is no replica here.
func (m *Manager) Leadership(id protocol.TopicID, partition int32, epoch protocol.LeaderEpoch, p *purgatory.Purgatory) (*Leadership, error) {
	found := m.table.partition(id, partition)
	if found == nil {
		return nil, m.missing(id, partition)
	}
	return &Leadership{partition: found, epoch: epoch, purgatory: p}, nil
}

// leads checks the epoch and loads the log at the first use.
func (l *Leadership) leads() error {
	if protocol.LeaderEpoch(l.partition.epoch.Load()) != l.epoch {
		return l.partition.notLeader()
	}
	return l.partition.ready()
}

// Append adds one batch as the broker's own, asks for acks=all and waits for nothing: see Partition.Append. records are patched in place and not kept.
func (l *Leadership) Append(records []byte) (base protocol.Offset, err error) {
	var info log.AppendInfo
	if err := l.partition.append(l.epoch, records, acksAll, log.AppendOptions{Origin: log.Internal}, &info); err != nil {
		return protocol.NoOffset, err
	}
	return info.BaseOffset, nil
}

// Read copies whole batches into buf, from the one that holds from on, up to the log's end: above the high watermark too. A batch that is larger than buf comes alone in
// new memory. Nothing is the log's end.
//
// Errors: OFFSET_OUT_OF_RANGE before the log start or beyond the end, KAFKA_STORAGE_ERROR.
func (l *Leadership) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	if err := l.leads(); err != nil {
		return nil, err
	}
	var r log.Range
	if err := l.partition.log.Read(from, l.partition.log.LogEndOffset(), len(buf), true, &r); err != nil || r.Source == nil {
		return nil, err
	}
	defer r.Source.Release()
	if r.Size > len(buf) {
		buf = make([]byte, r.Size)
	}
	if _, err := r.Source.ReadAt(buf[:r.Size], r.Position); err != nil {
		return nil, fmt.Errorf("%w: read %s at offset %d: %w", kerr.KafkaStorageError, l.partition.log.TopicPartition(), from, err)
	}
	return buf[:r.Size], nil
}

// Offsets is where the partition stands.
func (l *Leadership) Offsets() (log.Offsets, error) {
	if err := l.leads(); err != nil {
		return log.Offsets{}, err
	}
	return l.partition.Offsets(), nil
}

// wakeFunc is a func as the purgatory calls it.
type wakeFunc func()

func (w wakeFunc) Wake() { w() }

// Await calls wake once when the high watermark has reached at, or the epoch is over, or the log failed, which Offsets then tells; from any goroutine, possibly before it
// returns. The one before must have called its wake; calls come one after the other.
func (l *Leadership) Await(at protocol.Offset, wake func()) {
	if l.waited {
		l.waiter.Finish()
	}
	l.waited = true
	l.purgatory.Start(&l.waiter, wakeFunc(wake), time.Time{})
	l.waiter.Offset(&l.partition.waiters, at)
	// A leadership that ended before the condition was registered has failed others, not this one; what comes now fails it.
	if protocol.LeaderEpoch(l.partition.epoch.Load()) != l.epoch {
		l.waiter.Finish()
		l.waited = false
		wake()
		return
	}
	l.waiter.Ready(0)
}
