package batch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// Reader walks the records of one batch. It trusts nothing: a batch whose records do not match its header ends in an error, never in a panic or in endless memory.
// A Reader may be reset for the next batch; then plain batches cost no allocation, compressed ones a pooled buffer. It is for one goroutine.
type Reader struct {
	h     Header
	rest  []byte  // records not yet read, inflated
	buf   *[]byte // pooled memory that rest lies in; nil for plain batches
	seen  int32
	delta int32 // offset delta of the last record, -1 before the first
}

// NewReader begins to read the batch at the start of b, inflating at most maxDecompressed bytes.
// Errors: those of ParseHeader; CORRUPT_MESSAGE if b ends before the batch; MESSAGE_TOO_LARGE beyond the limit; INVALID_RECORD for bytes that the codec does not know.
// The CRC is not checked. Close gives the memory back.
func NewReader(b []byte, maxDecompressed int) (*Reader, error) {
	r := new(Reader)
	if err := r.Reset(b, maxDecompressed); err != nil {
		return nil, err
	}
	return r, nil
}

// Reset closes the reader and begins another batch, as NewReader does.
func (r *Reader) Reset(b []byte, maxDecompressed int) error {
	r.Close()
	if err := ParseHeader(b, &r.h); err != nil {
		return err
	}
	if r.h.Size() > len(b) {
		return protocol.Errorf(kerr.CorruptMessage, "record batch of %d bytes is cut off after %d", r.h.Size(), len(b))
	}
	r.seen, r.delta = 0, -1
	r.rest = b[HeaderSize:r.h.Size()]
	codec := r.h.Attributes.Codec()
	if codec == None || r.h.Count == 0 && len(r.rest) == 0 { // emptied by compaction: the codec's bits may stay
		return nil
	}
	r.buf = buffers.Get().(*[]byte)
	out, err := inflate((*r.buf)[:0], r.rest, codec, maxDecompressed)
	if err != nil {
		r.Close()
		return err
	}
	*r.buf, r.rest = out, out
	return nil
}

// Close gives the memory back; records that were read from a compressed batch are no longer valid. The reader may be reset, or closed again.
func (r *Reader) Close() {
	if r.buf != nil {
		putBuffer(r.buf)
	}
	r.buf, r.rest = nil, nil
}

// Header is the batch's.
func (r *Reader) Header() *Header { return &r.h }

// Next reads the next record into rec; false at the end. Offsets rise and stay within the batch, and the end is where the header says it is: else INVALID_RECORD.
func (r *Reader) Next(rec *Record) (bool, error) {
	if r.seen == r.h.Count {
		if len(r.rest) > 0 {
			return false, protocol.Errorf(kerr.InvalidRecord, "%d bytes are left behind the %d records that the batch declares", len(r.rest), r.h.Count)
		}
		return false, nil
	}
	n, err := parseRecord(r.rest, &r.h, rec)
	if err != nil {
		return false, err
	}
	if rec.offsetDelta <= r.delta || rec.offsetDelta > r.h.LastOffsetDelta {
		return false, protocol.Errorf(kerr.InvalidRecord, "record %d has offset delta %d after %d in a batch that ends at %d", r.seen, rec.offsetDelta, r.delta, r.h.LastOffsetDelta)
	}
	r.rest, r.delta = r.rest[n:], rec.offsetDelta
	r.seen++
	return true, nil
}
