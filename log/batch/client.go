package batch

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// TimestampRule is a topic's rule for the times of records: message.timestamp.type, message.timestamp.before.max.ms and message.timestamp.after.max.ms.
type TimestampRule struct {
	LogAppendTime bool  // the leader stamps; what the client wrote does not matter
	BeforeMaxMs   int64 // how far a time may lie in the past
	AfterMaxMs    int64 // how far a time may lie in the future
}

// allows tells whether a record of time ts (milliseconds, NoTimestamp for none) may be appended at now.
func (r TimestampRule) allows(now, ts int64) bool {
	if r.LogAppendTime || ts == protocol.NoTimestamp {
		return true
	}
	first, last := r.window(now)
	return first <= ts && ts <= last
}

// window is the first and the last time that a record may have at now.
func (r TimestampRule) window(now int64) (first, last int64) {
	return saturatingAdd(now, -r.BeforeMaxMs), saturatingAdd(now, r.AfterMaxMs)
}

// saturatingAdd is a+b without wrapping: the limits are Long.MAX_VALUE by default, the times whatever a client sends.
func saturatingAdd(a, b int64) int64 {
	if s := a + b; (s > a) == (b > 0) {
		return s
	}
	if b > 0 {
		return math.MaxInt64
	}
	return math.MinInt64
}

// Smallest bytes that could follow the length field in any message format, and the bytes up to the magic: what Kafka looks at to find the end of a batch (ByteBufferLogInputStream).
const (
	leastLength = 14
	framed      = magicAt + 1
)

// Single cuts the one batch out of what a Produce request has for a partition, and decodes its header into h, which is not yet checked. Bytes behind the batch that are the
// beginning of another one are dropped, as Kafka does.
//
// Errors (ProduceRequest.validateRecords): INVALID_RECORD for no whole batch, more than one, and message formats 0 and 1; CORRUPT_MESSAGE for what cannot be the beginning of a batch.
func Single(records []byte, h *Header) ([]byte, error) {
	size, err := wholeBatch(records)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, protocol.Errorf(kerr.InvalidRecord, "produce requests must have at least one whole record batch per partition")
	}
	b := records[:size:size]
	if err := parseFrame(b, h); err != nil {
		return nil, err
	}
	another, err := wholeBatch(records[size:])
	if err != nil {
		return nil, err
	}
	if another > 0 {
		return nil, protocol.Errorf(kerr.InvalidRecord, "produce requests must have exactly one record batch per partition")
	}
	return b, nil
}

// wholeBatch is the size of the batch at the start of b, 0 if b ends before it does.
func wholeBatch(b []byte) (int, error) {
	if len(b) < Overhead {
		return 0, nil
	}
	length := int64(int32(be.Uint32(b[lengthAt:])))
	if length < leastLength {
		return 0, protocol.Errorf(kerr.CorruptMessage, "batch length %d is less than the minimum of %d", length, leastLength)
	}
	if len(b) < framed {
		return 0, nil
	}
	if magic := int8(b[magicAt]); magic < 0 || magic > magicV2 {
		return 0, protocol.Errorf(kerr.CorruptMessage, "invalid magic %d in batch", magic)
	}
	if Overhead+length > int64(len(b)) {
		return 0, nil
	}
	return int(Overhead + length), nil
}

// checkClient is what a header must be for a client to have sent it, beyond check (LogValidator.validateBatch).
func (h *Header) checkClient() error {
	invalid := kerr.InvalidRecord
	switch {
	case h.BaseOffset != 0:
		return protocol.Errorf(invalid, "the base offset of the record batch should be 0, but it is %d", h.BaseOffset)
	case h.Count == 0:
		return protocol.Errorf(invalid, "invalid reported count for record batch: 0")
	case int64(h.Count) != int64(h.LastOffsetDelta)+1:
		return protocol.Errorf(invalid, "inconsistent batch offset range [%d, %d] and count of records %d", h.BaseOffset, h.LastOffset(), h.Count)
	case h.Attributes.Control():
		return protocol.Errorf(invalid, "clients are not allowed to write control records")
	case h.Attributes.DeleteHorizon():
		return protocol.Errorf(invalid, "clients are not allowed to set a delete horizon")
	case h.ProducerID < protocol.NoProducerID:
		return protocol.Errorf(invalid, "invalid producer id %d", h.ProducerID)
	case h.HasProducer() && h.BaseSequence < 0:
		return protocol.Errorf(invalid, "invalid sequence number %d in record batch with producer id %d", h.BaseSequence, h.ProducerID)
	case h.HasProducer() && h.ProducerEpoch < 0:
		return protocol.Errorf(invalid, "invalid producer epoch %d in record batch with producer id %d", h.ProducerEpoch, h.ProducerID)
	case h.Attributes.Transactional() && !h.HasProducer():
		return protocol.Errorf(invalid, "transactional record batch without a producer id")
	}
	return nil
}
