package log

import (
	"context"
	"time"

	"ottla/protocol"
)

// What follows lets the histories (package log_test, which also needs the metadata log) take the steps of the store's goroutines one at a time.

// Serial makes passes sync one log after the other: the same seed then gives the same order.
func (s *Store) Serial() {
	for _, d := range s.dirs {
		d.flusher.parallel = 1
	}
}

// Begin does what Run does before its first step.
func (s *Store) Begin() {
	for _, d := range s.dirs {
		d.start()
	}
}

// Pass flushes all that is due.
func (s *Store) Pass() {
	for _, d := range s.dirs {
		d.flusher.turn <- struct{}{}
		d.flusher.pass()
		<-d.flusher.turn
	}
}

// Retain, Checkpoint and RemoveDue are the housekeeper's steps.
func (s *Store) Retain()     { s.retain() }
func (s *Store) Checkpoint() { s.checkpoint() }
func (s *Store) RemoveDue()  { s.remove(time.Now(), false) }

// CleanAll cleans until nothing is dirty, and tells how many logs could not be cleaned.
func (s *Store) CleanAll() (failed int) {
	c := newCleaner(s)
	c.cleanAll(context.Background())
	return len(c.aside)
}

// CloseIdle closes the files that nobody has pinned.
func (s *Store) CloseIdle() { s.files.CloseIdle() }

// Bases are where the segments begin.
func (l *Log) Bases() []protocol.Offset {
	var out []protocol.Offset
	for _, s := range *l.segments.Load() {
		out = append(out, s.Base())
	}
	return out
}

// SnapshotOffsets are where producer snapshots stand on disk.
func (l *Log) SnapshotOffsets() ([]protocol.Offset, error) { return l.snapshotOffsets() }
