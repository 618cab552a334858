package batch

import (
	"encoding/binary"
	"iter"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// The layout of a record within a batch, all numbers zig-zag varints unless a size is given:
//
//	length            of what follows
//	attributes        1 byte, unused
//	timestamp delta   64 bits; from the batch's base timestamp
//	offset delta      from the batch's base offset
//	key length        -1: null; then the key
//	value length      -1: null; then the value
//	header count      then for each: key length, key, value length (-1: null), value
const minRecordSize = 7

// Record is one record of a batch. Its slices alias the batch, or the Reader's buffer if the batch is compressed.
type Record struct {
	Offset    protocol.Offset
	Timestamp int64  // milliseconds; the batch's max timestamp under LogAppendTime
	Key       []byte // nil is null, which is not empty
	Value     []byte
	Headers   Headers

	offsetDelta int32
}

// Headers are a record's headers, still encoded.
type Headers struct {
	count int32
	raw   []byte
}

// RecordHeader is one header to write. A nil Value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// Len is the number of headers.
func (h Headers) Len() int { return int(h.count) }

// All yields key and value (nil for null) of each header, in order.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		raw := h.raw
		for range h.count {
			key, n := sized(raw)
			value, m := sized(raw[n:])
			if !yield(key, value) {
				return
			}
			raw = raw[n+m:]
		}
	}
}

// sized reads a length (-1 for null) and that many bytes from the start of b; n is the bytes of both, 0 if b does not hold them.
func sized(b []byte) (v []byte, n int) {
	size, n := varint(b)
	if n == 0 || size < -1 || int64(size) > int64(len(b)-n) {
		return nil, 0
	}
	if size == -1 {
		return nil, n
	}
	end := n + int(size)
	return b[n:end:end], end
}

// parseRecord decodes the record at the start of b and returns its size. It allocates nothing unless it fails, with INVALID_RECORD.
func parseRecord(b []byte, h *Header, r *Record) (size int, err error) {
	length, n := varint(b)
	if n == 0 || length < minRecordSize-1 || int64(length) > int64(len(b)-n) {
		return 0, invalidRecord("length", len(b))
	}
	size = n + int(length)
	b = b[n+1 : size] // behind the attributes
	delta, n := varlong(b)
	if n == 0 {
		return 0, invalidRecord("timestamp delta", len(b))
	}
	b = b[n:]
	r.offsetDelta, n = varint(b)
	if n == 0 {
		return 0, invalidRecord("offset delta", len(b))
	}
	b = b[n:]
	if r.Key, n = sized(b); n == 0 {
		return 0, invalidRecord("key length", len(b))
	}
	b = b[n:]
	if r.Value, n = sized(b); n == 0 {
		return 0, invalidRecord("value length", len(b))
	}
	if r.Headers, err = parseHeaders(b[n:]); err != nil {
		return 0, err
	}
	r.Offset = h.BaseOffset + protocol.Offset(r.offsetDelta)
	r.Timestamp = h.BaseTimestamp + delta
	if h.Attributes.LogAppendTime() {
		r.Timestamp = h.MaxTimestamp
	}
	return size, nil
}

// parseHeaders checks that b is nothing but headers; Headers.All relies on it.
func parseHeaders(b []byte) (Headers, error) {
	count, n := varint(b)
	if n == 0 || count < 0 || int64(count)*2 > int64(len(b)-n) {
		return Headers{}, invalidRecord("number of headers", len(b))
	}
	h := Headers{count: count, raw: b[n:]}
	b = h.raw
	for range count {
		if size, _ := varint(b); size < 0 {
			return Headers{}, invalidRecord("header key length", len(b))
		}
		_, n := sized(b)
		if n == 0 {
			return Headers{}, invalidRecord("header key length", len(b))
		}
		b = b[n:]
		if _, n = sized(b); n == 0 {
			return Headers{}, invalidRecord("header value length", len(b))
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return Headers{}, protocol.Errorf(kerr.InvalidRecord, "invalid record: %d bytes behind its headers", len(b))
	}
	return h, nil
}

func invalidRecord(field string, left int) error {
	return protocol.Errorf(kerr.InvalidRecord, "invalid record: %s is malformed or exceeds the %d bytes that are left", field, left)
}

// appendRecord is the inverse of parseRecord.
func appendRecord(dst []byte, timestampDelta int64, offsetDelta int32, key, value []byte, headers []RecordHeader) []byte {
	size := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) + sizedSize(key) + sizedSize(value) + varintSize(int64(len(headers)))
	for i := range headers {
		size += varintSize(int64(len(headers[i].Key))) + len(headers[i].Key) + sizedSize(headers[i].Value)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	dst = appendSized(dst, key)
	dst = appendSized(dst, value)
	dst = binary.AppendVarint(dst, int64(len(headers)))
	for i := range headers {
		dst = binary.AppendVarint(dst, int64(len(headers[i].Key)))
		dst = append(dst, headers[i].Key...)
		dst = appendSized(dst, headers[i].Value)
	}
	return dst
}

func appendSized(dst, v []byte) []byte {
	if v == nil {
		return append(dst, 1) // -1
	}
	dst = binary.AppendVarint(dst, int64(len(v)))
	return append(dst, v...)
}

func sizedSize(v []byte) int { return varintSize(int64(len(v))) + len(v) } // null and empty take one byte each
