package runtime

import (
	"ottla/log"
	"ottla/protocol"
)

// PartitionLog is one partition of the internal topic as its leader sees it in one leader epoch, the one that was given to Lead. When that epoch is over, every
// method fails, also if this broker leads again in a later one: nothing that was decided on old state is written into a new leadership.
// The methods are safe for concurrent use and may load the log at their first use, but never wait for other brokers. The root package wires it to replica.
//
// Errors carry a wire code: NOT_LEADER_OR_FOLLOWER when the epoch is over, KAFKA_STORAGE_ERROR, for Append NOT_ENOUGH_REPLICAS and MESSAGE_TOO_LARGE besides.
type PartitionLog interface {
	// Append adds one batch, all or nothing, and says at which offset it is. It asks for acks=all (min.insync.replicas counts) and waits for nobody: the flush is hastened by
	// Options.Settle at the latest.
	// records are patched in place and not kept.
	Append(records []byte) (base protocol.Offset, err error)
	// Read copies whole batches into buf, which it overwrites, and returns them: from the one that holds the offset from on, also above the high watermark. A batch larger
	// than buf comes alone, in new memory. Nothing is the log's end. OFFSET_OUT_OF_RANGE before the log start.
	Read(from protocol.Offset, buf []byte) ([]byte, error)
	// Offsets is where the log stands.
	Offsets() (log.Offsets, error)
	// Await calls wake once when the high watermark has reached at, or there is an error to be found with Offsets; from any goroutine, possibly before it returns.
	// There is one wait at a time.
	Await(at protocol.Offset, wake func())
}
