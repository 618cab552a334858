package batch

import (
	"math"

	"ottla/protocol"
)

// Builder makes batches: control batches, the metadata log, internal topics, tests. Set the fields before Build; they survive Reset.
// Offsets and sequences of the records are consecutive.
type Builder struct {
	BaseOffset    protocol.Offset
	LeaderEpoch   protocol.LeaderEpoch
	ProducerID    protocol.ProducerID // NoProducerID unless set, and so on
	ProducerEpoch protocol.ProducerEpoch
	BaseSequence  protocol.Sequence
	Codec         Codec
	Level         int // of the codec as in compression.*.level; 0 is the codec's default
	Transactional bool
	Control       bool

	records       []byte // encoded, not compressed
	count         int32
	baseTimestamp int64
	maxTimestamp  int64
}

// NewBuilder returns a builder of plain batches at offset 0, without producer and leader epoch.
func NewBuilder() *Builder {
	return &Builder{
		LeaderEpoch: protocol.NoLeaderEpoch, ProducerID: protocol.NoProducerID,
		ProducerEpoch: protocol.NoProducerEpoch, BaseSequence: protocol.NoSequence,
	}
}

// Reset drops the records and keeps the memory and the fields.
func (b *Builder) Reset() { b.records, b.count = b.records[:0], 0 }

// Count is the records added.
func (b *Builder) Count() int { return int(b.count) }

// Size is the bytes that Build appends if the codec is None, and about the most otherwise.
func (b *Builder) Size() int { return HeaderSize + len(b.records) }

// Add appends a record. A nil key or value is null. It copies what it is given; a batch holds less than 2 GiB.
func (b *Builder) Add(timestamp int64, key, value []byte, headers ...RecordHeader) {
	if b.count == 0 {
		b.baseTimestamp, b.maxTimestamp = timestamp, timestamp
	}
	b.maxTimestamp = max(b.maxTimestamp, timestamp)
	b.records = appendRecord(b.records, timestamp-b.baseTimestamp, b.count, key, value, headers)
	b.count++
}

// Build appends the batch to dst. Without records the batch is empty in the way that compaction leaves one: its offset range is one offset that no record has.
func (b *Builder) Build(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	if b.count > 0 {
		dst = deflate(dst, b.records, b.Codec, b.Level)
	}
	h := Header{
		BaseOffset: b.BaseOffset, LeaderEpoch: b.LeaderEpoch, Magic: magicV2, Attributes: b.attributes(),
		LastOffsetDelta: max(b.count-1, 0), BaseTimestamp: b.baseTimestamp, MaxTimestamp: b.maxTimestamp,
		ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch, BaseSequence: b.BaseSequence, Count: b.count,
	}
	if b.count == 0 {
		h.BaseTimestamp, h.MaxTimestamp = protocol.NoTimestamp, protocol.NoTimestamp
	}
	seal(dst[start:], &h)
	return dst
}

func (b *Builder) attributes() Attributes {
	a := Attributes(b.Codec)
	if b.Transactional {
		a |= transactionalBit
	}
	if b.Control {
		a |= controlBit
	}
	return a
}

// seal writes the header, with length and CRC, in front of the records that b already holds behind it.
func seal(b []byte, h *Header) {
	if len(b) > math.MaxInt32-Overhead {
		panic("batch: a batch of 2 GiB was built")
	}
	h.Length = int32(len(b) - Overhead)
	h.encode(b)
	h.CRC = checksum(b)
	be.PutUint32(b[crcAt:], h.CRC)
}
