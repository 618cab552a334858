package record

import (
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// A list of records, as one raft entry carries it:
//
//	byte     format version (1)
//	uvarint  count
//	count times:
//	  uvarint  size
//	  size     Record, protobuf, exactly one kind
//
// Nothing follows the last record.

const (
	// FormatVersion is the first byte of an encoded list.
	FormatVersion = 1

	// MaxCount is how many records one list may hold.
	MaxCount = 1 << 17
	// MaxSize is how many bytes one encoded list may have.
	MaxSize = 16 << 20
)

var (
	// ErrMalformed says that bytes are not a list of records.
	ErrMalformed = errors.New("malformed metadata records")
	// ErrNewer says that a record is of a kind, or has a field, that this build does not know. It must not be skipped: the state would differ between
	// nodes. The finalized feature level keeps newer nodes from writing one while an older node is in the cluster.
	ErrNewer = errors.New("metadata records of a newer version")
)

// Encode gives the bytes of a list: the same list, the same bytes. A list over the limits is a bug of the caller (see Split) and panics.
func Encode(rs []*Record) []byte {
	if len(rs) > MaxCount {
		panic(fmt.Sprintf("record: list of %d records, at most %d fit", len(rs), MaxCount))
	}
	o := proto.MarshalOptions{Deterministic: true}
	size := 1 + protowire.SizeVarint(uint64(len(rs)))
	for _, r := range rs {
		size += protowire.SizeBytes(o.Size(r))
	}
	if size > MaxSize {
		panic(fmt.Sprintf("record: list of %d bytes, at most %d fit", size, MaxSize))
	}
	b := append(make([]byte, 0, size), FormatVersion)
	b = protowire.AppendVarint(b, uint64(len(rs)))
	sized := proto.MarshalOptions{Deterministic: true, UseCachedSize: true}
	for _, r := range rs {
		b = protowire.AppendVarint(b, uint64(o.Size(r)))
		var err error
		if b, err = sized.MarshalAppend(b, r); err != nil {
			panic(fmt.Sprintf("record: encode %v: %v", r, err)) // only a string that is not UTF-8: refused by decide
		}
	}
	return b
}

// Split cuts a list of any length, such as a snapshot, into lists that Encode takes. The order is kept.
func Split(rs []*Record) iter.Seq[[]*Record] {
	const count, size = MaxCount / 4, MaxSize / 4
	return func(yield func([]*Record) bool) {
		first, bytes := 0, 0
		for i, r := range rs {
			n := proto.Size(r)
			if i > first && (i-first == count || bytes+n > size) {
				if !yield(rs[first:i:i]) {
					return
				}
				first, bytes = i, 0
			}
			bytes += n
		}
		if first < len(rs) {
			yield(rs[first:])
		}
	}
}
