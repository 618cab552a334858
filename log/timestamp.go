package log

import (
	"ottla/log/segment"
	"ottla/protocol"
)

// OffsetForTimestamp finds the first record whose timestamp (milliseconds) is at least ts, if it lies below limit. As in Kafka a search reads one index and at most a few batches.
func (l *Log) OffsetForTimestamp(ts int64, limit protocol.Offset) (TimestampOffset, bool, error) {
	return l.findStamp(limit, func(segs []*segment.Segment) (segment.Stamp, bool, error) {
		start := protocol.Offset(l.start.Load())
		for _, s := range segs {
			max, _, err := s.MaxTimestamp()
			if err != nil {
				return segment.Stamp{}, false, err
			}
			if max < ts {
				continue
			}
			if found, ok, err := s.FirstAtOrAfter(ts, start, maxDecompressed); ok || err != nil {
				return found, ok, err
			}
		}
		return segment.Stamp{}, false, nil
	})
}

// MaxTimestamp finds the first record that has the largest timestamp of the log, if it lies below limit (KIP-734). As in Kafka whole segments count: the record may lie below a log
// start offset that DeleteRecords has moved. If no record has a timestamp, it is the first, with NoTimestamp.
func (l *Log) MaxTimestamp(limit protocol.Offset) (TimestampOffset, bool, error) {
	return l.findStamp(limit, func(segs []*segment.Segment) (segment.Stamp, bool, error) {
		if l.start.Load() == l.end.Load() {
			return segment.Stamp{}, false, nil
		}
		var latest *segment.Segment
		newest := protocol.NoTimestamp
		for _, s := range segs {
			max, _, err := s.MaxTimestamp()
			if err != nil {
				return segment.Stamp{}, false, err
			}
			if latest == nil || max > newest {
				latest, newest = s, max
			}
		}
		if latest == nil {
			return segment.Stamp{}, false, nil
		}
		return latest.Latest(maxDecompressed)
	})
}

// findStamp searches again if the segments changed under the search.
func (l *Log) findStamp(limit protocol.Offset, search func([]*segment.Segment) (segment.Stamp, bool, error)) (TimestampOffset, bool, error) {
	none := TimestampOffset{Timestamp: protocol.NoTimestamp, Offset: protocol.NoOffset, LeaderEpoch: protocol.NoLeaderEpoch}
	if err := l.ensure(); err != nil {
		return none, false, err
	}
	for try := 1; ; try++ {
		found, ok, err := search(*l.segments.Load())
		if err != nil {
			if try < lookAgain && gone(err) {
				continue
			}
			return none, false, l.readFailed(err)
		}
		if !ok || found.Offset >= limit {
			return none, false, nil
		}
		return TimestampOffset{Timestamp: found.Timestamp, Offset: found.Offset, LeaderEpoch: found.Epoch}, true, nil
	}
}
