package log

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ottla/log/vfs"
)

// stalledAfter is how long a write or an fsync may take before the disk counts as stalled.
const stalledAfter = 5 * time.Second

// lookForStalls is how often a call under way is looked at.
const lookForStalls = time.Second

// Stalled tells in words which call the disk has not answered for too long; empty if there is none. It asks no disk.
func (s *Store) Stalled() string {
	call, ok := s.stalled()
	if !ok {
		return ""
	}
	return fmt.Sprintf("the disk is stalled: %s of %s has taken %s", call.Op, call.Name, call.For.Round(time.Second))
}

func (s *Store) stalled() (vfs.Stall, bool) {
	call, ok := s.watch.Longest()
	return call, ok && call.For >= stalledAfter
}

// watchStalls says in the log when the disk stalls, and when it is over. It touches no disk, and has no timer while nothing is written.
func (s *Store) watchStalls(ctx context.Context) {
	ticker := time.NewTicker(lookForStalls)
	defer ticker.Stop()
	var calls uint64
	var since time.Time // when the stall began; zero: there is none
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		since = s.noteStall(since)
		_, busy := s.watch.Longest()
		if n := s.watch.Calls(); busy || n != calls {
			calls = n
			continue
		}
		ticker.Stop()
		begun := s.watch.Await()
		if s.watch.Calls() == calls {
			select {
			case <-ctx.Done():
				return
			case <-begun:
			}
		}
		ticker.Reset(lookForStalls)
	}
}

// noteStall logs a change.
func (s *Store) noteStall(since time.Time) time.Time {
	call, stalled := s.stalled()
	switch {
	case stalled && since.IsZero():
		s.logger.Error("disk is stalled", slog.String("call", call.Op), slog.String("path", call.Name), slog.Duration("for", call.For.Round(time.Millisecond)))
		return time.Now().Add(-call.For)
	case !stalled && !since.IsZero():
		s.logger.Warn("disk answers again", slog.Duration("after", time.Since(since).Round(time.Millisecond)))
		return time.Time{}
	}
	return since
}

// stallIn is how long a call below the directory has been stalled, 0 if none is. Only the longest of all directories is looked at.
func (d *directory) stallIn() time.Duration {
	call, ok := d.store.stalled()
	if ok && (call.Name == d.path || strings.HasPrefix(call.Name, strings.TrimSuffix(d.path, "/")+"/")) {
		return call.For
	}
	return 0
}
