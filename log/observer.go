package log

import "ottla/protocol"

// Observer is who uses a log and wants to hear of it. Both are called by the flusher's goroutine, or by the goroutine whose call found the damage, never with a lock held.
type Observer interface {
	// Durable says that all records below end are on disk: bytes, folder entries, manifest. Two calls may overtake each other, and a truncation may overtake one:
	// DurableEndOffset tells what holds.
	Durable(l *Log, end protocol.Offset)
	// Offline says that l is done for: every call that can fail answers KAFKA_STORAGE_ERROR from now on. Called once.
	Offline(l *Log, err error)
}

// Committer may be an Observer that knows how far a log is committed. Without it every durable record counts as that.
type Committer interface {
	// Committed is the last stable offset: the cleaner leaves alone what is past it. It is called with no lock held.
	Committed(l *Log) protocol.Offset
}

// NopObserver ignores everything: for logs that nobody waits for.
type NopObserver struct{}

func (NopObserver) Durable(*Log, protocol.Offset) {}
func (NopObserver) Offline(*Log, error)           {}
