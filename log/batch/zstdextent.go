package batch

import "github.com/klauspost/compress/zstd"

// zstdExtent is how many bytes frames inflate to as their blocks' headers tell: raw blocks and runs of one byte name their size, a compressed block has at most zstdBlock.
// The frames need not be in order: both stop at the first block that cannot be, and what inflates them fails there too.
func zstdExtent(src []byte) (least, most int) {
	for len(src) > 0 {
		var frame zstd.Header
		if err := frame.Decode(src); err != nil {
			return least, most
		}
		skip := frame.HeaderSize
		if frame.Skippable {
			skip += int(frame.SkippableSize)
		}
		if skip > len(src) {
			return least, most
		}
		if src = src[skip:]; frame.Skippable {
			continue
		}
		for last := false; !last; {
			var b zstdBlockHeader
			var ok bool
			if b, src, ok = nextZstdBlock(src); !ok {
				return least, most
			}
			least, most, last = least+b.least, most+b.most, b.last
		}
		if frame.HasCheckSum {
			src = src[min(zstdChecksum, len(src)):]
		}
	}
	return least, most
}

const zstdChecksum = 4 // bytes behind a frame that has one

type zstdBlockHeader struct {
	last        bool
	least, most int // bytes that it inflates to
}

// nextZstdBlock reads a block's header and passes the block; false if it is cut short or none of zstd's. Three bytes, the lowest first:
//
//	bit    0      1-2    3-23
//	    | last | kind | size |
func nextZstdBlock(src []byte) (b zstdBlockHeader, rest []byte, ok bool) {
	if len(src) < 3 {
		return b, nil, false
	}
	h := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
	size, src := h>>3, src[3:]
	b.last = h&1 == 1
	if size > zstdBlock {
		return b, nil, false
	}
	stored := size
	switch h >> 1 & 3 {
	case 0: // raw
		b.least, b.most = size, size
	case 1: // one byte, so many times
		b.least, b.most, stored = size, size, 1
	case 2: // compressed
		b.most = zstdBlock
	default:
		return b, nil, false
	}
	if stored > len(src) {
		return b, nil, false
	}
	return b, src[stored:], true
}
