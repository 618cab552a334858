package batch

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// LZ4 frames as Kafka's Java client writes and reads them, numbers little-endian:
//
//	magic             4   0x184D2204
//	FLG               1   bits 7-6 version 01; 5 blocks are independent; 4 block checksums; 3 content size; 2 content checksum; 0 dictionary id
//	BD                1   bits 6-4 largest block: 4 64 KiB, 5 256 KiB, 6 1 MiB, 7 4 MiB
//	content size      8   if FLG says so; nobody relies on it
//	header checksum   1   second byte of xxHash-32 of FLG up to here
//	blocks            …   size 4 (top bit: stored, not compressed), bytes, xxHash-32 of the bytes if FLG says so
//	end mark          4   0
//	content checksum  4   if FLG says so; not checked, the batch's CRC covers the whole
//
// Frames are walked here and only blocks are left to the library, so that every size is compared with the caller's limit before memory is taken.
// What Kafka's reader refuses (dependent blocks, dictionaries, other versions) is refused: a consumer could not read it.
const (
	lz4Magic           = 0x184D2204
	lz4Version         = 0x40
	lz4VersionBits     = 0xc0
	lz4Independent     = 0x20
	lz4BlockChecksum   = 0x10
	lz4ContentSize     = 0x08
	lz4ContentChecksum = 0x04
	lz4Reserved        = 0x03
	lz4Stored          = 1 << 31
	lz4Block64K        = 4 << 4
	lz4BlockSize       = 64 << 10
	lz4LargestBlock    = 4 << 20
)

var (
	le          = binary.LittleEndian
	errLZ4Frame = errors.New("frame header is malformed or not supported")
	errLZ4Block = errors.New("block is malformed")
	errLZ4Short = errors.New("frame ends early")
)

func inflateLZ4(dst, src []byte, limit int) ([]byte, error) {
	frame, err := openLZ4(src)
	if err != nil {
		return nil, errInflate(LZ4, err)
	}
	for start := len(dst); ; {
		b, err := frame.next()
		if err == io.EOF {
			return dst, nil
		}
		if err == nil {
			dst, err = b.inflate(dst, start, limit)
		}
		if err != nil {
			return nil, wireLZ4(err, limit)
		}
	}
}

var errLZ4Limit = errors.New("limit exceeded")

// wireLZ4 gives an error of lz4Frame.next or lz4Block.inflate its wire error; io.EOF stays.
func wireLZ4(err error, limit int) error {
	switch err {
	case nil, io.EOF:
		return err
	case errLZ4Limit:
		return errTooLarge(limit)
	}
	return errInflate(LZ4, err)
}

// lz4Frame is what is left of a frame.
type lz4Frame struct {
	src      []byte // begins with a block's size
	flags    byte
	blockMax int // bytes of a block, inflated
}

// openLZ4 reads the frame's header.
func openLZ4(src []byte) (lz4Frame, error) {
	if len(src) < 7 || le.Uint32(src) != lz4Magic {
		return lz4Frame{}, errLZ4Frame
	}
	flags, bd := src[4], src[5]
	if flags&(lz4VersionBits|lz4Independent|lz4Reserved) != lz4Version|lz4Independent || bd&0x8f != 0 || bd < lz4Block64K {
		return lz4Frame{}, errLZ4Frame
	}
	end := 6
	if flags&lz4ContentSize != 0 {
		end += 8
	}
	if len(src) <= end || src[end] != byte(xxHash32(src[4:end])>>8) {
		return lz4Frame{}, errLZ4Frame
	}
	return lz4Frame{src: src[end+1:], flags: flags, blockMax: 1 << (8 + 2*(bd>>4))}, nil
}

// lz4Block is one block of a frame.
type lz4Block struct {
	src    []byte
	stored bool
	most   int // bytes that it can inflate to
}

