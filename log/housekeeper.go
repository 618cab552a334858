package log

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"ottla/log/segment"
)

// removal is a path that goes for good when it is due.
type removal struct {
	due  time.Time
	path string
}

// removeLater has paths removed after delayMs milliseconds.
func (s *Store) removeLater(delayMs int64, paths ...string) {
	if len(paths) == 0 {
		return
	}
	if s.full() {
		delayMs = 0 // the delay is for who may still look at the names: nobody here does
	}
	due := time.Now().Add(time.Duration(delayMs) * time.Millisecond)
	s.mu.Lock()
	for _, p := range paths {
		s.removals = append(s.removals, removal{due, p})
	}
	slices.SortStableFunc(s.removals, func(a, b removal) int { return a.due.Compare(b.due) })
	s.mu.Unlock()
	s.stir()
}

// stir wakes the housekeeper up.
func (s *Store) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// retentionWhenFull is how often retention is applied while a disk is full: deletions are what makes room.
const retentionWhenFull = 2 * time.Second

// keepHouse does what no caller waits for: retention at fixed intervals; checkpoints some time after offsets have moved; removals when they are due. Between those there
// is one timer, for the earliest.
func (s *Store) keepHouse(ctx context.Context) {
	retention := time.Now().Add(s.options.RetentionCheck)
	var checkpoint time.Time // zero: nothing has changed
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		full := s.full()
		if full && retention.After(now.Add(retentionWhenFull)) {
			retention = now // it has just become full: what may go goes now
		}
		if !now.Before(retention) {
			s.retain()
			retention = now.Add(s.options.RetentionCheck)
			if full {
				retention = now.Add(retentionWhenFull)
			}
		}
		if checkpoint.IsZero() && s.dirty() {
			checkpoint = now.Add(s.options.Checkpoint)
		}
		if !checkpoint.IsZero() && !now.Before(checkpoint) {
			s.checkpoint()
			checkpoint = time.Time{}
		}
		next := retention
		if due, ok := s.remove(now, full); ok && due.Before(next) {
			next = due
		}
		if !checkpoint.IsZero() && checkpoint.Before(next) {
			next = checkpoint
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

func (s *Store) dirty() bool {
	return slices.ContainsFunc(s.dirs, func(d *directory) bool { return d.dirty.Load() && d.err() == nil })
}

func (s *Store) checkpoint() {
	for _, d := range s.dirs {
		if err := d.checkpoint(); err != nil {
			s.logger.Warn("checkpoints are not written", slog.String("directory", d.path), slog.Any("error", err))
		}
		d.tellRecovered()
	}
}

// retain applies every log's retention, and closes files that nobody has used since the last time. Segments leave the logs first, then one checkpoint makes the new log
// start offsets durable, then the files go: so a crash leaves no hole that a log would have to explain.
func (s *Store) retain() {
	type dropped struct {
		l    *Log
		segs []*segment.Segment
	}
	var all []dropped
	for _, l := range s.all() {
		if l.Err() != nil {
			continue
		}
		l.rest()
		segs, err := l.retain(s.options.ProducerExpiration.Milliseconds())
		if err != nil {
			s.logger.Warn("retention is not applied", slog.String("partition", l.tp.String()), slog.Any("error", err))
		}
		if len(segs) > 0 {
			all = append(all, dropped{l, segs})
		}
	}
	if len(all) > 0 {
		s.checkpoint()
	}
	for _, d := range all {
		for _, seg := range d.segs {
			if err := d.l.remove(seg); err != nil {
				d.l.dir.fail(err)
			}
		}
	}
	s.files.CloseIdle()
}

// rest lets go of what a log holds that nothing was appended to since the last call. Bytes that no durability asks for are synced, so that the file may be closed.
func (l *Log) rest() {
	end := l.end.Load()
	if end != l.seenEnd {
		l.seenEnd = end
		return
	}
	l.recent.drop()
	if l.durable.Load() < end {
		l.dir.flusher.touch(l, l.dir.flusher.after(flushDelay))
	}
}

// all lists the open logs.
func (s *Store) all() []*Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Log, 0, len(s.logs))
	for _, l := range s.logs {
		out = append(out, l)
	}
	slices.SortFunc(out, compareLogs)
	return out
}

// remove removes what is due, or everything, and tells when the next is.
func (s *Store) remove(now time.Time, everything bool) (next time.Time, ok bool) {
	s.mu.Lock()
	n := 0
	for n < len(s.removals) && (everything || !s.removals[n].due.After(now)) {
		n++
	}
	due := slices.Clone(s.removals[:n])
	s.removals = slices.Delete(s.removals, 0, n)
	if ok = len(s.removals) > 0; ok {
		next = s.removals[0].due
	}
	s.mu.Unlock()
	for _, r := range due {
		if err := s.fs.RemoveAll(r.path); err != nil {
			s.logger.Warn("deleted file stays", slog.String("path", r.path), slog.Any("error", err))
		}
	}
	return next, ok
}
