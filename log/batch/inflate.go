package batch

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// errTooLarge says that the records inflate past the caller's limit: MESSAGE_TOO_LARGE.
func errTooLarge(limit int) error {
	return protocol.Errorf(kerr.MessageTooLarge, "records inflate to more than %d bytes", limit)
}

// errInflate says that the records are not what their codec writes: INVALID_RECORD.
func errInflate(c Codec, err error) error {
	return protocol.Errorf(kerr.InvalidRecord, "records do not decompress as %s: %v", c, err)
}

// inflate appends the decompressed src to dst, at most limit bytes. A length that src claims is compared with the limit before it is paid for; where src claims none,
// memory grows with what has really come out. So it never allocates more than a small multiple of what it returns, or of the limit.
func inflate(dst, src []byte, c Codec, limit int) ([]byte, error) {
	switch c {
	case Gzip:
		return inflateGzip(dst, src, limit)
	case Snappy:
		return inflateSnappy(dst, src, limit)
	case LZ4:
		return inflateLZ4(dst, src, limit)
	case Zstd:
		return inflateZstd(dst, src, limit)
	}
	return nil, protocol.Errorf(kerr.UnsupportedCompressionType, "unknown compression type id: %d", c)
}

// grow makes room for at least one more byte and at most limit bytes in all behind the first start bytes. It doubles.
func grow(dst []byte, start, least, limit int) []byte {
	want := min(max(2*(cap(dst)-start), least), limit)
	bigger := make([]byte, len(dst), start+want)
	copy(bigger, dst)
	return bigger
}

const leastInflate = 4 << 10 // bytes of the first buffer

var gzipReaders = sync.Pool{New: func() any { return new(gzipReader) }}

type gzipReader struct {
	gzip.Reader
	src bytes.Reader
}

func inflateGzip(dst, src []byte, limit int) ([]byte, error) {
	r := gzipReaders.Get().(*gzipReader)
	defer gzipReaders.Put(r)
	r.src.Reset(src)
	defer r.src.Reset(nil)
	if err := r.Reset(&r.src); err != nil {
		return nil, errInflate(Gzip, err)
	}
	start := len(dst)
	for {
		room := dst[len(dst):cap(dst)]
		if full := start + limit; len(dst)+len(room) > full {
			room = dst[len(dst):full]
		}
		if len(room) == 0 && len(dst)-start < limit {
			dst = grow(dst, start, max(leastInflate, 2*len(src)), limit)
			continue
		}
		if len(room) == 0 { // all of the limit is used: whatever comes now is too much
			var one [1]byte
			if n, err := r.Read(one[:]); n > 0 {
				return nil, errTooLarge(limit)
			} else if err != nil && err != io.EOF {
				return nil, errInflate(Gzip, err)
			} else if err == io.EOF {
				return dst, nil
			}
			continue
		}
		n, err := r.Read(room)
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, errInflate(Gzip, err)
		}
	}
}

// A decoder works on the caller's goroutine and writes straight into the caller's buffer, which is also its window, and never past that buffer's capacity.
// So a frame that claims a window of 128 MiB (Java at level 22 does, for any size) costs nothing by claiming it.
var zstdDecoders = &sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}}

const maxZstdWindow = 128 << 20 // what zstd's own decoder accepts by default

func inflateZstd(dst, src []byte, limit int) ([]byte, error) {
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	start := len(dst)
	var first zstd.Header
	least := max(leastInflate, 4*len(src))
	if err := first.Decode(src); err != nil {
		return nil, errInflate(Zstd, err)
	} else if first.HasFCS && first.FrameContentSize > uint64(limit) {
		return nil, errTooLarge(limit)
	} else if first.HasFCS {
		// Believed as far as a block of 128 KiB for each 4 bytes of input (the best that zstd can do) allows.
		least = int(min(first.FrameContentSize, uint64(len(src))<<15))
	} else if surely, perhaps := zstdExtent(src); surely > limit {
		return nil, errTooLarge(limit)
	} else if perhaps > smallWhole && limit > smallWhole {
		// To begin again in a larger buffer would cost more. Blocks that may be almost empty are believed as far as records usually shrink.
		least = max(least, surely+zstdBlock, min(perhaps+zstdBlock, usualRatio*len(src)))
	}
	// A block beyond the limit tells records that are too large from a decoder that has run out of room, which it reports in several ways.
	most := limit + zstdBlock
	for {
		if room := cap(dst) - start; room < min(least, most) {
			dst = grow(dst, start, least, most)
		}
		full := dst[:start:min(cap(dst), start+most)]
		out, err := d.DecodeAll(src, full)
		switch {
		case len(out)-start > limit:
			return nil, errTooLarge(limit)
		case err == nil:
			return out, nil
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded) && cap(full)-len(out) >= zstdBlock:
			return nil, errInflate(Zstd, err)
		case cap(full)-start >= most:
			return nil, errTooLarge(limit)
		}
		least = 4 * max(cap(full)-start, leastInflate)
	}
}

const usualRatio = 32 // of records that are no bomb, at most

const zstdBlock = 128 << 10 // bytes that a block inflates to at most

// buffers hold what inflate appends to, between two readers. Large ones are left to the garbage collector.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const keptBuffer = 4 << 20

func putBuffer(b *[]byte) {
	if cap(*b) <= keptBuffer {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}
