package log

import (
	"log/slog"
	"math"
	"slices"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/protocol"
)

// room is the segment that takes the next write of size bytes, whose offsets are those of h: the active one, or a new one. The caller holds mu.
func (l *Log) room(size int64, h *batch.Header, c *Config, now int64) (*segment.Segment, error) {
	active := l.active()
	if active == nil {
		return l.begin(protocol.Offset(l.end.Load()), c, now)
	}
	if active.Size() == 0 {
		if active.Fits(size, h.LastOffset()) {
			return active, nil
		}
		return l.roll(h.BaseOffset, c, now) // an empty segment cannot reach that far: only a follower of a compacted log sees this
	}
	full, err := l.full(active, size, h, c, now)
	if err != nil {
		return nil, err
	}
	if !full {
		return active, nil
	}
	// Segments meet, also where a follower of a compacted log gets batches with gaps between them.
	base := protocol.Offset(l.end.Load())
	if h.LastOffset()-base > math.MaxInt32 {
		base = h.BaseOffset
	}
	return l.roll(base, c, now)
}

// full tells whether a write wants a new segment, by Kafka's rules (LogSegment.shouldRoll): size, age in terms of record time, index space, reach of offsets.
func (l *Log) full(active *segment.Segment, size int64, h *batch.Header, c *Config, now int64) (bool, error) {
	if active.Size()+size > c.SegmentBytes || !active.Fits(size, h.LastOffset()) || active.IndexFull(c.SegmentIndexBytes) {
		return true, nil
	}
	first, err := active.FirstTimestamp()
	if err != nil {
		return false, storageError(err)
	}
	if first >= 0 && h.MaxTimestamp >= 0 {
		return h.MaxTimestamp-first > l.rollMs, nil
	}
	return now-l.createdMs > l.rollMs, nil
}

// begin makes the folder and its first segment. The caller holds mu.
func (l *Log) begin(base protocol.Offset, c *Config, now int64) (*segment.Segment, error) {
	if err := l.dir.fs.MkdirAll(l.path); err != nil {
		return nil, l.fileFailed(err)
	}
	l.pending.folder = true
	l.rolled.Store(true)
	return l.add(base, c, now)
}

// roll seals the active segment and makes the next. All that is slow (syncing the old one, its indexes and the producer snapshot) is left to the flusher. The caller holds mu.
func (l *Log) roll(base protocol.Offset, c *Config, now int64) (*segment.Segment, error) {
	old := l.active()
	if err := old.Seal(now); err != nil {
		return nil, l.fileFailed(err)
	}
	next, err := l.add(base, c, now)
	if err != nil {
		return nil, err
	}
	l.pending.sealed = append(l.pending.sealed, old)
	l.pending.snapshots = append(l.pending.snapshots, snapshot{base, l.producers.AppendSnapshot(nil)})
	l.sinceSnapshot = 0
	l.dir.metrics().rolled()
	l.dir.logger().Debug("segment rolled", slog.String("partition", l.tp.String()), slog.Int64("base_offset", int64(base)))
	l.rolled.Store(true)
	return next, nil
}

// add makes the segment that begins at base the active one. The caller holds mu.
func (l *Log) add(base protocol.Offset, c *Config, now int64) (*segment.Segment, error) {
	s, err := segment.Create(l.dir.files, l.path, base, now)
	if err != nil {
		return nil, l.fileFailed(err)
	}
	l.pending.names = true
	l.createdMs, l.rollMs = now, l.segmentMs(c)
	l.publish(append(slices.Clip(*l.segments.Load()), s))
	return s, nil
}

// publish makes segs, which nobody else changes, the log's. The caller holds mu.
func (l *Log) publish(segs []*segment.Segment) { l.segments.Store(&segs) }

// fileFailed is the error of an append that could not make a file: what passes is an answer to the client, anything else is the end of the directory.
func (l *Log) fileFailed(err error) error {
	if !passing(err) {
		l.dir.failed(err)
	}
	return storageError(err)
}
