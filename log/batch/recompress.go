package batch

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// Recompress returns the batch at the start of b with its records compressed as to, at a level of deflate's (compression.type and compression.*.level). Offsets, times,
// producer fields and the records' own bytes stay; length, codec and CRC are new. A batch that already has the codec is returned as it is, and so are one without
// records and a plain control batch, as in Kafka. b is not changed.
//
// Errors: those of NewReader. Records are not looked at: Validate first if they come from a client.
func Recompress(b []byte, to Codec, level int, maxDecompressed int) ([]byte, error) {
	var h Header
	if err := ParseHeader(b, &h); err != nil {
		return nil, err
	}
	if h.Size() > len(b) {
		return nil, protocol.Errorf(kerr.CorruptMessage, "record batch of %d bytes is cut off after %d", h.Size(), len(b))
	}
	b = b[:h.Size()]
	from := h.Attributes.Codec()
	if from == to || h.Count == 0 || from == None && h.Attributes.Control() {
		return b, nil
	}
	records := b[HeaderSize:]
	if from != None {
		buf := buffers.Get().(*[]byte)
		defer putBuffer(buf)
		plain, err := inflate((*buf)[:0], records, from, min(maxDecompressed, smallWhole))
		if errors.Is(err, kerr.MessageTooLarge) && maxDecompressed > smallWhole {
			takeTurn()
			defer endTurn()
			plain, err = inflate((*buf)[:0], records, from, maxDecompressed)
		}
		if err != nil {
			return nil, err
		}
		*buf, records = plain, plain
	}
	out := deflate(make([]byte, HeaderSize, HeaderSize+len(records)), records, to, level)
	h.Attributes = h.Attributes&^codecBits | Attributes(to)
	seal(out, &h)
	return out, nil
}
