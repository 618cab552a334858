package batch

import (
	"bytes"
	"fmt"
	"testing"
)

// hundred is a batch of 160 records of 100 bytes: 16 KiB plain.
func hundred(c Codec) []byte {
	b := NewBuilder()
	b.Codec = c
	for i := range 160 {
		b.Add(int64(i), fmt.Appendf(nil, "key %d", i), bytes.Repeat([]byte{byte('a' + i%26), byte(i)}, 45))
	}
	return b.Build(nil)
}

// thousand is a batch of 128 records of 1 KiB: 128 KiB plain.
func thousand(c Codec) []byte {
	b := NewBuilder()
	b.Codec = c
	for i := range 128 {
		b.Add(int64(i), fmt.Appendf(nil, "key %d", i), bytes.Repeat([]byte{byte('a' + i%26), byte(i), byte(i >> 1), 7}, 253))
	}
	return b.Build(nil)
}

func BenchmarkParseHeader(b *testing.B) {
	raw := hundred(None)
	var h Header
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseHeader(raw, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckCRC(b *testing.B) {
	raw := hundred(None)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if !CheckCRC(raw) {
			b.Fatal("wrong")
		}
	}
}

// BenchmarkValidate is all that a produced batch costs before the log's lock: frame, CRC, header and records.
func BenchmarkValidate(b *testing.B) {
	for c := None; c <= Zstd; c++ {
		for name, make := range map[string]func(Codec) []byte{"16KiB": hundred, "128KiB": thousand} {
			raw := make(c)
			b.Run(c.String()+"/"+name, func(b *testing.B) {
				var h Header
				b.ReportAllocs()
				b.SetBytes(int64(len(make(None))))
				for b.Loop() {
					if err := accept(raw, &h, anyOptions); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	builder := NewBuilder()
	value := make([]byte, 100)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		for range 10 {
			builder.Add(1, value[:8], value)
		}
		out = builder.Build(out[:0])
	}
}
