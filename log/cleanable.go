package log

import (
	"math"

	"ottla/log/segment"
	"ottla/protocol"
)

// dirty is what the cleaner may look at in one log, and why it should.
type dirty struct {
	segs     []*segment.Segment // closed ones that may be rewritten, from the log's first on
	from     protocol.Offset    // no cleaning has seen what is from here on
	end      protocol.Offset    // where segs end
	ratio    float64            // bytes of segments with something new, of all of segs
	overdue  bool               // max.compaction.lag.ms is over
	firstNew int                // the index in segs of the first segment with something new
}

// worthwhile tells whether the log should be cleaned now (LogCleanerManager.grabFilthiestCompactedLog).
func (d *dirty) worthwhile(c *Config) bool {
	return d.firstNew < len(d.segs) && (d.overdue || d.ratio > c.MinCleanableRatio)
}

// cleanable looks what of the log is dirty. A log that was not used since the start is left alone: nothing was appended to it. Files are read only for the lags.
func (l *Log) cleanable(c *Config, now int64) (d dirty, err error) {
	if !c.Compact || !l.loaded.Load() || l.Err() != nil {
		return d, nil
	}
	segs := *l.segments.Load()
	limit := l.settled()
	n := 0
	for n+1 < len(segs) && segs[n+1].Base() <= limit {
		n++
	}
	if n == 0 {
		return d, nil
	}
	d.from = max(protocol.Offset(l.cleaned.Load()), segs[0].Base())
	for d.firstNew < n && segs[d.firstNew+1].Base() <= d.from {
		d.firstNew++
	}
	if n, err = fresh(segs[:n], d.firstNew, c, now); err != nil {
		return dirty{}, err
	}
	d.segs, d.end = segs[:n], segs[n].Base()
	if d.firstNew >= n {
		return d, nil
	}
	var all, news int64
	for i, s := range d.segs {
		all += s.Size()
		if i >= d.firstNew {
			news += s.Size()
		}
	}
	if all > 0 {
		d.ratio = float64(news) / float64(all)
	}
	d.overdue, err = late(d.segs[d.firstNew:], c, now)
	return d, err
}

// settled is an offset below which nothing changes any more but by cleaning: it is on disk, committed as far as the observer knows, and no open transaction lies below.
func (l *Log) settled() protocol.Offset {
	limit := l.recoveryPoint()
	l.mu.Lock()
	open := l.producers.FirstUnstable()
	l.mu.Unlock()
	if open >= 0 {
		limit = min(limit, open)
	}
	if o, ok := l.observer.(Committer); ok {
		limit = min(limit, o.Committed(l))
	}
	return limit
}

// fresh is how many of the segments may be cleaned under min.compaction.lag.ms: those before the first that has a newer record.
func fresh(segs []*segment.Segment, firstNew int, c *Config, now int64) (int, error) {
	if c.MinCompactionLagMs <= 0 {
		return len(segs), nil
	}
	for i := firstNew; i < len(segs); i++ {
		newest, err := segs[i].Newest()
		if err != nil {
			return 0, err
		}
		if newest > now-c.MinCompactionLagMs {
			return i, nil
		}
	}
	return len(segs), nil
}

// late tells whether a record has waited longer than max.compaction.lag.ms. As in Kafka the first batch of a segment speaks for it.
func late(segs []*segment.Segment, c *Config, now int64) (bool, error) {
	if c.MaxCompactionLagMs <= 0 || c.MaxCompactionLagMs == math.MaxInt64 {
		return false, nil
	}
	for _, s := range segs {
		first, err := s.FirstTimestamp()
		if err != nil {
			return false, err
		}
		if first >= 0 && first < now-c.MaxCompactionLagMs {
			return true, nil
		}
	}
	return false, nil
}
