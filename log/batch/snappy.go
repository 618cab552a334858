package batch

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// Snappy comes in two shapes. Kafka's Java client writes the stream of snappy-java ("xerial"), numbers big-endian:
//
//	magic       8   0x82 S N A P P Y 0
//	version     4   1
//	compatible  4   1
//	chunks      …   size 4, then one raw snappy block of that size
//
// Others write one raw snappy block, which begins with its decoded length. Both are read; xerial is written, because Kafka's clients read nothing else.
const (
	xerialHeader = 16
	xerialChunk  = 32 << 10 // bytes before compression, snappy-java's default
)

var (
	xerialMagic    = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}
	errSnappyChunk = errors.New("chunk exceeds the stream")
	errSnappySize  = errors.New("block claims more than its bytes can hold")
)

func inflateSnappy(dst, src []byte, limit int) ([]byte, error) {
	start := len(dst)
	chunks, err := openSnappy(src)
	if err != nil {
		return nil, err
	}
	for {
		block, err := chunks.next()
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
		if dst, err = snappyBlock(dst, block, start, limit); err != nil {
			return nil, err
		}
	}
}

// snappyChunks is what is left of a stream, or a raw block.
type snappyChunks struct {
	src    []byte
	xerial bool
	done   bool // the raw block was given
}

func openSnappy(src []byte) (snappyChunks, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return snappyChunks{src: src}, nil
	}
	if len(src) < xerialHeader {
		return snappyChunks{}, errInflate(Snappy, errSnappyChunk)
	}
	return snappyChunks{src: src[xerialHeader:], xerial: true}, nil
}

// next is the next raw block, io.EOF behind the last.
func (c *snappyChunks) next() ([]byte, error) {
	switch {
	case c.done || c.xerial && len(c.src) == 0:
		return nil, io.EOF
	case !c.xerial:
		c.done = true
		return c.src, nil
	case len(c.src) < 4:
		return nil, errInflate(Snappy, errSnappyChunk)
	}
	size, rest := int64(int32(be.Uint32(c.src))), c.src[4:]
	if size < 0 || size > int64(len(rest)) {
		return nil, errInflate(Snappy, errSnappyChunk)
	}
	c.src = rest[size:]
	return rest[:size], nil
}

// snappySize is the length that a raw block claims, checked before memory is taken: against what is left of the limit, and against what its bytes can hold.
func snappySize(block []byte, used, limit int) (int, error) {
	size, err := s2.DecodedLen(block)
	switch {
	case err != nil:
		return 0, errInflate(Snappy, err)
	case size > limit-used:
		return 0, errTooLarge(limit)
	case size > 64*len(block): // a copy of three bytes makes at most 64
		return 0, errInflate(Snappy, errSnappySize)
	}
	return size, nil
}

// snappyBlock decodes one raw block behind dst, whose first start bytes do not count against the limit.
func snappyBlock(dst, block []byte, start, limit int) ([]byte, error) {
	size, err := snappySize(block, len(dst)-start, limit)
	if err != nil {
		return nil, err
	}
	for cap(dst)-len(dst) < size {
		dst = grow(dst, start, len(dst)-start+size, limit)
	}
	end := len(dst) + size
	if _, err = s2.Decode(dst[len(dst):end], block); err != nil {
		return nil, errInflate(Snappy, err)
	}
	return dst[:end], nil
}

func deflateSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1)
	for len(src) > 0 {
		chunk := src[:min(len(src), xerialChunk)]
		src = src[len(chunk):]
		at := len(dst)
		dst = extend(dst, 4+s2.MaxEncodedLen(len(chunk)))
		n := len(s2.EncodeSnappy(dst[at+4:], chunk))
		be.PutUint32(dst[at:], uint32(n))
		dst = dst[:at+4+n]
	}
	return dst
}

// extend makes dst n bytes longer; what they hold is undefined.
func extend(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		dst = append(make([]byte, 0, 2*len(dst)+n), dst...)
	}
	return dst[:len(dst)+n]
}
