package batch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = []Codec{Gzip, Snappy, LZ4, Zstd}

// payloads are bytes that stress block borders: nothing, little, text, noise, runs.
func payloads() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	return map[string][]byte{
		"nothing": {},
		"byte":    {1},
		"text":    []byte(strings.Repeat("a record is a record is a record; ", 9000)),
		"noise":   noise,
		"64 KiB":  noise[:64<<10],
		"32 KiB":  bytes.Repeat([]byte{9}, 32<<10),
		"runs":    bytes.Repeat([]byte{0}, 3<<20),
	}
}

func TestCodecsRoundTrip(t *testing.T) {
	for name, src := range payloads() {
		for _, c := range codecs {
			for _, level := range []int{DefaultLevel, 1, 3, 9, 17, -1, -1000} {
				packed := deflate([]byte("before"), src, c, level)
				got, err := inflate([]byte("kept"), packed[len("before"):], c, len(src))
				if err != nil || !bytes.Equal(got[len("kept"):], src) || string(got[:4]) != "kept" {
					t.Fatalf("%s, %s, level %d: %d bytes of %d, error %v", name, c, level, len(got)-4, len(src), err)
				}
				if len(src) > 0 {
					_, err = inflate(nil, packed[len("before"):], c, len(src)-1)
					wantKind(t, err, kerr.MessageTooLarge)
				}
			}
		}
	}
}

// Another client writes what we read, and reads what we write.
func TestCodecsAgreeWithKgo(t *testing.T) {
	theirs := map[Codec]kgo.CompressionCodec{Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression()}
	for name, src := range payloads() {
		for c, codec := range theirs {
			if len(src) == 0 {
				continue // a batch without records is never compressed; kgo's snappy does not read it
			}
			compressor, err := kgo.DefaultCompressor(codec)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			packed, _ := compressor.Compress(&buf, src)
			if got, err := inflate(nil, packed, c, len(src)); err != nil || !bytes.Equal(got, src) {
				t.Fatalf("%s, %s: we do not read theirs: %v", name, c, err)
			}
			got, err := kgo.DefaultDecompressor().Decompress(deflate(nil, src, c, DefaultLevel), kgo.CompressionCodecType(c))
			if err != nil || !bytes.Equal(got, src) {
				t.Fatalf("%s, %s: they do not read ours: %v", name, c, err)
			}
		}
	}
}

// The frames that other LZ4 writers make: larger blocks, checksums, a content size. Dependent blocks are refused, as by Kafka's reader.
func TestLZ4Frames(t *testing.T) {
	src := payloads()["text"]
	frame := func(options ...lz4.Option) []byte {
		var buf bytes.Buffer
		w := lz4.NewWriter(&buf)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(src); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		packed := frame(lz4.BlockSizeOption(size), lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(src))))
		got, err := inflate(nil, packed, LZ4, len(src))
		if err != nil || !bytes.Equal(got, src) {
			t.Fatalf("blocks of %s: %v", size, err)
		}
		for at := range packed[:min(len(packed), 64)] { // header, first block size, first bytes
			damaged := bytes.Clone(packed)
			damaged[at] ^= 0x40
			if got, err := inflate(nil, damaged, LZ4, len(src)); err == nil {
				t.Fatalf("blocks of %s: byte %d flipped gives %d bytes", size, at, len(got))
			}
		}
	}
	dependent := frame()
	dependent[4] &^= lz4Independent
	dependent[6] = byte(xxHash32(dependent[4:6]) >> 8)
	_, err := inflate(nil, dependent, LZ4, len(src))
	wantKind(t, err, kerr.InvalidRecord)
	got, err := lz4ReadAll(deflate(nil, src, LZ4, DefaultLevel))
	if err != nil || !bytes.Equal(got, src) {
		t.Fatalf("the library does not read our frame: %v", err)
	}
}

func lz4ReadAll(packed []byte) ([]byte, error) {
	var buf bytes.Buffer
	_, err := buf.ReadFrom(lz4.NewReader(bytes.NewReader(packed)))
	return buf.Bytes(), err
}

