package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
)

// ID names a record that a producer has sent: its own number, and the record's among all that it sent.
type ID struct {
	Producer uint32
	Seq      uint64
}

func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Producer, id.Seq) }

// Value is what the value of a record says about itself, so that a record in a wrong place, of another run or with a changed byte is known as such wherever it turns up.
type Value struct {
	Run       uint64 // drawn once per history
	Topic     string // kept as a hash
	Partition int32
	ID        ID
}

// The layout of a value, all numbers big-endian:
//
//	 0  magic       4   "OTLV"
//	 4  run         8
//	12  topic       4   FNV-1a of its name
//	16  partition   4
//	20  producer    4
//	24  sequence    8
//	32  CRC-32C     4   of everything else
//	36  padding     …   the low byte of the sequence
const (
	valueMagic = "OTLV"
	crcAt      = 32
	paddingAt  = 36
	// MinValue is the bytes of a value without padding.
	MinValue = paddingAt
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the value, padded to size bytes; it is never shorter than MinValue.
func (v Value) Append(dst []byte, size int) []byte {
	at := len(dst)
	dst = append(dst, valueMagic...)
	dst = binary.BigEndian.AppendUint64(dst, v.Run)
	dst = binary.BigEndian.AppendUint32(dst, topicHash(v.Topic))
	dst = binary.BigEndian.AppendUint32(dst, uint32(v.Partition))
	dst = binary.BigEndian.AppendUint32(dst, v.ID.Producer)
	dst = binary.BigEndian.AppendUint64(dst, v.ID.Seq)
	dst = append(dst, 0, 0, 0, 0)
	for len(dst)-at < size {
		dst = append(dst, byte(v.ID.Seq))
	}
	binary.BigEndian.PutUint32(dst[at+crcAt:], valueCRC(dst[at:]))
	return dst
}

func valueCRC(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:crcAt], castagnoli), castagnoli, b[paddingAt:])
}

func topicHash(topic string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic)) // a hash takes everything
	return h.Sum32()
}

// ParseValue reads a value that was found in the given partition of the topic. Errors say what is wrong with it: not a value of ours, bytes changed, of another run or another place.
func ParseValue(b []byte, run uint64, topic string, partition int32) (ID, error) {
	if len(b) < MinValue || string(b[:4]) != valueMagic {
		return ID{}, errors.New("not a value of this suite")
	}
	if binary.BigEndian.Uint32(b[crcAt:]) != valueCRC(b) {
		return ID{}, errors.New("bytes of the value have changed")
	}
	id := ID{Producer: binary.BigEndian.Uint32(b[20:]), Seq: binary.BigEndian.Uint64(b[24:])}
	switch {
	case binary.BigEndian.Uint64(b[4:]) != run:
		return id, fmt.Errorf("record %s is of another run", id)
	case binary.BigEndian.Uint32(b[12:]) != topicHash(topic):
		return id, fmt.Errorf("record %s is of another topic", id)
	case int32(binary.BigEndian.Uint32(b[16:])) != partition:
		return id, fmt.Errorf("record %s is of partition %d", id, int32(binary.BigEndian.Uint32(b[16:])))
	}
	return id, nil
}
