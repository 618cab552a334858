package batch

import (
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Levels are those of compression.gzip.level (1 to 9, -1 default), compression.lz4.level (1 to 17, 9 default) and compression.zstd.level (negative to 22, 3 default).
// DefaultLevel is each codec's default. Levels outside the range are taken for the nearest.
const DefaultLevel = 0

// deflate appends the compressed src to dst.
func deflate(dst, src []byte, c Codec, level int) []byte {
	switch c {
	case Gzip:
		return deflateGzip(dst, src, level)
	case Snappy:
		return deflateSnappy(dst, src)
	case LZ4:
		return deflateLZ4(dst, src, level)
	case Zstd:
		return deflateZstd(dst, src, level)
	}
	return append(dst, src...)
}

// byteSink is an io.Writer that appends.
type byteSink []byte

func (s *byteSink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

type gzipWriter struct {
	*gzip.Writer
	sink byteSink
}

// gzipWriters holds one pool per level: a writer cannot change its level. The first is the default level.
var gzipWriters [gzip.BestCompression + 1]sync.Pool

func deflateGzip(dst, src []byte, level int) []byte {
	level = min(max(level, 0), gzip.BestCompression)
	w, ok := gzipWriters[level].Get().(*gzipWriter)
	if !ok {
		w = newGzipWriter(level)
	}
	defer gzipWriters[level].Put(w)
	w.sink = dst
	w.Reset(&w.sink)
	_, _ = w.Write(src) // the sink never fails
	_ = w.Close()
	dst, w.sink = w.sink, nil
	return dst
}

func newGzipWriter(level int) *gzipWriter {
	if level == DefaultLevel {
		level = gzip.DefaultCompression
	}
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic(err) // the level is in range
	}
	return &gzipWriter{Writer: w}
}

// zstdEncoders holds one pool per level that the library tells apart.
var zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool

func deflateZstd(dst, src []byte, level int) []byte {
	speed := zstd.SpeedDefault
	if level != DefaultLevel {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	e, ok := zstdEncoders[speed].Get().(*zstd.Encoder)
	if !ok {
		e = newZstdEncoder(speed)
	}
	defer zstdEncoders[speed].Put(e)
	return e.EncodeAll(src, dst)
}

func newZstdEncoder(speed zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(speed),
		zstd.WithZeroFrames(true)) // no records are still a frame
	if err != nil {
		panic(err) // the options are in range
	}
	return e
}
