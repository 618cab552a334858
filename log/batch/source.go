package batch

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"
)

// source gives a batch's records inflated, piece by piece. Read's errors are inflate's, with their wire error, or io.EOF. The bytes that a source holds are those of one block (snappy,
// LZ4) or of one window (gzip, zstd), whatever the records inflate to. release gives them back; the source is dead then.
type source interface {
	io.Reader
	release()
}

// openSource begins to inflate src. The reader counts the bytes against the limit; here it only stops a single block that would exceed it.
func openSource(c Codec, src []byte, limit int) (source, error) {
	switch c {
	case Gzip:
		return openGzip(src)
	case Zstd:
		return openZstd(src, limit)
	}
	return openBlocks(c, src, limit)
}

// gzipSource is a gzipReader with wire errors.
type gzipSource struct{ gzipReader }

var gzipSources = sync.Pool{New: func() any { return new(gzipSource) }}

func openGzip(src []byte) (source, error) {
	s := gzipSources.Get().(*gzipSource)
	s.src.Reset(src)
	if err := s.Reset(&s.src); err != nil {
		s.release()
		return nil, errInflate(Gzip, err)
	}
	return s, nil
}

func (s *gzipSource) Read(p []byte) (int, error) {
	n, err := s.gzipReader.Read(p)
	if err != nil && err != io.EOF {
		err = errInflate(Gzip, err)
	}
	return n, err
}

func (s *gzipSource) release() {
	s.src.Reset(nil)
	gzipSources.Put(s)
}

// blockSource inflates the blocks of snappy and LZ4 one at a time. One that is large waits for a stream, as what has a large window does; one that is larger than LZ4 has them, which only snappy can
// be, waits its turn. Both keep it until release.
type blockSource struct {
	codec  Codec
	lz4    lz4Frame
	xs     snappyChunks
	limit  int
	rest   []byte  // of the last block
	buf    []byte  // of blocks that are not large
	stream *[]byte // of large ones: nil without a stream
	whole  *[]byte // of larger ones: nil without the turn
}

var (
	blockSources = sync.Pool{New: func() any { return new(blockSource) }}
	// streamBuffers are as many as there are streams.
	streamBuffers = sync.Pool{New: func() any { return new([]byte) }}
)

func openBlocks(c Codec, src []byte, limit int) (source, error) {
	s := blockSources.Get().(*blockSource)
	s.codec, s.limit, s.rest = c, limit, nil
	var err error
	if c == LZ4 {
		if s.lz4, err = openLZ4(src); err != nil {
			err = errInflate(LZ4, err)
		}
	} else {
		s.xs, err = openSnappy(src)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *blockSource) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		out, err := s.next()
		if err != nil {
			return 0, err
		}
		s.rest = out
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// next inflates the next block over an earlier one.
func (s *blockSource) next() ([]byte, error) {
	if s.codec == LZ4 {
		b, err := s.lz4.next()
		if err != nil {
			return nil, wireLZ4(err, s.limit)
		}
		buf := s.bufferFor(min(b.most, s.limit))
		out, err := b.inflate((*buf)[:0], 0, s.limit)
		if err != nil {
			return nil, wireLZ4(err, s.limit)
		}
		*buf = out
		return out, nil
	}
	block, err := s.xs.next()
	if err != nil {
		return nil, err
	}
	size, err := snappySize(block, 0, s.limit)
	if err != nil {
		return nil, err
	}
	buf := s.bufferFor(size)
	out, err := snappyBlock((*buf)[:0], block, 0, s.limit)
	if err != nil {
		return nil, err
	}
	*buf = out
	return out, nil
}

// bufferFor is the buffer for a block of so many bytes. It may wait.
func (s *blockSource) bufferFor(size int) *[]byte {
	switch {
	case size <= smallWhole:
		return &s.buf
	case size <= lz4LargestBlock:
		if s.stream == nil {
			takeStream()
			s.stream = streamBuffers.Get().(*[]byte)
		}
		return s.stream
	}
	if s.whole == nil {
		takeTurn()
		s.whole = takeWhole()
	}
	return s.whole
}

func (s *blockSource) release() {
	if s.whole != nil {
		putWhole(s.whole)
		endTurn()
	}
	if s.stream != nil {
		streamBuffers.Put(s.stream)
		endStream()
	}
	s.lz4, s.xs, s.rest, s.whole, s.stream = lz4Frame{}, snappyChunks{}, nil, nil, nil
	blockSources.Put(s)
}

// zstdSource inflates what is small in one go, which is fastest, and the rest through a window. A frame whose window is wider than any but the highest levels have needs that much memory
// anyway; it is inflated in one go as well, because then memory grows with what really comes out and not with what the frame claims. If that is much, it waits its turn.
type zstdSource struct {
	whole  *[]byte // pooled, if in one go
	turn   bool    // whole is large
	rest   []byte  // of whole
	stream *zstd.Decoder
	inTurn bool // one of streams
	src    bytes.Reader
}

const zstdNarrow = 8 << 20 // window up to which frames are streamed; that of level 19

var zstdSources = sync.Pool{New: func() any { return new(zstdSource) }}

func openZstd(src []byte, limit int) (source, error) {
	var frame zstd.Header
	if err := frame.Decode(src); err != nil {
		return nil, errInflate(Zstd, err)
	}
	s := zstdSources.Get().(*zstdSource)
	err := s.open(src, &frame, limit)
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *zstdSource) open(src []byte, frame *zstd.Header, limit int) error {
	wide := frame.WindowSize > zstdNarrow
	if wide || frame.HasFCS && frame.FrameContentSize <= smallWhole || !frame.HasFCS && len(src) <= smallWhole/4 {
		if err := s.inflate(src, min(limit, smallWhole)); !errors.Is(err, kerr.MessageTooLarge) {
			return err
		}
	}
	if !wide {
		return s.begin(src)
	}
	takeTurn()
	s.turn = true
	return s.inflate(src, min(limit, maxZstdWindow))
}

func (s *zstdSource) inflate(src []byte, limit int) error {
	if s.turn {
		s.whole = takeWhole()
	} else {
		s.whole = buffers.Get().(*[]byte)
	}
	out, err := inflateZstd((*s.whole)[:0], src, limit)
	if err != nil {
		s.dropWhole()
		return err
	}
	*s.whole, s.rest = out, out
	return nil
}

// dropWhole gives the buffer back to where it is from.
func (s *zstdSource) dropWhole() {
	if s.turn {
		putWhole(s.whole)
	} else {
		putBuffer(s.whole)
	}
	s.whole, s.rest = nil, nil
}

func (s *zstdSource) begin(src []byte) error {
	takeStream()
	s.inTurn = true
	if s.stream == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdNarrow))
		if err != nil {
			panic(err) // the options are constants
		}
		s.stream = d
	}
	s.src.Reset(src)
	if err := s.stream.Reset(&s.src); err != nil {
		return errInflate(Zstd, err)
	}
	return nil
}

func (s *zstdSource) Read(p []byte) (int, error) {
	if s.whole != nil {
		if len(s.rest) == 0 {
			return 0, io.EOF
		}
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	n, err := s.stream.Read(p)
	if err != nil && err != io.EOF {
		err = errInflate(Zstd, err)
	}
	return n, err
}

func (s *zstdSource) release() {
	if s.whole != nil {
		s.dropWhole()
	}
	if s.turn {
		s.turn = false
		endTurn()
	}
	s.src.Reset(nil)
	if s.stream != nil {
		_ = s.stream.Reset(nil) // only lets go of src
	}
	if s.inTurn {
		s.inTurn = false
		endStream()
	}
	zstdSources.Put(s)
}
