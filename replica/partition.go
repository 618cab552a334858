package replica

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
)

// Partition is one replica on this broker. Its methods are for the leader: callers get a Partition from Manager.Leader and meet NOT_LEADER_OR_FOLLOWER if
// leadership has gone since.
type Partition struct {
	manager *Manager
	log     *log.Log
	waiters purgatory.List

	// Read without mu, changed under it.
	epoch  atomic.Int32 // the leader epoch that this broker leads in; -1: it does not lead
	begun  atomic.Bool  // the log is loaded and the high watermark known: at the first use of a leadership
	short  atomic.Bool  // the in-sync set is smaller than min.insync.replicas
	high   atomic.Int64 // high watermark
	starts atomic.Int64 // where the leader epoch began
	// durable tells which end counts: that of the durable part, or of the log.
	durable atomic.Bool

	mu      sync.Mutex
	sync    insync
	unshown int64 // bytes appended above the high watermark
}

// observer is the Partition as its log sees it.
type observer Partition

var (
	_ log.Observer  = (*observer)(nil)
	_ log.Committer = (*observer)(nil)
)

// Durable runs on the flusher's goroutine.
func (o *observer) Durable(_ *log.Log, end protocol.Offset) { (*Partition)(o).reached(end, true) }

// Offline fails those who wait: their call finds the storage error when it looks again.
func (o *observer) Offline(_ *log.Log, _ error) {
	p := (*Partition)(o)
	p.manager.metrics.offline.Inc()
	p.waiters.Fail()
}

// Committed bounds compaction.
func (o *observer) Committed(*log.Log) protocol.Offset { return (*Partition)(o).Offsets().LastStable }

// update follows the image: leadership, in-sync set and configuration.
func (p *Partition) update(state *image.Partition, t topicSettings) {
	me := p.manager.broker
	leads := state.Leader == me
	epoch := protocol.NoLeaderEpoch
	if leads {
		epoch = state.LeaderEpoch
	}
	p.mu.Lock()
	was := protocol.LeaderEpoch(p.epoch.Load())
	if epoch != was {
		p.begun.Store(false)
	}
	p.durable.Store(t.log.Durable)
	if p.begun.Load() {
		p.sync.local = p.end() // the other kind of end may be lower; the high watermark stays
	}
	p.sync.lead(me, state.ISR, len(state.Replicas), t.minInSync, epoch != was)
	p.short.Store(!p.sync.enough())
	p.epoch.Store(int32(epoch))
	p.mu.Unlock()
	switch {
	case epoch != was && was != protocol.NoLeaderEpoch:
		p.waiters.Fail()
	case p.begun.Load():
		// A smaller set, a lower minimum or other durability may commit what could not be before.
		p.reached(p.end(), t.log.Durable)
		p.hurry()
	}
}

// resign ends a leadership for good.
func (p *Partition) resign() {
	p.mu.Lock()
	p.epoch.Store(int32(protocol.NoLeaderEpoch))
	p.begun.Store(false)
	p.mu.Unlock()
	p.waiters.Fail()
}

// hurry asks for a flush, if it is a flush that somebody waits for.
func (p *Partition) hurry() { p.flush(false) }

// flush is hurry for a caller who may settle it by itself later.
func (p *Partition) flush(settles bool) {
	switch {
	case !p.durable.Load():
	case settles:
		p.log.WantFlush()
	default:
		p.log.RequestFlush()
	}
}

// end is the end that counts.
func (p *Partition) end() protocol.Offset {
	if p.durable.Load() {
		return p.log.DurableEndOffset()
	}
	return p.log.LogEndOffset()
}

// ready is the error of a partition that cannot be used. The first call of a leadership loads the log.
func (p *Partition) ready() error {
	if p.begun.Load() {
		if err := p.log.Err(); err != nil {
			return fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
		}
		return nil
	}
	return p.begin()
}

// begin finds out where a new leader stands. Several goroutines may come here at once; each does the part without a lock, which is harmless to do twice.
func (p *Partition) begin() error {
	epoch := protocol.LeaderEpoch(p.epoch.Load())
	if epoch == protocol.NoLeaderEpoch {
		return p.notLeader()
	}
	end, err := p.log.BeginEpoch(epoch)
	if err != nil {
		return err
	}
	if p.log.Config().Durable && p.log.DurableEndOffset() < end {
		// What recovery found may not be on disk yet. A leader answers once it knows that its own log end is.
		if err := p.log.Flush(); err != nil {
			return err
		}
	}
	at := floor(p.log, protocol.Offset(p.high.Load()))
	p.mu.Lock()
	if protocol.LeaderEpoch(p.epoch.Load()) != epoch || p.begun.Load() {
		p.mu.Unlock()
		return nil
	}
	p.starts.Store(int64(end))
	p.sync.begin(at, p.end())
	_, high := p.sync.advance()
	p.high.Store(int64(high))
	p.unshown = 0
	p.begun.Store(true)
	p.mu.Unlock()
	p.waiters.Advance(high, 0)
	p.hurry() // what recovery found is not committed before it is flushed
	return nil
}

// reached says that the log is there up to end, durably or not. Only the kind of end that counts moves the high watermark.
func (p *Partition) reached(end protocol.Offset, durable bool) {
	p.mu.Lock()
	if !p.begun.Load() || durable != p.durable.Load() {
		p.mu.Unlock()
		return
	}
	p.sync.reach(end)
	p.unlockAndWake(0)
}

// appended counts what an append added. It may find that the flusher was faster.
func (p *Partition) appended(info *log.AppendInfo) {
	p.mu.Lock()
	if !p.durable.Load() {
		p.sync.reach(info.NextOffset)
	}
	p.unshown += int64(info.Bytes)
	p.unlockAndWake(info.NextOffset)
}

// unlockAndWake moves the high watermark and wakes those who wait for it, after it released the lock. appended is the end of what was just counted into unshown.
func (p *Partition) unlockAndWake(appended protocol.Offset) {
	from, to := p.sync.advance()
	if from == to && (p.unshown == 0 || appended > to) {
		p.mu.Unlock()
		return
	}
	bytes := p.show(from, to)
	epoch := p.epoch.Load()
	p.high.Store(int64(to))
	p.mu.Unlock()
	p.waiters.Advance(to, bytes)
	if from < to {
		p.manager.checkpoint.moved()
	}
	if p.epoch.Load() != epoch {
		p.waiters.Fail() // it failed before, and our Advance has ended that
	}
}

// show is how many of the unshown bytes became visible as the high watermark moved. All of them, if it reached the log's end; else a share by offsets: which bytes
// belong to which offset is not remembered, and the next flush makes good for it.
func (p *Partition) show(from, to protocol.Offset) int64 {
	bytes := p.unshown
	if end := p.log.LogEndOffset(); to < end && from < end {
		bytes = int64(float64(p.unshown) * float64(to-from) / float64(end-from))
	}
	p.unshown -= bytes
	if to > from {
		bytes = max(bytes, 1) // readers of anything are woken by anything
	}
	return bytes
}

func (p *Partition) notLeader() error {
	return protocol.Errorf(kerr.NotLeaderForPartition, "this broker does not lead %s", p.log.TopicPartition())
}
