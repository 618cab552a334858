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
		if err := accept(b, &h, ValidateOptions{Timestamps: anyTime, MaxDecompressed: limit}); err != nil {
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
		if at, ok, err := newest(b, limit); !ok || err != nil || max(at.Timestamp, -1) != h.MaxTimestamp {
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

// The walk costs no more than a window and what the codec needs for one block, whatever the records inflate to, and agrees with the reader about every batch of a client.
func FuzzWalk(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		f.Add(byte(c), encodedBy(f, c)[HeaderSize:], int32(3))
		f.Add(byte(c), deflate(nil, bytes.Repeat([]byte{12, 0, 0, 0, 1, 1, 0}, 1000), c, DefaultLevel), int32(1000))
		f.Add(byte(c), deflate(nil, longRecords()[HeaderSize:], c, DefaultLevel), int32(3))
	}
	const limit, pools = 1 << 20, 1 << 20 // a codec's tables, when its pool has just been emptied
	f.Fuzz(func(t *testing.T, codec byte, body []byte, count int32) {
		raw := append(make([]byte, HeaderSize), body...)
		h := Header{Magic: magicV2, Attributes: Attributes(codec % 5), LastOffsetDelta: count - 1, ProducerID: -1, Count: count}
		seal(raw, &h)
		var err error
		cost := allocated(func() { err = accept(raw, &h, ValidateOptions{Timestamps: anyTime, MaxDecompressed: limit}) })
		if most := int64(4*(len(raw)+limit) + pools); cost > most {
			t.Fatalf("%d bytes with %s cost %d", len(raw), h.Attributes.Codec(), cost)
		}
		if agreed := readsInOrder(raw, count, limit); agreed != (err == nil) {
			t.Fatalf("the walk says %v, the reader %v", err, agreed)
		}
	})
}

// readsInOrder is what a walk finds out, with a Reader.
func readsInOrder(raw []byte, count int32, limit int) bool {
	var r Reader
	if count < 1 || r.Reset(raw, limit) != nil {
		return false
	}
	defer r.Close()
	var rec Record
	for i := int32(0); ; i++ {
		if ok, err := r.Next(&rec); !ok || err != nil {
			return err == nil
		}
		if rec.offsetDelta != i {
			return false
		}
	}
}
