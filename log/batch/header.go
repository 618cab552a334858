package batch

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// The layout of a batch, all numbers big-endian (KIP-98):
//
//	 0  base offset              8   offset of the first record; assigned by the leader
//	 8  length                   4   bytes after this field
//	12  partition leader epoch   4   set by the leader
//	16  magic                    1   2
//	17  CRC-32C                  4   of everything from the attributes to the end
//	21  attributes               2   see Attributes
//	23  last offset delta        4   last offset minus base offset; compaction keeps it
//	27  base timestamp           8   the records' times count from here; the delete horizon if that attribute is set
//	35  max timestamp            8
//	43  producer id              8   -1: not idempotent
//	51  producer epoch           2
//	53  base sequence            4
//	57  record count             4
//	61  records                  …   compressed as a whole if the attributes say so
//
// Base offset and leader epoch lie outside the CRC: a leader assigns them without touching the rest.
const (
	baseOffsetAt      = 0
	lengthAt          = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57

	// HeaderSize is the bytes before the first record.
	HeaderSize = 61
	// Overhead is the bytes that Header.Length does not count: base offset and length.
	Overhead = 12

	magicV2 = 2
)

var (
	be         = binary.BigEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Header is the first 61 bytes of a batch, decoded.
type Header struct {
	BaseOffset      protocol.Offset
	Length          int32 // bytes after the length field; at least HeaderSize-Overhead
	LeaderEpoch     protocol.LeaderEpoch
	Magic           int8
	CRC             uint32
	Attributes      Attributes
	LastOffsetDelta int32
	BaseTimestamp   int64 // milliseconds
	MaxTimestamp    int64 // milliseconds; the append time if Attributes.LogAppendTime
	ProducerID      protocol.ProducerID
	ProducerEpoch   protocol.ProducerEpoch
	BaseSequence    protocol.Sequence
	Count           int32 // records; fewer than LastOffsetDelta+1 after compaction, even none
}

// Size is the bytes of the whole batch.
func (h *Header) Size() int { return Overhead + int(h.Length) }

// LastOffset is the offset of the last record, also of one that compaction has removed.
func (h *Header) LastOffset() protocol.Offset {
	return h.BaseOffset + protocol.Offset(h.LastOffsetDelta)
}

// NextOffset is one past LastOffset.
func (h *Header) NextOffset() protocol.Offset { return h.LastOffset() + 1 }

// HasProducer tells whether the batch is idempotent or transactional.
func (h *Header) HasProducer() bool { return h.ProducerID >= 0 }

// LastSequence is the sequence of the last record, NoSequence if the batch has none. Sequences wrap from 2^31-1 to 0.
func (h *Header) LastSequence() protocol.Sequence {
	if h.BaseSequence < 0 {
		return protocol.NoSequence
	}
	return protocol.Sequence((int64(h.BaseSequence) + int64(h.LastOffsetDelta)) & math.MaxInt32)
}

// ParseHeader decodes the header at the start of b, which may be longer than the batch or end before it, and checks the structure that every batch has, also a
// compacted one and one written by another broker. It looks neither at the CRC nor at the records, and allocates nothing unless it fails.
//
// Errors: CORRUPT_MESSAGE for bytes that are no batch, INVALID_RECORD for message formats 0 and 1, for counts and deltas that contradict each other and for
// attributes without a meaning, UNSUPPORTED_COMPRESSION_TYPE for a codec without a name.
func ParseHeader(b []byte, h *Header) error {
	if err := parseFrame(b, h); err != nil {
		return err
	}
	return h.check()
}

// parseFrame decodes everything, but checks only what a reader needs in order to find the end of the batch. What it accepts may be covered by the CRC.
func parseFrame(b []byte, h *Header) error {
	if len(b) <= magicAt {
		return protocol.Errorf(kerr.CorruptMessage, "batch of %d bytes is smaller than a header", len(b))
	}
	if magic := int8(b[magicAt]); magic == 0 || magic == 1 {
		return protocol.Errorf(kerr.InvalidRecord, "message format %d is not supported, only record batches of version 2 are", magic)
	} else if magic != magicV2 {
		return protocol.Errorf(kerr.CorruptMessage, "invalid magic %d in batch", magic)
	}
	if len(b) < HeaderSize {
		return protocol.Errorf(kerr.CorruptMessage, "batch of %d bytes is smaller than a header", len(b))
	}
	h.decode(b)
	if int64(h.Length) < HeaderSize-Overhead || int64(h.Length) > math.MaxInt32-Overhead {
		return protocol.Errorf(kerr.CorruptMessage, "batch length %d is out of range", h.Length)
	}
	return nil
}

func (h *Header) decode(b []byte) {
	_ = b[HeaderSize-1]
	h.BaseOffset = protocol.Offset(be.Uint64(b[baseOffsetAt:]))
	h.Length = int32(be.Uint32(b[lengthAt:]))
	h.LeaderEpoch = protocol.LeaderEpoch(be.Uint32(b[leaderEpochAt:]))
	h.Magic = int8(b[magicAt])
	h.CRC = be.Uint32(b[crcAt:])
	h.Attributes = Attributes(be.Uint16(b[attributesAt:]))
	h.LastOffsetDelta = int32(be.Uint32(b[lastOffsetDeltaAt:]))
	h.BaseTimestamp = int64(be.Uint64(b[baseTimestampAt:]))
	h.MaxTimestamp = int64(be.Uint64(b[maxTimestampAt:]))
	h.ProducerID = protocol.ProducerID(be.Uint64(b[producerIDAt:]))
	h.ProducerEpoch = protocol.ProducerEpoch(be.Uint16(b[producerEpochAt:]))
	h.BaseSequence = protocol.Sequence(be.Uint32(b[baseSequenceAt:]))
	h.Count = int32(be.Uint32(b[countAt:]))
}

// encode is the inverse of decode. The CRC is written as it is in h.
func (h *Header) encode(b []byte) {
	_ = b[HeaderSize-1]
	be.PutUint64(b[baseOffsetAt:], uint64(h.BaseOffset))
	be.PutUint32(b[lengthAt:], uint32(h.Length))
	be.PutUint32(b[leaderEpochAt:], uint32(h.LeaderEpoch))
	b[magicAt] = byte(h.Magic)
	be.PutUint32(b[crcAt:], h.CRC)
	be.PutUint16(b[attributesAt:], uint16(h.Attributes))
	be.PutUint32(b[lastOffsetDeltaAt:], uint32(h.LastOffsetDelta))
	be.PutUint64(b[baseTimestampAt:], uint64(h.BaseTimestamp))
	be.PutUint64(b[maxTimestampAt:], uint64(h.MaxTimestamp))
	be.PutUint64(b[producerIDAt:], uint64(h.ProducerID))
	be.PutUint16(b[producerEpochAt:], uint16(h.ProducerEpoch))
	be.PutUint32(b[baseSequenceAt:], uint32(h.BaseSequence))
	be.PutUint32(b[countAt:], uint32(h.Count))
}

// check is the structure beyond the frame: what holds for every batch that a correct broker has written.
func (h *Header) check() error {
	switch {
	case h.BaseOffset < 0 || h.BaseOffset > math.MaxInt64-math.MaxInt32:
		return protocol.Errorf(kerr.InvalidRecord, "base offset %d is out of range", h.BaseOffset)
	case h.LastOffsetDelta < 0:
		return protocol.Errorf(kerr.InvalidRecord, "batch has an invalid offset range: last offset delta %d", h.LastOffsetDelta)
	case h.Count < 0 || int64(h.Count) > int64(h.LastOffsetDelta)+1:
		return protocol.Errorf(kerr.InvalidRecord, "batch declares %d records in an offset range of %d", h.Count, int64(h.LastOffsetDelta)+1)
	case h.Count > 0 && h.Length == HeaderSize-Overhead:
		return protocol.Errorf(kerr.InvalidRecord, "batch declares %d records and holds none", h.Count)
	case h.Attributes&unusedBits != 0:
		return protocol.Errorf(kerr.InvalidRecord, "batch sets attributes without a meaning: %#x", uint16(h.Attributes))
	case h.Attributes.Codec() > Zstd:
		return protocol.Errorf(kerr.UnsupportedCompressionType, "unknown compression type id: %d", h.Attributes.Codec())
	}
	return nil
}

// CheckCRC tells whether the batch at the start of b is whole and its CRC is right. It trusts nothing in b.
func CheckCRC(b []byte) bool {
	if len(b) < HeaderSize {
		return false
	}
	size := int64(int32(be.Uint32(b[lengthAt:]))) + Overhead
	if size < HeaderSize || size > int64(len(b)) {
		return false
	}
	return be.Uint32(b[crcAt:]) == checksum(b[:size])
}

// checksum is the CRC of a whole batch.
func checksum(b []byte) uint32 { return crc32.Checksum(b[attributesAt:], castagnoli) }

// Place gives the batch its offsets and the leader's epoch. Both lie outside the CRC.
func Place(b []byte, base protocol.Offset, epoch protocol.LeaderEpoch) {
	be.PutUint64(b[baseOffsetAt:], uint64(base))
	be.PutUint32(b[leaderEpochAt:], uint32(epoch))
}

// StampLogAppendTime makes ms the time of all records (message.timestamp.type=LogAppendTime): timestamp type bit, max timestamp and a new CRC.
// b is exactly one batch whose header has been parsed.
func StampLogAppendTime(b []byte, ms int64) {
	be.PutUint16(b[attributesAt:], be.Uint16(b[attributesAt:])|uint16(logAppendTimeBit))
	setMaxTimestamp(b, ms)
}

func setMaxTimestamp(b []byte, ms int64) {
	be.PutUint64(b[maxTimestampAt:], uint64(ms))
	be.PutUint32(b[crcAt:], checksum(b))
}
