package batch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// TimestampOffset is a record's place in time and in the log.
type TimestampOffset struct {
	Timestamp int64 // milliseconds
	Offset    protocol.Offset
}

// Find is the first record that fits, of the batch at the start of b; false if there is none. fits may look at Timestamp and Offset only. Compressed records pass through a window: many
// clients may ask at once for a time that lies in a batch which inflates to hundreds of megabytes.
// Errors: those of Reader. Records before one that does not parse are still found.
func Find(b []byte, fits func(*Record) bool, maxDecompressed int) (TimestampOffset, bool, error) {
	none := TimestampOffset{}
	var h Header
	if err := ParseHeader(b, &h); err != nil {
		return none, false, err
	}
	if h.Size() > len(b) {
		return none, false, protocol.Errorf(kerr.CorruptMessage, "record batch of %d bytes is cut off after %d", h.Size(), len(b))
	}
	records := b[HeaderSize:h.Size()]
	if h.Count == 0 && len(records) == 0 { // emptied by compaction: the codec's bits may stay
		return none, false, nil
	}
	w, err := openWalker(records, &h, maxDecompressed)
	if err != nil {
		return none, false, err
	}
	defer w.release()
	return w.find(&h, fits)
}

func (w *walker) find(h *Header, fits func(*Record) bool) (TimestampOffset, bool, error) {
	var rec Record
	before := int32(-1)
	for i := range h.Count {
		if err := w.next(h, &rec); err != nil {
			return TimestampOffset{}, false, err
		}
		if rec.offsetDelta <= before || rec.offsetDelta > h.LastOffsetDelta {
			return TimestampOffset{}, false, protocol.Errorf(kerr.InvalidRecord, "record %d has offset delta %d after %d in a batch that ends at %d", i, rec.offsetDelta, before, h.LastOffsetDelta)
		}
		before = rec.offsetDelta
		if fits(&rec) {
			return TimestampOffset{rec.Timestamp, rec.Offset}, true, nil
		}
	}
	return TimestampOffset{}, false, w.end(h)
}
