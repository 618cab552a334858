package producer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"ottla/protocol"
)

// The file NNNNNNNNNNNNNNNNNNNN.snapshot, named for the offset that it is the state before, as Kafka writes it (ProducerStateManager, version 1), all numbers big-endian:
//
//	 0  version              2   1
//	 2  CRC-32C              4   of everything from the count to the end
//	 6  count                4
//	10  count entries, 46 bytes each:
//	     0  producer id                8
//	     8  producer epoch             2
//	    10  last sequence              4   -1: no batch is remembered
//	    14  last offset                8   -1: no batch is remembered
//	    22  offset delta               4   of the last batch: last offset minus first
//	    26  timestamp                  8   what expiry counts from (Kafka writes the last batch's max timestamp)
//	    34  coordinator epoch          4   of the last transaction marker, -1: none
//	    38  first offset of the open transaction  8   -1: none
//
// Only the last batch of each window is kept: after a crash an older one that is repeated is out of order, not a duplicate, as in Kafka.
const (
	snapshotVersion = 1
	snapshotCRCAt   = 2
	snapshotBodyAt  = 6
	snapshotHeader  = 10
	snapshotEntry   = 46
)

var (
	be         = binary.BigEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	// ErrSnapshot says that a producer snapshot is damaged or of another version: the state is then rebuilt from an older one, or from the log.
	ErrSnapshot = errors.New("producer snapshot is damaged")
)

// AppendSnapshot appends the file's bytes to dst, in the order of producer ids: equal states give equal bytes.
func (s *State) AppendSnapshot(dst []byte) []byte {
	start := len(dst)
	dst = be.AppendUint16(dst, snapshotVersion)
	dst = be.AppendUint32(dst, 0) // the CRC, below
	dst = be.AppendUint32(dst, uint32(len(s.producers)))
	ids := make([]protocol.ProducerID, 0, len(s.producers))
	for id := range s.producers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		dst = s.producers[id].appendTo(dst, id)
	}
	be.PutUint32(dst[start+snapshotCRCAt:], crc32.Checksum(dst[start+snapshotBodyAt:], castagnoli))
	return dst
}

func (p *producer) appendTo(dst []byte, id protocol.ProducerID) []byte {
	last := Entry{LastOffset: protocol.NoOffset, LastSequence: protocol.NoSequence}
	if len(p.window) > 0 {
		last = p.window[len(p.window)-1]
	}
	dst = be.AppendUint64(dst, uint64(id))
	dst = be.AppendUint16(dst, uint16(p.epoch))
	dst = be.AppendUint32(dst, uint32(last.LastSequence))
	dst = be.AppendUint64(dst, uint64(last.LastOffset))
	dst = be.AppendUint32(dst, uint32(last.OffsetDelta))
	dst = be.AppendUint64(dst, uint64(p.seenMs))
	dst = be.AppendUint32(dst, uint32(p.coordinatorEpoch))
	return be.AppendUint64(dst, uint64(p.txnFirst))
}

// Load replaces the state by the one in a file's bytes. Errors wrap ErrSnapshot and leave the state as it was.
func (s *State) Load(b []byte) error {
	if len(b) < snapshotHeader {
		return fmt.Errorf("%w: %d bytes", ErrSnapshot, len(b))
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return fmt.Errorf("%w: version %d is not known", ErrSnapshot, v)
	}
	if stored, computed := be.Uint32(b[snapshotCRCAt:]), crc32.Checksum(b[snapshotBodyAt:], castagnoli); stored != computed {
		return fmt.Errorf("%w: stored crc %d, computed crc %d", ErrSnapshot, stored, computed)
	}
	count := int64(int32(be.Uint32(b[snapshotBodyAt:])))
	b = b[snapshotHeader:]
	if count < 0 || count*snapshotEntry != int64(len(b)) {
		return fmt.Errorf("%w: %d producers in %d bytes", ErrSnapshot, count, len(b))
	}
	producers := make(map[protocol.ProducerID]*producer, count)
	for ; len(b) > 0; b = b[snapshotEntry:] {
		id, p, err := parseProducer(b[:snapshotEntry])
		if err != nil {
			return err
		}
		if producers[id] != nil {
			return fmt.Errorf("%w: producer %d occurs twice", ErrSnapshot, id)
		}
		producers[id] = p
	}
	s.producers = producers
	return nil
}

func parseProducer(b []byte) (protocol.ProducerID, *producer, error) {
	id := protocol.ProducerID(be.Uint64(b))
	p := &producer{
		epoch:            protocol.ProducerEpoch(be.Uint16(b[8:])),
		seenMs:           int64(be.Uint64(b[26:])),
		coordinatorEpoch: int32(be.Uint32(b[34:])),
		txnFirst:         protocol.Offset(be.Uint64(b[38:])),
		lastMarker:       protocol.NoOffset,
	}
	last := Entry{
		LastSequence: protocol.Sequence(be.Uint32(b[10:])),
		LastOffset:   protocol.Offset(be.Uint64(b[14:])),
		OffsetDelta:  int32(be.Uint32(b[22:])),
		Timestamp:    p.seenMs,
	}
	if id < 0 || p.epoch < protocol.NoProducerEpoch || p.coordinatorEpoch < -1 || p.txnFirst < protocol.NoOffset ||
		last.LastSequence < protocol.NoSequence || last.LastOffset < protocol.NoOffset || last.LastOffset == math.MaxInt64 {
		return 0, nil, fmt.Errorf("%w: producer %d has a field out of range", ErrSnapshot, id)
	}
	if last.LastOffset >= 0 {
		if last.OffsetDelta < 0 || protocol.Offset(last.OffsetDelta) > last.LastOffset {
			return 0, nil, fmt.Errorf("%w: producer %d has an offset delta of %d at offset %d", ErrSnapshot, id, last.OffsetDelta, last.LastOffset)
		}
		p.push(last)
	}
	return id, p, nil
}
