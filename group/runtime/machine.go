// Package runtime drives coordinators whose state is replayed from an internal topic: one machine per partition ("shard") that this broker leads.
//
// An operation decides (reads the machine, returns records and what to answer), its records are appended with the leader epoch, applied, and its answer leaves when
// the high watermark passes them. A machine knows no log, clock, lock or goroutine, and its methods are never called concurrently.
package runtime

import (
	"time"

	"ottla/protocol"
)

// Record is one record of the internal topic. A nil Value is a tombstone.
type Record struct{ Key, Value []byte }

// Effects is what a decision wants done. Its records are appended as one batch, all or none, in the order of decisions; then they are applied.
type Effects struct {
	Records []Record
	// Committed is called when the high watermark has passed the records: right away if there are none. Replies leave here. It may be nil.
	Committed func()
	// Failed is called instead if the records could not be appended or the leadership was lost before they were committed. The machine's replayed state has gone back to
	// what is committed by then, unless the machine itself is gone. It may be nil. The error carries a wire code.
	Failed func(error)
}

// Machine is the state of one shard: replayed state, which only Apply changes, and soft state (members that wait, timers), which decisions change as they like.
//
// Committed, Failed, Apply, Loaded, Expire and every decision run one after the other. None of them waits.
type Machine interface {
	// Apply changes replayed state as a record says: the same code when a log is loaded, and live. offset is the record's. Types of records that it does not know are
	// skipped (a later version wrote them); a record of a known type that does not parse is an error, which makes the shard fail to load.
	Apply(offset protocol.Offset, r Record) error
	// Loaded says that the log was replayed to its end: from now on decisions come. Timers start. What it returns is appended, like a decision's.
	Loaded(now time.Time) Effects
	// Deadline is when Expire wants to be called; zero for never. It is asked after every operation.
	Deadline() time.Time
	// Expire does what time does: sessions that end, rebalances that time out, offsets that expire.
	Expire(now time.Time) Effects
	// Close says that the machine is gone: leadership was lost, or the broker stops. Whoever waits in soft state is answered with err (NOT_COORDINATOR). Operations
	// whose Committed has not been called get Failed besides.
	Close(err error)
}