func TestSnappyShapes(t *testing.T) {
	src := payloads()["text"]
	raw := s2.EncodeSnappy(nil, src)
	got, err := inflate(nil, raw, Snappy, len(src))
	if err != nil || !bytes.Equal(got, src) {
		t.Fatalf("one raw block: %v", err)
	}
	packed := deflate(nil, src, Snappy, DefaultLevel)
	if !bytes.HasPrefix(packed, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")) {
		t.Fatalf("not a xerial stream: %x", packed[:16])
	}
	for _, end := range []int{8, 15, 17, 19, 21, len(packed) - 1} {
		_, err := inflate(nil, packed[:end], Snappy, len(src))
		wantKind(t, err, kerr.InvalidRecord)
	}
}

// bombs are small inputs that inflate, or claim to inflate, to a gigabyte.
func bombs(t testing.TB) map[string]struct {
	codec Codec
	src   []byte
} {
	const huge = 1 << 30
	zeros := make([]byte, 1<<20)
	var gz, zs bytes.Buffer
	gw, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zw, err := zstd.NewWriter(&zs, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		_, _ = gw.Write(zeros)
		_, _ = zw.Write(zeros)
	}
	_ = gw.Close()
	_ = zw.Close()
	xerial := append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	claim := s2.EncodeSnappy(nil, zeros[:100])
	claim = append([]byte{0x80, 0x80, 0x80, 0x80, 0x04}, claim[1:]...) // 1 GiB
	// One frame whose header claims a window and a content of a gigabyte, with one block that repeats a byte.
	zstdClaim := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 0x03, 0x00, 0x10, 0x00}
	// A window of 128 MiB and no content size, as Java writes at level 22; the block repeats a byte 128 KiB times.
	zstdWindow := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3}
	for range 10_000 {
		zstdWindow = append(zstdWindow, 0x02, 0x00, 0x10, 0x00)
	}
	lz := deflate(nil, make([]byte, 64<<20), LZ4, DefaultLevel)
	return map[string]struct {
		codec Codec
		src   []byte
	}{
		"gzip":                 {Gzip, gz.Bytes()},
		"zstd":                 {Zstd, zs.Bytes()},
		"zstd claims content":  {Zstd, zstdClaim},
		"zstd claims a window": {Zstd, zstdWindow},
		"lz4":                  {LZ4, lz},
		"snappy":               {Snappy, deflate(nil, make([]byte, 64<<20), Snappy, DefaultLevel)},
		"snappy claims":        {Snappy, claim},
		"xerial claims":        {Snappy, append(be.AppendUint32(xerial, uint32(len(claim))), claim...)},
		"xerial chunk is huge": {Snappy, be.AppendUint32(bytes.Clone(xerial), huge)},
		"xerial chunk is < 0":  {Snappy, be.AppendUint32(bytes.Clone(xerial), 1<<31)},
	}
}

func TestBombsAreBounded(t *testing.T) {
	const limit = 1 << 20
	for name, bomb := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			var err error
			bytes := allocated(func() { _, err = inflate(nil, bomb.src, bomb.codec, limit) })
			if err == nil {
				t.Fatal("accepted")
			}
			if most := int64(4*len(bomb.src) + 4*(limit+zstdBlock)); bytes > most {
				t.Fatalf("%d bytes inflated under a limit of %d cost %d bytes", len(bomb.src), limit, bytes)
			}
			b := NewBuilder()
			b.Codec = bomb.codec
			raw := b.Build(nil)[:HeaderSize]
			raw = append(raw, bomb.src...)
			var h Header
			h.decode(raw)
			h.Count = 1
			seal(raw, &h)
			_, err = NewReader(raw, limit)
			if code := fmt.Sprint(err); err == nil {
				t.Fatalf("the reader accepts it: %s", code)
			}
			if _, err = Recompress(raw, None, 0, limit); err == nil {
				t.Fatal("Recompress accepts it")
			}
		})
	}
}

// Without a content size the decoder runs out of room wherever a buffer ends; that must not pass for damage.
func TestZstdGrowsWithoutContentSize(t *testing.T) {
	for _, size := range []int{5000, 300 << 10, 2<<20 + 14} {
		src := append([]byte("head"), make([]byte, size)...)
		src = append(src, 1, 0)
		var frame bytes.Buffer
		e, err := zstd.NewWriter(&frame, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = e.Write(src)
		_ = e.Close()
		got, err := inflate(nil, frame.Bytes(), Zstd, len(src))
		if err != nil || !bytes.Equal(got, src) {
			t.Fatalf("%d: %d bytes, error %v", size, len(got), err)
		}
		_, err = inflate(nil, frame.Bytes(), Zstd, len(src)-1)
		wantKind(t, err, kerr.MessageTooLarge)
	}
}
