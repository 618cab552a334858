package batch

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// runs is a frame of so many runs of 128 KiB of one byte. It claims a window of 128 MiB.
func runs(n int) []byte {
	f := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3}
	for range n {
		f = append(f, 0x02, 0x00, 0x10, 'r')
	}
	return append(f, 0x01, 0, 0) // the last one, raw and empty
}

func TestZstdExtent(t *testing.T) {
	streamed := func(src []byte, crc bool) []byte {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(crc))
		if err != nil {
			t.Fatal(err)
		}
		for piece := range slices.Chunk(src, 100<<10) { // so that the content's size is not known when the frame begins
			_, _ = w.Write(piece)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	zeros := make([]byte, 3<<20)
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2}
	tests := map[string]struct {
		src         []byte
		size        int
		least, most int // at least and at most what zstdExtent may say
	}{
		"nothing":        {},
		"runs":           {src: runs(40), size: 40 * zstdBlock, least: 40 * zstdBlock, most: 40 * zstdBlock},
		"noise":          {src: streamed(noise, true), size: len(noise), least: len(noise), most: len(noise)},
		"zeros":          {src: streamed(zeros, false), size: len(zeros), most: len(zeros) + 2*zstdBlock},
		"several frames": {src: slices.Concat(runs(1), skippable, streamed(zeros, true), runs(2)), size: len(zeros) + 3*zstdBlock, least: 3 * zstdBlock, most: len(zeros) + 5*zstdBlock},
		"cut short":      {src: runs(40)[:6+4*10+2], least: 10 * zstdBlock, most: 10 * zstdBlock},
		"block too long": {src: append(runs(2)[:6+4], 0x02, 0xff, 0xff, 0), least: zstdBlock, most: zstdBlock},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			least, most := zstdExtent(tt.src)
			if least < tt.least || most > tt.most || tt.size > 0 && (least > tt.size || most < tt.size) {
				t.Errorf("%d to %d bytes, it is %d", least, most, tt.size)
			}
			if out, err := inflate(nil, tt.src, Zstd, 8<<20); tt.size > 0 && (err != nil || len(out) != tt.size) {
				t.Errorf("%d bytes, %v, want %d", len(out), err, tt.size)
			}
		})
	}
}

// TestEmptyZstdBlocksCostNothing: compressed blocks that hold next to nothing have no memory for what they might hold.
func TestEmptyZstdBlocksCostNothing(t *testing.T) {
	src := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3}
	for range 1000 {
		src = append(src, 4<<3|2<<1, 0, 0, 2<<3, 'a', 'b', 0) // two literal bytes and no sequence
	}
	src = append(src, 0x01, 0, 0)
	spent := allocated(func() {
		if out, err := inflate(nil, src, Zstd, 256<<20); err != nil || len(out) != 2000 {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
	if spent > 1<<20 {
		t.Errorf("2000 bytes cost %d", spent)
	}
}

// TestZstdInOnePieceIsInflatedOnce: what is beyond smallWhole gets its buffer once, and not one after the other that is larger.
func TestZstdInOnePieceIsInflatedOnce(t *testing.T) {
	const blocks = 64
	spent := allocated(func() {
		if out, err := inflate(nil, runs(blocks), Zstd, 32<<20); err != nil || len(out) != blocks*zstdBlock {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
	if spent > (blocks+8)*zstdBlock {
		t.Errorf("%d bytes cost %d", blocks*zstdBlock, spent)
	}
}
