package log

import (
	"ottla/log/segment"
	"ottla/protocol"
)

// Offsets is where a partition stands, at one moment. LogStart <= LastStable <= HighWatermark <= LogEnd. Who leads a partition knows the two in the middle; a Log does not.
type Offsets struct {
	LogStart, HighWatermark, LastStable, LogEnd protocol.Offset
	Epoch                                       protocol.LeaderEpoch
	// EpochStart is the log end when the leader epoch began. A high watermark below it is not known yet (KIP-207).
	EpochStart protocol.Offset
}

// TimestampOffset is the answer to "which record by time": the record's timestamp (milliseconds since 1970), offset and the leader epoch it was written in.
type TimestampOffset struct {
	Timestamp   int64
	Offset      protocol.Offset
	LeaderEpoch protocol.LeaderEpoch
}

// Range is whole batches in a file. Source is pinned for the holder, who calls Source.Release once; nil when there is nothing (Size 0).
type Range struct {
	Source   *segment.Handle
	Position int64 // byte of the first batch
	Size     int   // bytes
}

// ReadOptions is a fetch of one partition as its leader sees it. The epochs are checked there, not by the log.
type ReadOptions struct {
	From                           protocol.Offset
	MaxBytes                       int
	AtLeastOne                     bool // one whole batch even when it is larger than MaxBytes
	Isolation                      int8 // 0 up to the high watermark, 1 up to the last stable offset
	CurrentEpoch, LastFetchedEpoch protocol.LeaderEpoch
}

// ReadResult is the answer to ReadOptions. Range is empty when nothing is visible yet, or when the fetcher's log diverges.
type ReadResult struct {
	Range     Range
	Offsets   Offsets
	Diverging Diverging
}

// Diverging tells a fetcher that its log is not a prefix of the leader's: it truncates to EndOffset of Epoch (KIP-595). Found is false in the usual case.
type Diverging struct {
	Found     bool
	Epoch     protocol.LeaderEpoch
	EndOffset protocol.Offset
}
