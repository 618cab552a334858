package batch

import (
	"bytes"
	"testing"
)

func seeds(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		f.Add(encodedBy(f, c))
	}
	f.Add(compacted(f))
	f.Add(NewBuilder().Build(nil))
	f.Add(withBody(None, 1, 12, 0, 0, 0, 1, 1, 0))
}

func FuzzHeader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		if err := ParseHeader(b, &h); err != nil {
			return
		}
		if h.Size() < HeaderSize || h.NextOffset() <= h.BaseOffset || h.LastSequence() < -1 {
			t.Fatalf("accepted: %+v", h)
		}
		again := make([]byte, HeaderSize)
		if h.encode(again); !bytes.Equal(again, b[:HeaderSize]) {
			t.Fatal("encode is not the inverse of decode")
		}
		if h.Size() > len(b) && CheckCRC(b) {
			t.Fatal("a batch that is cut off has a CRC")
		}
	})
}

// What Validate accepts, Reader reads to the end, every other codec carries, and the lookups agree about.
func FuzzValidate(f *testing.F) {
	seeds(f)
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		if len(b) >= HeaderSize { // past the checks that chance never passes
			b = bytes.Clone(b)
			be.PutUint32(b[lengthAt:], uint32(len(b)-Overhead))
			be.PutUint32(b[crcAt:], checksum(b))
		}
		if err := ValidateClient(b, &h, 0, anyTime); err != nil {
			return
		}
		if err := Validate(b, &h, ValidateOptions{Timestamps: anyTime, MaxDecompressed: limit}); err != nil {
			return
		}
		if got := read(t, b); len(got) != int(h.Count) || !CheckCRC(b) {
			t.Fatalf("%d records of %d", len(got), h.Count)
		}
		out, err := Recompress(b, (h.Attributes.Codec()+1)%(Zstd+1), 0, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, read(t, out), read(t, b))
		if at, ok, err := Newest(b, limit); !ok || err != nil || at.Timestamp > h.MaxTimestamp {
			t.Fatalf("newest %+v %v %v in %+v", at, ok, err, h)
		}
	})
}

// A reader never costs more than a small multiple of the bytes that came in and the limit, whatever the codec's headers claim.
func FuzzReader(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(f, c)
		f.Add(byte(c), raw[HeaderSize:])
		f.Add(byte(c), deflate(nil, bytes.Repeat([]byte{12, 0, 0, 0, 1, 1, 0}, 1000), c, DefaultLevel))
	}
	const limit, pools = 1 << 16, 1 << 20 // a codec's tables, when its pool has just been emptied
	f.Fuzz(func(t *testing.T, codec byte, body []byte) {
		raw := append(make([]byte, HeaderSize), body...)
		h := Header{Magic: magicV2, Attributes: Attributes(codec % 5), LastOffsetDelta: 1 << 20, Count: 1 << 20}
		seal(raw, &h)
		cost := allocated(func() {
			r, err := NewReader(raw, limit)
			if err != nil {
				return
			}
			defer r.Close()
			var rec Record
			for ok, err := r.Next(&rec); ok && err == nil; ok, err = r.Next(&rec) {
				for range rec.Headers.All() {
				}
			}
		})
		if most := int64(4*(len(raw)+limit) + pools); cost > most {
			t.Fatalf("%d bytes with %s cost %d", len(raw), h.Attributes.Codec(), cost)
		}
	})
}
