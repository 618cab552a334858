package wire

import (
	"encoding/binary"

	"ottla/protocol"
)

// FetchWriter appends the body of a Fetch response of version 4 to 18. It keeps nothing but the version: every method appends to b and returns it, and the caller keeps the order
//
//	Begin { Topic { Partition, the records themselves, EndPartition }... EndTopic }... End
//
// and says counts where arrays begin. Only the length of the records is written here: the caller sends the bytes behind it from wherever they are.
//
//	throttle_time_ms int32 · error_code int16, session_id int32 (v7+)
//	responses [ topic string (v4–12) or topic_id uuid (v13+)
//	            partitions [ partition int32 · error_code int16 · high_watermark int64 · last_stable_offset int64 · log_start_offset int64 (v5+)
//	                         aborted_transactions nullable [ producer_id int64 · first_offset int64 · tags ] · preferred_read_replica int32 (v11+) · records nullable bytes
//	                         tags: 0 diverging_epoch, 1 current_leader, 2 snapshot_id (v12+) ] · tags ]
//	tags: 0 node_endpoints (v16+)
type FetchWriter struct{ Version int16 }

// AbortedTransaction tells a read_committed consumer to drop a producer's records from an offset on, up to its abort marker.
type AbortedTransaction struct {
	ProducerID  protocol.ProducerID
	FirstOffset protocol.Offset
}

// EpochEnd is an epoch and its end offset, as a diverging epoch (KIP-595) or a snapshot id. The zero value is "not told"; see Told.
type EpochEnd struct {
	Epoch     protocol.LeaderEpoch
	EndOffset protocol.Offset
	Told      bool
}

// FetchResult is the answer for one partition. With an error Kafka sends -1 for all offsets and empty records.
type FetchResult struct {
	Partition            int32
	ErrorCode            int16
	HighWatermark        protocol.Offset
	LastStable           protocol.Offset
	LogStart             protocol.Offset
	Aborted              []AbortedTransaction // nil is null: read_uncommitted; empty is none
	PreferredReadReplica protocol.BrokerID    // -1: none
	RecordsSize          int                  // bytes; -1 is null
	DivergingEpoch       EpochEnd
	CurrentLeader        CurrentLeader
	SnapshotID           EpochEnd
}

// FailedFetch is the answer with an error, as Kafka writes it.
func FailedFetch(partition int32, code int16) FetchResult {
	return FetchResult{
		Partition: partition, ErrorCode: code, HighWatermark: protocol.NoOffset, LastStable: protocol.NoOffset, LogStart: protocol.NoOffset,
		Aborted: noAborted, PreferredReadReplica: protocol.NoBroker,
	}
}

var noAborted = []AbortedTransaction{}

// Begin opens the body. Before version 7 there is neither an error for the whole request nor a session.
// The throttle time is its first four bytes (see PatchThrottle).
func (w FetchWriter) Begin(b []byte, throttleMs int32, code int16, sessionID int32, topics int) []byte {
	b = appendInt32(b, throttleMs)
	if w.Version >= fetchSessions {
		b = appendInt16(b, code)
		b = appendInt32(b, sessionID)
	}
	return appendLength(b, topics, w.flexible())
}

// PatchThrottle overwrites the throttle time of the body that begins at at.
func (w FetchWriter) PatchThrottle(b []byte, at int, throttleMs int32) {
	binary.BigEndian.PutUint32(b[at:], uint32(throttleMs))
}

// Topic opens a topic; its name or its id is written, as the version wants.
func (w FetchWriter) Topic(b []byte, name string, id protocol.TopicID, partitions int) []byte {
	if w.Version >= fetchTopicIDs {
		b = append(b, id[:]...)
	} else {
		b = appendString(b, name, w.flexible())
	}
	return appendLength(b, partitions, w.flexible())
}

// Partition appends one partition's answer up to the length of its records. The next RecordsSize bytes of the response are the records, then comes EndPartition.
// at is where PatchError finds it in b.
func (w FetchWriter) Partition(b []byte, r *FetchResult) (_ []byte, at int) {
	b = appendInt32(b, r.Partition)
	at = len(b)
	b = appendInt16(b, r.ErrorCode)
	b = appendInt64(b, int64(r.HighWatermark))
	b = appendInt64(b, int64(r.LastStable))
	if w.Version >= fetchLogStart {
		b = appendInt64(b, int64(r.LogStart))
	}
	b = w.aborted(b, r.Aborted)
	if w.Version >= fetchRack {
		b = appendInt32(b, int32(r.PreferredReadReplica))
	}
	return appendLength(b, r.RecordsSize, w.flexible()), at
}

func (w FetchWriter) aborted(b []byte, aborted []AbortedTransaction) []byte {
	if aborted == nil {
		return appendLength(b, -1, w.flexible())
	}
	b = appendLength(b, len(aborted), w.flexible())
	for _, a := range aborted {
		b = appendInt64(b, int64(a.ProducerID))
		b = appendInt64(b, int64(a.FirstOffset))
		if w.flexible() {
			b = append(b, 0)
		}
	}
	return b
}

// PatchError overwrites the error code of the partition at at.
func (w FetchWriter) PatchError(b []byte, at int, code int16) {
	binary.BigEndian.PutUint16(b[at:], uint16(code))
}

// EndPartition closes a partition behind its records. r is the one given to Partition.
func (w FetchWriter) EndPartition(b []byte, r *FetchResult) []byte {
	if !w.flexible() {
		return b
	}
	count := byte(0)
	for _, told := range [...]bool{r.DivergingEpoch.Told, r.CurrentLeader.Told, r.SnapshotID.Told} {
		if told {
			count++
		}
	}
	b = append(b, count)
	if e := r.DivergingEpoch; e.Told {
		b = append(b, 0, epochEndSize)
		b = appendInt32(b, int32(e.Epoch))
		b = append(appendInt64(b, int64(e.EndOffset)), 0)
	}
	if r.CurrentLeader.Told {
		b = r.CurrentLeader.appendTag(b, 1)
	}
	if e := r.SnapshotID; e.Told { // the other way round
		b = append(b, 2, epochEndSize)
		b = appendInt64(b, int64(e.EndOffset))
		b = append(appendInt32(b, int32(e.Epoch)), 0)
	}
	return b
}

const epochEndSize = 4 + 8 + 1 // epoch, offset, no tags

// EndTopic closes a topic.
func (w FetchWriter) EndTopic(b []byte) []byte {
	if w.flexible() {
		b = append(b, 0)
	}
	return b
}

// End closes the body. Endpoints belong to the leaders told; they are left out where the version has none.
func (w FetchWriter) End(b []byte, endpoints []NodeEndpoint) []byte {
	if !w.flexible() {
		return b
	}
	if w.Version < fetchNodeEndpoints {
		endpoints = nil
	}
	return appendEndpoints(b, endpoints)
}

func (w FetchWriter) flexible() bool { return w.Version >= fetchFlexible }
