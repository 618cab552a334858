package log

import (
	"ottla/log/batch"
	"ottla/protocol"
)

// Origin is who appends; it decides what is checked.
type Origin int8

const (
	// Client is a producer: exactly one batch, offsets are assigned, control batches are refused, everything the topic's configuration demands is checked.
	Client Origin = iota
	// Replica is a follower's fetcher: one or more batches that carry their offsets and epochs already and follow the log's end.
	Replica
	// Internal is the broker itself: as Client, but control batches are allowed and sizes and timestamps are not limited.
	Internal
)

// AppendOptions says how to append. Epoch is the leader epoch that is stamped on the batch (Client and Internal).
type AppendOptions struct {
	Epoch   protocol.LeaderEpoch
	Origin  Origin
	Settles bool // the caller comes to Store.Settle when it has nothing more to append: a flush that somebody waits for is left to it
}

// AppendInfo tells what an append did. It is overwritten by Append, and keeps its slices for reuse.
type AppendInfo struct {
	BaseOffset     protocol.Offset // of the first record; -1 if nothing was appended
	NextOffset     protocol.Offset // one past the last record: what an acks=all reply waits for
	LogAppendTime  int64           // milliseconds; -1 unless message.timestamp.type is LogAppendTime; of a Duplicate the max timestamp of the batch that is in the log
	LogStartOffset protocol.Offset
	Duplicate      bool // the batch was there already (idempotent producer); BaseOffset and NextOffset are those of the first time
	Bytes          int
	RecordErrors   []RecordError // which records were refused (KIP-467), with an INVALID_RECORD or INVALID_TIMESTAMP error
}

// RecordError is one refused record of a batch.
type RecordError = batch.RecordError

func (i *AppendInfo) reset(start protocol.Offset) {
	*i = AppendInfo{BaseOffset: protocol.NoOffset, NextOffset: protocol.NoOffset, LogAppendTime: protocol.NoTimestamp, LogStartOffset: start, RecordErrors: i.RecordErrors[:0]}
}
