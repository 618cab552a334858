package replica

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
)

// leads checks that this broker leads the partition, in the epoch that the caller has in mind (-1: any), and that its log works.
//
// Errors: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH (the caller's is over), UNKNOWN_LEADER_EPOCH (it is ahead of what this broker knows), KAFKA_STORAGE_ERROR.
func (p *Partition) leads(current protocol.LeaderEpoch) (protocol.LeaderEpoch, error) {
	epoch := protocol.LeaderEpoch(p.epoch.Load())
	switch {
	case epoch == protocol.NoLeaderEpoch:
		return epoch, p.notLeader()
	case current >= 0 && current < epoch:
		return epoch, protocol.Errorf(kerr.FencedLeaderEpoch, "leader epoch %d of %s is over: it is %d", current, p.log.TopicPartition(), epoch)
	case current > epoch:
		return epoch, protocol.Errorf(kerr.UnknownLeaderEpoch, "leader epoch %d of %s is not known here: it is %d", current, p.log.TopicPartition(), epoch)
	}
	return epoch, p.ready()
}

// Read finds committed records from o.From on. What it found is pinned: see log.Range. It never waits; out.Range is empty at the high watermark, and if the
// fetcher's log diverges from this one, which out.Diverging then tells. In steady state it allocates nothing.
//
// Errors: those of leadership; OFFSET_OUT_OF_RANGE before the log start, beyond the log end, or for a last fetched epoch that this log does not know.
func (p *Partition) Read(o log.ReadOptions, out *log.ReadResult) error {
	*out = log.ReadResult{}
	if _, err := p.leads(o.CurrentEpoch); err != nil {
		return err
	}
	out.Offsets = p.Offsets()
	if o.LastFetchedEpoch >= 0 {
		if diverges, err := p.diverging(o, out); diverges || err != nil {
			return err
		}
	}
	if o.From < out.Offsets.LogStart || o.From > out.Offsets.LogEnd {
		return p.outOfRange(o.From, out.Offsets)
	}
	limit := out.Offsets.HighWatermark
	if o.Isolation > 0 {
		limit = out.Offsets.LastStable
	}
	if o.From >= limit {
		if out.Offsets.HighWatermark < out.Offsets.LogEnd {
			p.hurry() // somebody wants to see it
		}
		return nil
	}
	return p.log.Read(o.From, limit, o.MaxBytes, o.AtLeastOne, &out.Range)
}

// diverging compares the fetcher's last record with this log's history of epochs (KIP-595, as in Kafka's Partition.readRecords).
func (p *Partition) diverging(o log.ReadOptions, out *log.ReadResult) (bool, error) {
	epoch, end := p.log.EpochEnd(o.LastFetchedEpoch)
	if epoch == protocol.NoLeaderEpoch || end == protocol.NoOffset {
		return false, protocol.Errorf(kerr.OffsetOutOfRange, "the last fetched epoch %d is not known in %s", o.LastFetchedEpoch, p.log.TopicPartition())
	}
	if o.From < out.Offsets.LogStart {
		return false, p.outOfRange(o.From, out.Offsets)
	}
	if epoch < o.LastFetchedEpoch || end < o.From {
		out.Diverging = log.Diverging{Found: true, Epoch: epoch, EndOffset: end}
	}
	return out.Diverging.Found, nil
}

func (p *Partition) outOfRange(at protocol.Offset, s log.Offsets) error {
	return protocol.Errorf(kerr.OffsetOutOfRange, "offset %d of %s is out of range: the log is from %d to %d", at, p.log.TopicPartition(), s.LogStart, s.LogEnd)
}

// Offsets tells where the partition stands. There are no transactions yet, so the last stable offset is the high watermark.
func (p *Partition) Offsets() log.Offsets {
	// In this order each is at most the next, whatever moves meanwhile; retention may pass a high watermark that an under-replicated partition cannot move.
	high := protocol.Offset(p.high.Load())
	start := p.log.LogStartOffset()
	high = max(high, start)
	return log.Offsets{
		LogStart: start, HighWatermark: high, LastStable: high, LogEnd: max(p.log.LogEndOffset(), high),
		Epoch: protocol.LeaderEpoch(p.epoch.Load()), EpochStart: protocol.Offset(p.starts.Load()),
	}
}

// Waiters is advanced as the high watermark moves, and failed when the leadership or the log is lost.
func (p *Partition) Waiters() *purgatory.List { return &p.waiters }

// maxTimestamp asks for the record with the highest timestamp (KIP-734).
const maxTimestamp = -3

// OffsetForTimestamp finds the first record at or after ts (milliseconds since 1970), or with ts -3 the one with the highest timestamp, among those that the
// isolation level shows. All its fields are -1 if there is none.
//
// Errors: OFFSET_NOT_AVAILABLE while a new leader does not know yet what is committed (KIP-207); those of leadership.
func (p *Partition) OffsetForTimestamp(ts int64, isolation int8) (log.TimestampOffset, error) {
	none := log.TimestampOffset{Timestamp: protocol.NoTimestamp, Offset: protocol.NoOffset, LeaderEpoch: protocol.NoLeaderEpoch}
	epoch, err := p.leads(protocol.NoLeaderEpoch)
	if err != nil {
		return none, err
	}
	o := p.Offsets()
	limit := o.HighWatermark
	if isolation > 0 {
		limit = o.LastStable
	}
	var found log.TimestampOffset
	var ok bool
	if ts == maxTimestamp {
		found, ok, err = p.log.MaxTimestamp(limit)
	} else {
		found, ok, err = p.log.OffsetForTimestamp(ts, limit)
	}
	switch {
	case err != nil:
		return none, err
	case ok:
		return found, nil
	case o.HighWatermark < protocol.Offset(p.starts.Load()):
		return none, protocol.Errorf(kerr.OffsetNotAvailable, "%s is led in epoch %d from offset %d on, which is not known to be committed yet", p.log.TopicPartition(), epoch, p.starts.Load())
	}
	return none, nil
}

// EpochEnd is where the records of the leader epoch wanted end here, with the largest epoch up to it that this log has; (-1, -1) if that is not known (KIP-320).
// current is the epoch that the caller believes in, -1 for any. Errors: those of leadership.
func (p *Partition) EpochEnd(current, wanted protocol.LeaderEpoch) (protocol.LeaderEpoch, protocol.Offset, error) {
	if _, err := p.leads(current); err != nil {
		return protocol.NoLeaderEpoch, protocol.NoOffset, err
	}
	epoch, end := p.log.EpochEnd(wanted)
	return epoch, end, nil
}
