package batch

// Attributes of a batch:
//
//	bits 0-2  codec
//	bit  3    timestamp type: 0 CreateTime, 1 LogAppendTime
//	bit  4    transactional
//	bit  5    control: the records are markers, not data
//	bit  6    the base timestamp is the delete horizon of tombstones and markers (KIP-534); set by compaction only
//	others    unused, 0
type Attributes int16

const (
	codecBits        Attributes = 0x07
	logAppendTimeBit Attributes = 0x08
	transactionalBit Attributes = 0x10
	controlBit       Attributes = 0x20
	deleteHorizonBit Attributes = 0x40
	unusedBits       Attributes = ^0x7f
)

// Codec is how the records are compressed. A value beyond Zstd has no meaning.
func (a Attributes) Codec() Codec { return Codec(a & codecBits) }

// LogAppendTime tells whether all records have the batch's max timestamp, set by the leader.
func (a Attributes) LogAppendTime() bool { return a&logAppendTimeBit != 0 }

// Transactional tells whether the batch is part of a transaction, as data or as its marker.
func (a Attributes) Transactional() bool { return a&transactionalBit != 0 }

// Control tells whether the records are markers: consumers skip them.
func (a Attributes) Control() bool { return a&controlBit != 0 }

// DeleteHorizon tells whether Header.BaseTimestamp is the time from which compaction may drop tombstones and markers.
func (a Attributes) DeleteHorizon() bool { return a&deleteHorizonBit != 0 }

// Codec is a compression type; the numbers are those of the attributes.
type Codec int8

const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{None: "none", Gzip: "gzip", Snappy: "snappy", LZ4: "lz4", Zstd: "zstd"}

// String is Kafka's name of the codec, as in compression.type.
func (c Codec) String() string {
	if c < None || c > Zstd {
		return "unknown"
	}
	return codecNames[c]
}

// ParseCodec reads String's form. "producer", which compression.type also allows, is no codec.
func ParseCodec(name string) (Codec, bool) {
	for c, n := range codecNames {
		if n == name {
			return Codec(c), true
		}
	}
	return None, false
}
