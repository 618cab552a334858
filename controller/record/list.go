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

	// MaxCount is how many records one list may hold, and how many nested messages besides: it bounds what Decode allocates
	// (4 bytes per byte of input and half a KiB for each of them).
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

// Decode reads Encode's form. The error is ErrMalformed or ErrNewer, with the number of the record; records before it are not returned.
// The records do not alias b.
func Decode(b []byte) ([]*Record, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decode: %d bytes: %w", len(b), ErrMalformed)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("decode: no format version: %w", ErrMalformed)
	}
	if b[0] > FormatVersion {
		return nil, fmt.Errorf("decode: format version %d: %w", b[0], ErrNewer)
	}
	count, n := protowire.ConsumeVarint(b[1:])
	if b[0] == 0 || n < 0 || count > MaxCount || count > uint64(len(b)) {
		return nil, fmt.Errorf("decode: format version %d, %d records: %w", b[0], count, ErrMalformed)
	}
	b = b[1+n:]
	rs := make([]*Record, 0, count)
	nested := 0
	for i := range int(count) {
		body, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return nil, fmt.Errorf("decode record %d: size: %w", i, ErrMalformed)
		}
		r, err := decodeOne(body, &nested)
		if err != nil {
			return nil, fmt.Errorf("decode record %d: %w", i, err)
		}
		rs, b = append(rs, r), b[n:]
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("decode: %d bytes after the last record: %w", len(b), ErrMalformed)
	}
	return rs, nil
}

// decodeOne looks at the outline before anything is allocated: one field, which is a kind we know, and not too many messages inside.
func decodeOne(b []byte, nested *int) (*Record, error) {
	number, wire, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, ErrMalformed
	}
	if (&Record{}).ProtoReflect().Descriptor().Fields().ByNumber(number) == nil {
		return nil, fmt.Errorf("kind %d: %w", number, ErrNewer)
	}
	body, m := protowire.ConsumeBytes(b[n:])
	if wire != protowire.BytesType || m < 0 || n+m != len(b) {
		return nil, fmt.Errorf("kind %d: %w", number, ErrMalformed)
	}
	if number == registrationKind {
		if *nested += countNested(body); *nested > MaxCount {
			return nil, fmt.Errorf("kind %d: %d nested messages: %w", number, *nested, ErrMalformed)
		}
	}
	r := &Record{}
	if err := proto.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("kind %d: %w: %w", number, ErrMalformed, err)
	}
	if err := check(r); err != nil {
		return nil, fmt.Errorf("kind %d: %w", number, err)
	}
	return r, nil
}

// registrationKind is the one kind with repeated messages inside.
const registrationKind = 4

// countNested counts fields that may become a message of their own.
func countNested(body []byte) (count int) {
	for len(body) > 0 {
		number, wire, tag := protowire.ConsumeTag(body)
		if tag < 0 {
			return count // proto.Unmarshal says what is wrong
		}
		n := protowire.ConsumeFieldValue(number, wire, body[tag:])
		if n < 0 {
			return count
		}
		count++
		body = body[tag+n:]
	}
	return count
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
