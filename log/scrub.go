package log

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"ottla/log/segment"
	"ottla/protocol"
)

// Scrub is how the CRCs of old data are checked again.
type Scrub struct {
	BytesPerSecond int64         // ottla.scrub.bytes.per.second, of all directories together; 0: no scrub
	Period         time.Duration // ottla.scrub.period.ms: each log once; 0: a week
}

const (
	scrubDelay = time.Minute // before the first round: a start has better things to do
	scrubPause = time.Hour   // between two looks for what is due
	scrubBreak = time.Second // the least of both: a period may be a millisecond
)

// within shortens a wait to the period: every log is to be read once in each.
func (o *Scrub) within(d time.Duration) time.Duration { return min(d, max(o.Period, scrubBreak)) }

// stirScrub has the scrub look at logs where a read has met damage.
func (s *Store) stirScrub() {
	select {
	case s.scrubWake <- struct{}{}:
	default:
	}
}

// scrub goes through closed segments, one log after the other, until ctx ends. Data that is not read is checked as well: that is when a second copy may still be good.
func (s *Store) scrub(ctx context.Context) {
	if s.options.Scrub.BytesPerSecond <= 0 {
		return
	}
	timer := time.NewTimer(s.options.Scrub.within(scrubDelay))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			s.scrubDue(ctx, false)
			timer.Reset(s.options.Scrub.within(scrubPause))
		case <-s.scrubWake:
			s.scrubDue(ctx, true)
		}
	}
}

// scrubDue scrubs the logs that are due, or only those where damage was met.
func (s *Store) scrubDue(ctx context.Context, suspects bool) {
	for _, l := range s.all() {
		due := nowMs()-l.scrubbed.Load() >= s.options.Scrub.Period.Milliseconds()
		if suspects {
			due = l.suspect.Load()
		}
		if ctx.Err() != nil || !due || l.Err() != nil {
			continue
		}
		l.suspect.Store(false)
		if err := l.scrub(ctx, s.options.Scrub.BytesPerSecond); err != nil && ctx.Err() == nil {
			s.logger.Warn("scrub is not complete", slog.String("partition", l.tp.String()), slog.Any("error", err))
		}
	}
}

// scrub checks the log's closed and durable segments, at rate bytes a second.
func (l *Log) scrub(ctx context.Context, rate int64) error {
	if err := l.ensure(); err != nil {
		return err
	}
	segs := *l.segments.Load()
	for i := 0; i+1 < len(segs); i++ {
		if int64(segs[i+1].Base()) > l.durable.Load() {
			break
		}
		if err := l.scrubSegment(ctx, segs[i], segs[i+1].Base(), rate); err != nil {
			return err
		}
	}
	l.scrubbed.Store(nowMs())
	return nil
}

// scrubSegment checks one segment, which ends before the offset next. One that has left the log meanwhile does not matter.
func (l *Log) scrubSegment(ctx context.Context, s *segment.Segment, next protocol.Offset, rate int64) error {
	var found []segment.Extent
	pace := func(bytes int) error {
		l.dir.metrics().scrubbed(int64(bytes))
		return wait(ctx, time.Duration(int64(bytes)*int64(time.Second)/rate))
	}
	err := s.Scrub(segment.ScrubOptions{End: s.Size(), Next: next, Pace: pace, Bad: func(e segment.Extent) { found = append(found, e) }, Again: func() { found = nil }})
	if errors.Is(err, segment.ErrGone) || errors.Is(err, fs.ErrNotExist) && !l.has(s) {
		return nil
	}
	if err != nil {
		return err
	}
	l.takeTurn()
	defer l.endTurn()
	if l.Err() != nil || !l.has(s) {
		return nil
	}
	return l.setRanges(s, found)
}

// has tells whether s is still the log's.
func (l *Log) has(s *segment.Segment) bool {
	segs := *l.segments.Load()
	i := segmentAt(segs, s.Base())
	return i >= 0 && segs[i] == s
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
