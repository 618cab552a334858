package replica

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/protocol"
)

// acksAll asks for every in-sync replica before the reply.
const acksAll = -1

// Append appends one batch as the leader, patched in place, and tells in info what happened; o.Epoch is set here. With acks -1 the caller answers when Waiters
// reach info.NextOffset, which this call has hastened. In steady state it allocates nothing.
//
// Errors: NOT_LEADER_OR_FOLLOWER; NOT_ENOUGH_REPLICAS (nothing was appended) for acks -1 with an in-sync set below min.insync.replicas; those of log.Log.Append.
func (p *Partition) Append(records []byte, acks int16, o log.AppendOptions, info *log.AppendInfo) error {
	epoch, err := p.leads(protocol.NoLeaderEpoch)
	if err != nil {
		return err
	}
	return p.appendIn(epoch, records, acks, o, info)
}

// appendIn appends in a leader epoch, that of this broker's leadership a moment ago.
func (p *Partition) appendIn(epoch protocol.LeaderEpoch, records []byte, acks int16, o log.AppendOptions, info *log.AppendInfo) error {
	if acks == acksAll && p.short.Load() {
		return p.notEnough()
	}
	o.Epoch = epoch
	if err := p.log.Append(records, o, info); err != nil {
		if protocol.LeaderEpoch(p.epoch.Load()) != epoch {
			return p.notLeader() // deleted, or led by another one, meanwhile: the log's own words would mislead
		}
		return err
	}
	p.appended(info)
	if acks == acksAll || p.awaited() {
		p.flush(o.Settles)
	}
	return nil
}

// awaited tells whether a consumer waits for more bytes, or anybody for an offset.
func (p *Partition) awaited() bool {
	offsets, bytes := p.waiters.Waiting()
	return offsets || bytes
}

func (p *Partition) notEnough() error {
	p.mu.Lock()
	size, need := p.sync.size, p.sync.need
	p.mu.Unlock()
	return protocol.Errorf(kerr.NotEnoughReplicas, "the in-sync set of %s has %d replicas, min.insync.replicas wants %d", p.log.TopicPartition(), size, need)
}

// DeleteRecords makes before the first offset that can be read, -1 the high watermark, and returns what the first one is now: lower ones than it is already
// change nothing.
//
// Errors: OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION for a topic that is compacted and never deletes, NOT_LEADER_OR_FOLLOWER,
// KAFKA_STORAGE_ERROR.
func (p *Partition) DeleteRecords(before protocol.Offset) (low protocol.Offset, err error) {
	if _, err := p.leads(protocol.NoLeaderEpoch); err != nil {
		return 0, err
	}
	if c := p.log.Config(); c.Compact && !c.Delete {
		return 0, protocol.Errorf(kerr.PolicyViolation, "records of %s can not be deleted due to its cleanup.policy", p.log.TopicPartition())
	}
	high := protocol.Offset(p.high.Load())
	if before == protocol.NoOffset {
		before = high
	}
	if before < 0 || before > high {
		return 0, protocol.Errorf(kerr.OffsetOutOfRange, "records of %s before %d can not be deleted: the high watermark is %d", p.log.TopicPartition(), before, high)
	}
	if before > p.log.LogStartOffset() {
		if err := p.log.AdvanceLogStart(before); err != nil {
			return 0, err
		}
	}
	return p.log.LogStartOffset(), nil
}
