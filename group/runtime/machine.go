// Package runtime drives coordinators whose state is replayed from an internal topic: one machine per partition ("shard") that this broker leads.
//
// An operation decides (reads the machine, returns records and what to answer), its records are applied and appended with the leader epoch, and its answer leaves when
// the high watermark passes them. A machine knows no log, clock, lock or goroutine, and its methods are never called concurrently.
//
// A shard has a queue and works in turns; a few workers take turns of whatever shards have something to do, so a shard at rest costs no goroutine and no timer. Logs are
// replayed on goroutines of their own, a few at a time. Nothing is durable here: what was answered is in the log. Start reading at worker.go.
package runtime

import (
	"time"

	"ottla/protocol"
)

// Record is one record of the internal topic. A nil Value is a tombstone. The bytes that Apply gets are lent: what a machine keeps, it copies. Those that a decision returns
// are the runtime's until the operation is answered.
type Record struct{ Key, Value []byte }

// Effects is what a decision wants done. Its records are applied before the next decision is taken, at the offsets that they will have, and appended, all or none and in the
// order of decisions; decisions that come together share a batch. If the append fails their changes are undone.
type Effects struct {
	Records []Record
	// Committed is called when the high watermark has passed the records: right away if there are none. Replies leave here. It may be nil.
	Committed func()
	// Failed is called instead if the records could not be appended or the leadership was lost before they were committed. The machine's replayed state has gone back to
	// what it was before the decision by then, unless the machine itself is gone (then Close was called before). It may be nil. The error carries a wire code:
	// NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, MESSAGE_TOO_LARGE or UNKNOWN_SERVER_ERROR.
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
	// Deadline is when Expire wants to be called; zero for never. It is asked at the end of every turn, after the operations that came together, so it must be cheap. If
	// it stays in the past after Expire, Expire is called again a millisecond later; after an append that failed, half a second later.
	Deadline() time.Time
	// Expire does what time does: sessions that end, rebalances that time out, offsets that expire.
	Expire(now time.Time) Effects
	// Close says that the machine is gone: leadership was lost, or the broker stops. Whoever waits in soft state is answered with err (NOT_COORDINATOR). Operations
	// whose Committed has not been called get Failed besides.
	//
	// A machine whose loading is given up is dropped without a call.
	Close(err error)
}
