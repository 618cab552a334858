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
	return ts >= saturatingAdd(now, -r.BeforeMaxMs) && ts <= saturatingAdd(now, r.AfterMaxMs)
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

// ValidateClient is what every produced batch goes through: records must be exactly one batch, whole and undamaged, with the fields that a client may set.
// It decodes the header into h. It looks only at header and CRC, so that a producer's compression costs the broker nothing; Validate looks deeper, and the log has it do so
// where nothing needs to be inflated. A lie in compressed records hurts only readers of that batch, whom Reader protects.
//
// Errors, as Kafka's (LogValidator, UnifiedLog.analyzeAndValidateRecords, ProduceRequest.validateRecords): CORRUPT_MESSAGE, which clients retry, for damage; INVALID_RECORD for
// an offset range that contradicts the count, no records, more than one batch, a base offset other than 0, control records and producer fields that contradict each other;
// INVALID_TIMESTAMP for a LogAppendTime bit and for times outside the topic's rule. Kafka mends a wrong max timestamp because it has seen all records;
// here one before the base timestamp is INVALID_TIMESTAMP. Damage wins over everything that the CRC covers.
func ValidateClient(records []byte, h *Header, now int64, rule TimestampRule) error {
	if len(records) == 0 {
		return protocol.Errorf(kerr.InvalidRecord, "produce requests must have exactly one record batch per partition")
	}
	if err := parseFrame(records, h); err != nil {
		return err
	}
	switch {
	case h.Size() > len(records):
		return protocol.Errorf(kerr.CorruptMessage, "record batch of %d bytes is cut off after %d", h.Size(), len(records))
	case h.Size() < len(records):
		return protocol.Errorf(kerr.InvalidRecord, "produce requests must have exactly one record batch per partition")
	case h.CRC != checksum(records):
		return protocol.Errorf(kerr.CorruptMessage, "record batch is corrupt (stored crc = %d, computed crc = %d)", h.CRC, checksum(records))
	}
	if err := h.check(); err != nil {
		return err
	}
	if err := h.checkClient(); err != nil {
		return err
	}
	return h.checkTimestamps(now, rule)
}

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

func (h *Header) checkTimestamps(now int64, rule TimestampRule) error {
	switch {
	case h.Attributes.LogAppendTime():
		return protocol.Errorf(kerr.InvalidTimestamp, "producers should not set the timestamp type to LogAppendTime")
	case rule.LogAppendTime:
		return nil
	case h.MaxTimestamp < h.BaseTimestamp:
		return protocol.Errorf(kerr.InvalidTimestamp, "max timestamp %d of the batch lies before its base timestamp %d", h.MaxTimestamp, h.BaseTimestamp)
	case !rule.allows(now, h.MaxTimestamp):
		return outOfRange(h.MaxTimestamp, now, rule)
	case !rule.allows(now, h.BaseTimestamp): // the first record's time
		return outOfRange(h.BaseTimestamp, now, rule)
	}
	return nil
}

func outOfRange(ts, now int64, rule TimestampRule) error {
	return protocol.Errorf(kerr.InvalidTimestamp, "timestamp %d is out of range. The timestamp should be within [%d, %d]",
		ts, saturatingAdd(now, -rule.BeforeMaxMs), saturatingAdd(now, rule.AfterMaxMs))
}
