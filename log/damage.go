package log

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/protocol"
)

// ranges are the log's damaged records, ascending and apart from each other; immutable. A read that meets one fails, reads before and behind go on.
type ranges []checkpoint.Damage

// limit shortens a read of [from, limit) so that it ends before the first bad range. A read that begins in one is an error.
func (r ranges) limit(from, limit protocol.Offset) (protocol.Offset, error) {
	for _, bad := range r {
		if from >= bad.From && from < bad.To {
			return 0, storageError(fmt.Errorf("offsets %d to %d: %w", bad.From, bad.To-1, ErrDamaged))
		}
		if bad.From >= from {
			return min(limit, bad.From), nil
		}
	}
	return limit, nil
}

// position is where the bad range that begins with o lies in the segment.
func (r ranges) position(s *segment.Segment, o protocol.Offset) (int64, bool) {
	for _, bad := range r {
		if bad.From == o && bad.Base == s.Base() {
			return bad.Position, true
		}
	}
	return 0, false
}

// past is the end of the last bad range in the segment that lies before offset o: a walk towards o may not begin earlier.
func (r ranges) past(s *segment.Segment, o protocol.Offset) (position int64) {
	for _, bad := range r {
		if bad.Base == s.Base() && bad.To <= o {
			position = bad.End
		}
	}
	return position
}

// among is why segs must not be rewritten: a bad range lies in one of them, at bytes of the file as it is. nil if there is none.
func (r ranges) among(segs []*segment.Segment) error {
	for _, bad := range r {
		if slices.ContainsFunc(segs, func(s *segment.Segment) bool { return s.Base() == bad.Base }) {
			return fmt.Errorf("offsets %d to %d: %w", bad.From, bad.To-1, ErrDamaged)
		}
	}
	return nil
}

func (l *Log) ranges() ranges {
	if p := l.bad.Load(); p != nil {
		return *p
	}
	return nil
}

// loadRanges reads what an earlier run has found. A file that cannot be read is as good as none: the scrub comes again.
func (l *Log) loadRanges() {
	all, err := checkpoint.ReadDamage(l.dir.fs, l.path)
	if err != nil {
		l.dir.logger().Warn("known damage is not remembered", slog.String("partition", l.tp.String()), slog.Any("error", err))
	}
	all = slices.DeleteFunc(all, func(d checkpoint.Damage) bool { return d.From >= protocol.Offset(l.end.Load()) || d.From >= d.To })
	slices.SortFunc(all, func(a, b checkpoint.Damage) int { return int(min(1, max(-1, a.From-b.From))) })
	l.bad.Store((*ranges)(&all))
}

// setRanges makes found the bad ranges of one segment, and keeps them beyond this run. The log's token is taken.
func (l *Log) setRanges(s *segment.Segment, found []segment.Extent) error {
	before := l.ranges()
	all := slices.DeleteFunc(slices.Clone(before), func(d checkpoint.Damage) bool { return d.Base == s.Base() })
	for _, e := range found {
		if e.To <= e.From {
			continue // nothing but bytes
		}
		all = append(all, checkpoint.Damage{Base: s.Base(), From: e.From, To: e.To, Position: e.Position, End: e.End})
		known := slices.ContainsFunc(before, func(d checkpoint.Damage) bool { return d.Base == s.Base() && d.From <= e.From && e.From < d.To })
		if !known {
			l.dir.metrics().foundBadRange()
			l.dir.logger().Error("records are damaged and not served any more", append([]any{slog.String("partition", l.tp.String()), slog.Int64("from", int64(e.From)),
				slog.Int64("to", int64(e.To)), slog.Int64("bytes", e.End-e.Position)}, damagePlace(e.Damage)...)...)
		}
	}
	slices.SortFunc(all, func(a, b checkpoint.Damage) int { return int(min(1, max(-1, a.From-b.From))) })
	if slices.Equal(all, before) {
		return nil
	}
	l.bad.Store(&all)
	l.recent.drop()
	return checkpoint.WriteDamage(l.dir.fs, l.path, all)
}

// cutRanges forgets what lies outside [start, end): those records are gone. The log's token is taken.
func (l *Log) cutRanges(start, end protocol.Offset) error {
	before := l.ranges()
	all := slices.DeleteFunc(slices.Clone(before), func(d checkpoint.Damage) bool { return d.To <= start || d.From >= end })
	if len(all) == len(before) {
		return nil
	}
	l.bad.Store(&all)
	return checkpoint.WriteDamage(l.dir.fs, l.path, all)
}

// met is what follows when bytes that were read are no batches. In a segment that is written to no more the scrub finds out how far the damage goes, at once: the rest of the log
// is served on. A file that has become shorter, or the active segment, is the end of the log.
func (l *Log) met(err error) error {
	var d *segment.DamageError
	if !errors.As(err, &d) {
		return err
	}
	segs := *l.segments.Load()
	i := slices.IndexFunc(segs, func(s *segment.Segment) bool { return s.Name() == d.Name })
	if i < 0 {
		return nil // the log has dropped the segment since it was looked at
	}
	if d.Short() || i == len(segs)-1 {
		return damaged(err)
	}
	l.suspect.Store(true)
	l.dir.store.stirScrub()
	return nil
}
