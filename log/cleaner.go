package log

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"ottla/log/compact"
)

// cleaner compacts the logs of a store, the dirtiest first, one at a time. It belongs to the goroutine of run.
type cleaner struct {
	store *Store
	pace  *compact.Pace
	aside map[*Log]quarantine
}

// quarantine is a log that could not be cleaned. Its records stay as they are, and readers notice nothing.
type quarantine struct {
	failures int
	until    time.Time
}

// The first pause after a failed cleaning, which doubles, and the longest.
const (
	firstPause = time.Minute
	lastPause  = time.Hour
)

func newCleaner(s *Store) *cleaner {
	return &cleaner{store: s, pace: compact.NewPace(s.options.CleanerBytesPerSecond), aside: map[*Log]quarantine{}}
}

// run cleans until ctx ends.
func (c *cleaner) run(ctx context.Context) {
	timer := time.NewTimer(c.store.options.CleanerBackoff)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c.cleanAll(ctx)
		timer.Reset(c.store.options.CleanerBackoff)
	}
}

// cleanAll cleans until no log is worth it.
func (c *cleaner) cleanAll(ctx context.Context) {
	for ctx.Err() == nil {
		l, d := c.dirtiest()
		if l == nil {
			return
		}
		c.clean(ctx, l, d)
	}
}

// dirtiest is the log with the largest share of new bytes; nil if none is worth a cleaning.
func (c *cleaner) dirtiest() (best *Log, most dirty) {
	now := time.Now()
	for _, l := range c.compacted() {
		if q, ok := c.aside[l]; ok && now.Before(q.until) {
			continue
		}
		config := l.config.Load()
		d, err := l.cleanable(config, now.UnixMilli())
		if err != nil {
			c.failed(l, err)
			continue
		}
		if d.worthwhile(config) && (best == nil || d.ratio > most.ratio) {
			best, most = l, d
		}
	}
	return best, most
}

// compacted lists the open logs that are compacted, and forgets the quarantine of those that are not open any more.
func (c *cleaner) compacted() []*Log {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Log
	for _, l := range s.logs {
		if l.config.Load().Compact {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, compareLogs) // of equally dirty ones always the same is next
	for l := range c.aside {
		if s.logs[l.tp] != l {
			delete(c.aside, l)
		}
	}
	s.metrics.setAside(len(c.aside))
	return out
}

func (c *cleaner) clean(ctx context.Context, l *Log, d dirty) {
	began := time.Now()
	stats, err := l.clean(ctx, d, c.store.options.CleanerBuffer, c.pace)
	c.store.metrics.cleaned(stats)
	if err != nil {
		if ctx.Err() == nil {
			c.failed(l, err)
		}
		return
	}
	delete(c.aside, l)
	level := slog.LevelInfo
	if stats.Keyless > 0 {
		level = slog.LevelWarn // the topic was not compacted when they came
	}
	c.store.logger.Log(ctx, level, "log compacted", slog.String("partition", l.tp.String()), slog.Int64("offset", int64(d.end)), slog.Int("passes", stats.passes),
		slog.Int64("records_kept", stats.Kept), slog.Int64("records_dropped", stats.Dropped), slog.Int64("records_without_key_dropped", stats.Keyless),
		slog.Int64("bytes_read", stats.BytesRead), slog.Int64("bytes_written", stats.BytesWritten), slog.Duration("took", time.Since(began)))
}

// failed sets a log aside for a while. Segments that went away are no failure.
func (c *cleaner) failed(l *Log, err error) {
	q := c.aside[l]
	if errors.Is(err, errReshaped) {
		q.until = time.Now().Add(c.store.options.CleanerBackoff)
		c.aside[l] = q
		return
	}
	pause := min(lastPause, firstPause<<min(q.failures, 10))
	q.failures, q.until = q.failures+1, time.Now().Add(pause)
	c.aside[l] = q
	c.store.metrics.cleanFailed()
	c.store.logger.Warn("log is not compacted", slog.String("partition", l.tp.String()), slog.Int("failures", q.failures), slog.Duration("next_try_in", pause), slog.Any("error", err))
}