// next is the next block; io.EOF at the end mark.
func (f *lz4Frame) next() (b lz4Block, err error) {
	if len(f.src) < 4 {
		return b, errLZ4Short
	}
	word := le.Uint32(f.src)
	if word == 0 {
		return b, io.EOF
	}
	rest, size, trailer := f.src[4:], int(word&^lz4Stored), 0
	if f.flags&lz4BlockChecksum != 0 {
		trailer = 4
	}
	if size > f.blockMax || size+trailer > len(rest) {
		return b, errLZ4Short
	}
	b = lz4Block{src: rest[:size], stored: word&lz4Stored != 0, most: size}
	if trailer > 0 && le.Uint32(rest[size:]) != xxHash32(b.src) {
		return b, errLZ4Block
	}
	if !b.stored { // a block expands by less than 256: each byte of a length stands for at most 255 bytes
		b.most = min(f.blockMax, 256*size)
	}
	f.src = rest[size+trailer:]
	return b, nil
}

// inflate decodes b behind dst, whose first start bytes are not the frame's and do not count against the limit.
func (b lz4Block) inflate(dst []byte, start, limit int) ([]byte, error) {
	room := min(b.most, limit-(len(dst)-start))
	for cap(dst)-len(dst) < room {
		dst = grow(dst, start, len(dst)-start+room, limit)
	}
	if b.stored {
		if room < b.most {
			return nil, errLZ4Limit
		}
		return append(dst, b.src...), nil
	}
	n, err := lz4.UncompressBlock(b.src, dst[len(dst):len(dst)+room])
	switch {
	case err == nil:
		return dst[:len(dst)+n], nil
	case room < b.most && errors.Is(err, lz4.ErrInvalidSourceShortBuffer):
		return nil, errLZ4Limit
	}
	return nil, errLZ4Block
}

type lz4Compressor struct {
	fast lz4.Compressor
	high lz4.CompressorHC
	buf  [lz4BlockSize]byte // a block that does not fit does not compress
}

var lz4Compressors = sync.Pool{New: func() any { return new(lz4Compressor) }}

// lz4DefaultLevel is compression.lz4.level's default: the fast compressor, as in Kafka. All other levels (1 to 17) are the slow one's.
const lz4DefaultLevel = 9

func deflateLZ4(dst, src []byte, level int) []byte {
	c := lz4Compressors.Get().(*lz4Compressor)
	defer lz4Compressors.Put(c)
	dst = le.AppendUint32(dst, lz4Magic)
	dst = append(dst, lz4Version|lz4Independent, lz4Block64K)
	dst = append(dst, byte(xxHash32(dst[len(dst)-2:])>>8))
	for len(src) > 0 {
		block := src[:min(len(src), lz4BlockSize)]
		src = src[len(block):]
		n := c.compress(block, level)
		if n == 0 || n >= len(block) {
			dst = le.AppendUint32(dst, uint32(len(block))|lz4Stored)
			dst = append(dst, block...)
			continue
		}
		dst = le.AppendUint32(dst, uint32(n))
		dst = append(dst, c.buf[:n]...)
	}
	return le.AppendUint32(dst, 0)
}

// compress fills buf and returns the bytes; 0 if the block does not get smaller.
func (c *lz4Compressor) compress(block []byte, level int) int {
	if level == 0 || level == lz4DefaultLevel {
		n, _ := c.fast.CompressBlock(block, c.buf[:]) // its only error is a short buffer
		return n
	}
	c.high.Level = lz4.CompressionLevel(1 << (8 + min(max(level, 1), 9))) // the library's Level1 to Level9
	n, _ := c.high.CompressBlock(block, c.buf[:])
	return n
}

const (
	xxPrime1 uint32 = 2654435761
	xxPrime2 uint32 = 2246822519
	xxPrime3 uint32 = 3266489917
	xxPrime4 uint32 = 668265263
	xxPrime5 uint32 = 374761393
)

// xxHash32 is xxHash-32 with seed 0.
func xxHash32(b []byte) uint32 {
	h := xxPrime5
	size := uint32(len(b))
	if len(b) >= 16 {
		v := [4]uint32{xxPrime2, xxPrime2}
		v[0] += xxPrime1
		v[3] -= xxPrime1
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = bits.RotateLeft32(v[i]+le.Uint32(b[4*i:])*xxPrime2, 13) * xxPrime1
			}
		}
		h = bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) + bits.RotateLeft32(v[3], 18)
	}
	h += size
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+le.Uint32(b)*xxPrime3, 17) * xxPrime4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*xxPrime5, 11) * xxPrime1
	}
	h = (h ^ h>>15) * xxPrime2
	h = (h ^ h>>13) * xxPrime3
	return h ^ h>>16
}
