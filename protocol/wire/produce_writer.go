package wire

import (
	"encoding/binary"

	"ottla/protocol"
)

// ProduceWriter appends the body of a Produce response of version 3 to 13. It keeps nothing but the version: every method appends to b and returns it, and the caller keeps the order
//
//	Begin { Topic { Partition }... EndTopic }... End
//
// and says counts where arrays begin.
//
//	responses [ name string (v3–12) or topic_id uuid (v13+)
//	            partitions [ index int32 · error_code int16 · base_offset int64 · log_append_time_ms int64 · log_start_offset int64 (v5+)
//	                         record_errors [ batch_index int32 · message nullable string · tags ] (v8+) · error_message nullable string (v8+)
//	                         tags: 0 current_leader (v10+) ] · tags ]
//	throttle_time_ms int32 · tags: 0 node_endpoints (v10+)
type ProduceWriter struct{ Version int16 }

// RecordError names one record of a batch that was refused (KIP-467).
type RecordError struct {
	BatchIndex int32
	Message    *string
}

// ProduceResult is the answer for one partition.
type ProduceResult struct {
	Index         int32
	ErrorCode     int16
	BaseOffset    protocol.Offset // -1 with an error
	LogAppendTime int64           // milliseconds since 1970; -1 for CreateTime topics
	LogStart      protocol.Offset // -1 with an error
	RecordErrors  []RecordError
	ErrorMessage  *string
	CurrentLeader CurrentLeader
}

// Begin opens the array of topics.
func (w ProduceWriter) Begin(b []byte, topics int) []byte {
	return appendLength(b, topics, w.flexible())
}

// Topic opens a topic; its name or its id is written, as the version wants.
func (w ProduceWriter) Topic(b, name []byte, id protocol.TopicID, partitions int) []byte {
	if w.Version >= produceTopicIDs {
		b = append(b, id[:]...)
	} else {
		b = appendString(b, name, w.flexible())
	}
	return appendLength(b, partitions, w.flexible())
}

// Partition appends one partition's answer; at is where Patch finds it in b.
func (w ProduceWriter) Partition(b []byte, r *ProduceResult) (_ []byte, at int) {
	b = appendInt32(b, r.Index)
	at = len(b)
	b = appendInt16(b, r.ErrorCode)
	b = appendInt64(b, int64(r.BaseOffset))
	b = appendInt64(b, r.LogAppendTime)
	if w.Version >= 5 {
		b = appendInt64(b, int64(r.LogStart))
	}
	if w.Version >= 8 {
		b = w.recordErrors(b, r.RecordErrors)
		b = appendNullableString(b, r.ErrorMessage, w.flexible())
	}
	switch {
	case !w.flexible():
	case r.CurrentLeader.Told && w.Version >= produceCurrentLeader:
		b = r.CurrentLeader.appendTag(append(b, 1), 0)
	default:
		b = append(b, 0)
	}
	return b, at
}

func (w ProduceWriter) recordErrors(b []byte, errs []RecordError) []byte {
	b = appendLength(b, len(errs), w.flexible())
	for i := range errs {
		b = appendInt32(b, errs[i].BatchIndex)
		b = appendNullableString(b, errs[i].Message, w.flexible())
		if w.flexible() {
			b = append(b, 0)
		}
	}
	return b
}

// Patch overwrites the numbers of the partition at at: what became of an append that was answered before it was replicated. Error message and leader stay as they were written.
func (w ProduceWriter) Patch(b []byte, at int, code int16, base protocol.Offset, logAppendTime int64, logStart protocol.Offset) {
	binary.BigEndian.PutUint16(b[at:], uint16(code))
	binary.BigEndian.PutUint64(b[at+2:], uint64(base))
	binary.BigEndian.PutUint64(b[at+10:], uint64(logAppendTime))
	if w.Version >= 5 {
		binary.BigEndian.PutUint64(b[at+18:], uint64(logStart))
	}
}

// EndTopic closes a topic.
func (w ProduceWriter) EndTopic(b []byte) []byte {
	if w.flexible() {
		b = append(b, 0)
	}
	return b
}

// End closes the body. Endpoints belong to the leaders told; they are left out where the version has none.
func (w ProduceWriter) End(b []byte, throttleMs int32, endpoints []NodeEndpoint) []byte {
	b = appendInt32(b, throttleMs)
	if !w.flexible() {
		return b
	}
	if w.Version < produceCurrentLeader {
		endpoints = nil
	}
	return appendEndpoints(b, endpoints)
}

func (w ProduceWriter) flexible() bool { return w.Version >= produceFlexible }
