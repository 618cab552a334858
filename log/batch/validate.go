package batch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// ValidateOptions is what a client's batch is checked against, beyond that it is true to itself.
type ValidateOptions struct {
	Partition       protocol.TopicPartition // for the words of the errors
	KeysRequired    bool                    // the topic is compacted
	Now             int64                   // milliseconds
	Timestamps      TimestampRule
	MaxDecompressed int // bytes that the records may inflate to

	stamped bool // the client has set the timestamp type to LogAppendTime
}

// Validate is what every produced batch goes through, after Single has cut out b and decoded h: CRC, then header, then every record, compressed or not. What it accepts is true:
// count, offset deltas, sizes and times in the header are those of the records, so nobody behind it needs to doubt them.
//
// Two fields are mended instead of refused, in b and h with a new CRC, as Kafka does: the max timestamp (the largest of the records' times, at least NoTimestamp) and a
// timestamp type that only the leader may set. Under TimestampRule.LogAppendTime the former is left to StampLogAppendTime, and the latter is INVALID_TIMESTAMP for every record.
//
// Plain records cost a walk over their varints and no allocation; compressed ones are inflated piece by piece through a pooled window, and not kept.
//
// Errors, as Kafka's (LogValidator) unless noted, with b unchanged: CORRUPT_MESSAGE, which clients retry, for a wrong CRC; it wins over everything that the CRC covers.
// INVALID_RECORD for a header that contradicts itself or the records, and for records that do not parse or inflate (Kafka: UNKNOWN_SERVER_ERROR for some).
// *RecordErrors for records without a key or out of time. UNSUPPORTED_COMPRESSION_TYPE for a codec without a name (Kafka: UNKNOWN_SERVER_ERROR).
// MESSAGE_TOO_LARGE beyond MaxDecompressed (Kafka has no limit).
func Validate(b []byte, h *Header, o ValidateOptions) error {
	if sum := checksum(b); h.CRC != sum {
		return protocol.Errorf(kerr.CorruptMessage, "record batch is corrupt (stored crc = %d, computed crc = %d)", h.CRC, sum)
	}
	if err := h.check(); err != nil {
		return err
	}
	if err := h.checkClient(); err != nil {
		return err
	}
	o.stamped = h.Attributes.LogAppendTime()
	h.Attributes &^= logAppendTimeBit // before the walk: each record counts with its own time
	newest, err := walk(b[HeaderSize:], h, &o)
	if err != nil {
		return err
	}
	if !o.Timestamps.LogAppendTime && (o.stamped || newest != h.MaxTimestamp) {
		be.PutUint16(b[attributesAt:], uint16(h.Attributes))
		setMaxTimestamp(b, newest)
		h.decode(b)
	}
	return nil
}
