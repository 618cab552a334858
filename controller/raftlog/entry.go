package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/log/batch"
	"ottla/protocol"
)

// kind is the type in a record's key. The numbers keep clear of Kafka's control record types, so that its tools take ours for unknown ones and go on.
type kind int16

const (
	kindBootstrap      kind = 1000 // control; offset 0, term 0; value: the cluster id
	kindNoOp           kind = 1001 // control; the empty entry that begins a term
	kindMetadata       kind = 1002 // value: what the driver proposed
	kindConfChange     kind = 1003 // control; value: raftpb.ConfChange
	kindConfChangeV2   kind = 1004 // control; value: raftpb.ConfChangeV2
	kindSnapshotHeader kind = 1010 // control; snapshot files only, as the next two
	kindSnapshotChunk  kind = 1011
	kindSnapshotFooter kind = 1012 // control
)

// A record's key, numbers big-endian:
//
//	0  version  2  0
//	2  kind     2
const keySize = 4

// maxTerm is the highest term that fits a leader epoch.
const maxTerm = math.MaxInt32

func (k kind) control() bool { return k != kindMetadata && k != kindSnapshotChunk }

// appendBatch appends a batch of one record to dst. It carries no time: the bytes are the same on every voter.
func appendBatch(dst []byte, b *batch.Builder, at protocol.Offset, term uint64, k kind, value []byte) []byte {
	key := [keySize]byte{}
	binary.BigEndian.PutUint16(key[2:], uint16(k))
	b.Reset()
	b.BaseOffset, b.LeaderEpoch, b.Control = at, protocol.LeaderEpoch(term), k.control()
	b.Add(protocol.NoTimestamp, key[:], value)
	return b.Build(dst)
}

// appendEntry appends e as the log stores it.
func appendEntry(dst []byte, b *batch.Builder, e *pb.Entry) ([]byte, error) {
	if e.GetTerm() > maxTerm {
		return nil, fmt.Errorf("raft entry %d: term %d does not fit a leader epoch", e.GetIndex(), e.GetTerm())
	}
	k := kindMetadata
	switch e.GetType() {
	case pb.EntryConfChange:
		k = kindConfChange
	case pb.EntryConfChangeV2:
		k = kindConfChangeV2
	case pb.EntryNormal:
		if len(e.GetData()) == 0 {
			k = kindNoOp
		}
	}
	return appendBatch(dst, b, protocol.Offset(e.GetIndex()), e.GetTerm(), k, e.GetData()), nil
}

// item is one stored batch, decoded: an entry, the bootstrap batch or a piece of a snapshot. Value aliases the bytes it was read from.
type item struct {
	offset protocol.Offset
	term   uint64
	kind   kind
	value  []byte
	size   int // bytes of the batch
}

// parseItem decodes the batch at the start of b, whole and with its CRC, and demands what appendBatch writes. It trusts nothing.
func parseItem(b []byte) (item, error) {
	if !batch.CheckCRC(b) {
		return item{}, fmt.Errorf("%w: a batch is cut off or its CRC is wrong", ErrDamaged)
	}
	var h batch.Header
	if err := batch.ParseHeader(b, &h); err != nil {
		return item{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if h.Attributes.Codec() != batch.None || h.Count != 1 || h.LastOffsetDelta != 0 || h.LeaderEpoch < 0 {
		return item{}, fmt.Errorf("%w: batch %d is not one plain record with a term", ErrDamaged, h.BaseOffset)
	}
	var r batch.Reader
	if err := r.Reset(b, 0); err != nil {
		return item{}, fmt.Errorf("%w: batch %d: %w", ErrDamaged, h.BaseOffset, err)
	}
	var rec batch.Record
	if ok, err := r.Next(&rec); err != nil || !ok {
		return item{}, fmt.Errorf("%w: batch %d: its record: %w", ErrDamaged, h.BaseOffset, err)
	}
	if len(rec.Key) != keySize || rec.Key[0] != 0 || rec.Key[1] != 0 {
		return item{}, fmt.Errorf("%w: batch %d has the key %x", ErrDamaged, h.BaseOffset, rec.Key)
	}
	return item{
		offset: h.BaseOffset, term: uint64(h.LeaderEpoch), size: h.Size(),
		kind: kind(binary.BigEndian.Uint16(rec.Key[2:])), value: rec.Value,
	}, nil
}

// entry is the raft entry that the item stores, in memory of its own.
func (i item) entry() (*pb.Entry, error) {
	e := &pb.Entry{Index: new(uint64(i.offset)), Term: new(i.term), Type: pb.EntryNormal.Enum()}
	switch i.kind {
	case kindNoOp:
		return e, nil
	case kindMetadata:
	case kindConfChange:
		e.Type = pb.EntryConfChange.Enum()
	case kindConfChangeV2:
		e.Type = pb.EntryConfChangeV2.Enum()
	default:
		return nil, fmt.Errorf("%w: batch %d is of kind %d, no raft entry", ErrDamaged, i.offset, i.kind)
	}
	e.Data = bytes.Clone(i.value)
	return e, nil
}

// Entry is one batch of the log as those read it who only follow. The bootstrap batch, and what raft says to its members, have no data.
type Entry struct {
	Offset protocol.Offset
	Term   protocol.Term
	Data   []byte // what the driver proposed; aliases what was read
}

// EachEntry hands the batches of b to f, in order: b is whole batches as the log has them, from offset from on. ErrDamaged if they are not, which may come after entries that were
// right.
func EachEntry(b []byte, from protocol.Offset, f func(Entry) error) error {
	for next := from; len(b) > 0; next++ {
		i, err := parseItem(b)
		switch {
		case err != nil:
			return err
		case i.offset != next:
			return fmt.Errorf("%w: offset %d where %d should be", ErrDamaged, i.offset, next)
		}
		e := Entry{Offset: i.offset, Term: protocol.Term(i.term)}
		switch i.kind {
		case kindMetadata:
			e.Data = i.value
		case kindBootstrap, kindNoOp, kindConfChange, kindConfChangeV2:
		default:
			return fmt.Errorf("%w: batch %d is of kind %d, no raft entry", ErrDamaged, i.offset, i.kind)
		}
		if err := f(e); err != nil {
			return err
		}
		b = b[i.size:]
	}
	return nil
}
