package batch

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

func TestValidateAsksForKeys(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(t, c)
		var h Header
		if err := ParseHeader(raw, &h); err != nil {
			t.Fatal(err)
		}
		err := Validate(raw, &h, ValidateOptions{Partition: protocol.TopicPartition{Topic: "t", Partition: 3}, KeysRequired: true, Timestamps: anyTime, MaxDecompressed: 1 << 20})
		wantKind(t, err, kerr.InvalidRecord)
		var records *RecordErrors
		if !errors.As(err, &records) || len(records.Records) != 1 || records.Records[0].Index != 1 || records.Records[0].Message != "Compacted topic cannot accept message without key in topic partition t-3" {
			t.Fatalf("%s: %+v", c, records)
		}
	}
}

func TestValidateChecksTimes(t *testing.T) {
	raw := plain(t)
	var h Header
	if err := ParseHeader(raw, &h); err != nil {
		t.Fatal(err)
	}
	// 1000, 1005 and 1002 at 1003: the middle one lies too far ahead, and has no key either.
	o := ValidateOptions{Now: 1003, Timestamps: TimestampRule{BeforeMaxMs: 3, AfterMaxMs: 1}}
	err := Validate(raw, &h, o)
	wantKind(t, err, kerr.InvalidTimestamp)
	var records *RecordErrors
	if !errors.As(err, &records) || len(records.Records) != 1 || records.Records[0].Index != 1 {
		t.Fatalf("%+v", records)
	}
	o.KeysRequired = true // the key is asked for first
	wantKind(t, Validate(raw, &h, o), kerr.InvalidRecord)
	o.KeysRequired, o.Timestamps.LogAppendTime = false, true
	wantKind(t, Validate(raw, &h, o), nil)
}

func TestValidateMendsTheMaxTimestamp(t *testing.T) {
	for _, c := range []Codec{None, Zstd} {
		raw := mutated(encodedBy(t, c), func(h *Header) { h.MaxTimestamp = 1_000_000 })
		var h Header
		if err := ParseHeader(raw, &h); err != nil {
			t.Fatal(err)
		}
		if err := Validate(raw, &h, ValidateOptions{Timestamps: anyTime, MaxDecompressed: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if h.MaxTimestamp != 1005 || !bytes.Equal(raw, encodedBy(t, c)) {
			t.Fatalf("%s: max timestamp %d", c, h.MaxTimestamp)
		}
	}
}

func TestValidateListsFewErrors(t *testing.T) {
	b := NewBuilder()
	b.Codec = Zstd
	for range 50_000 {
		b.Add(0, nil, nil)
	}
	raw := b.Build(nil)
	var h Header
	if err := ParseHeader(raw, &h); err != nil {
		t.Fatal(err)
	}
	err := Validate(raw, &h, ValidateOptions{KeysRequired: true, Timestamps: anyTime, MaxDecompressed: 1 << 20})
	var records *RecordErrors
	if !errors.As(err, &records) || len(records.Records) != maxRecordErrors {
		t.Fatalf("error %v", err)
	}
}

func TestRecompress(t *testing.T) {
	for from := None; from <= Zstd; from++ {
		raw := encodedBy(t, from)
		Place(raw, 500, 6)
		for to := None; to <= Zstd; to++ {
			before := bytes.Clone(raw)
			out, err := Recompress(raw, to, DefaultLevel, 1<<20)
			if err != nil {
				t.Fatalf("%s to %s: %v", from, to, err)
			}
			if !bytes.Equal(before, raw) || !CheckCRC(out) {
				t.Fatalf("%s to %s: source changed, or wrong CRC", from, to)
			}
			var was, is Header
			was.decode(raw)
			is.decode(out)
			was.Length, was.CRC, was.Attributes = is.Length, is.CRC, Attributes(to)
			if was != is || is.Size() != len(out) {
				t.Fatalf("%s to %s: header %+v became %+v", from, to, was, is)
			}
			back, err := Recompress(out, None, 0, 1<<20)
			plain := encodedBy(t, None)
			Place(plain, 500, 6)
			if err != nil || !bytes.Equal(back, plain) {
				t.Fatalf("%s to %s and back differs: %v", from, to, err)
			}
			if from != None && to != from {
				_, err = Recompress(raw, to, 0, 10)
				wantKind(t, err, kerr.MessageTooLarge)
			}
		}
	}
	_, err := Recompress(plain(t)[:80], Gzip, 0, 1000)
	wantKind(t, err, kerr.CorruptMessage)
}

func TestTimestampLookup(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(t, c)
		Place(raw, 100, 0)
		for _, q := range []struct {
			ts   int64
			want TimestampOffset
			ok   bool
		}{
			{-5, TimestampOffset{1000, 100}, true}, {1000, TimestampOffset{1000, 100}, true}, {1001, TimestampOffset{1005, 101}, true},
			{1005, TimestampOffset{1005, 101}, true}, {1006, TimestampOffset{}, false},
		} {
			if got, ok, err := FirstAtOrAfter(raw, q.ts, 1<<20); got != q.want || ok != q.ok || err != nil {
				t.Fatalf("%s: first at %d is %+v %v %v", c, q.ts, got, ok, err)
			}
		}
		if got, ok, err := Newest(raw, 1<<20); got != (TimestampOffset{1005, 101}) || !ok || err != nil {
			t.Fatalf("%s: newest is %+v %v %v", c, got, ok, err)
		}
		StampLogAppendTime(raw, 7)
		if got, ok, err := Newest(raw, 1<<20); got != (TimestampOffset{7, 100}) || !ok || err != nil {
			t.Fatalf("%s: newest under LogAppendTime is %+v %v %v", c, got, ok, err)
		}
		if c != None {
			_, _, err := FirstAtOrAfter(raw, 0, 10)
			wantKind(t, err, kerr.MessageTooLarge)
			_, _, err = Newest(raw, 10)
			wantKind(t, err, kerr.MessageTooLarge)
		}
	}
	if _, ok, err := Newest(NewBuilder().Build(nil), 0); ok || err != nil {
		t.Fatalf("newest of no records: %v %v", ok, err)
	}
}

func TestMarkers(t *testing.T) {
	b := NewBuilder()
	b.Control, b.Transactional, b.ProducerID, b.ProducerEpoch = true, true, 5, 2
	want := Marker{Type: MarkerCommit, CoordinatorEpoch: 77}
	b.AddMarker(1234, want)
	raw := b.Build(nil)
	if m, ok, err := ParseMarker(raw, 0); m != want || !ok || err != nil {
		t.Fatalf("%+v %v %v", m, ok, err)
	}
	var h Header
	if err := ParseHeader(raw, &h); err != nil || !h.Attributes.Control() || !h.Attributes.Transactional() {
		t.Fatalf("%+v %v", h, err)
	}
	if out, err := Recompress(raw, Zstd, 0, 0); err != nil || &out[0] != &raw[0] {
		t.Fatalf("a control batch is compressed: %v", err)
	}
	for name, c := range map[string]struct {
		key, value []byte
		ok         bool
		kind       *kerr.Error
	}{
		"abort":          {[]byte{0, 0, 0, 0}, make([]byte, 6), true, nil},
		"leader change":  {[]byte{0, 0, 0, 2}, nil, false, nil},
		"no key":         {nil, make([]byte, 6), false, kerr.InvalidRecord},
		"value is short": {[]byte{0, 0, 0, 1}, make([]byte, 5), false, kerr.InvalidRecord},
	} {
		b.Reset()
		b.Add(0, c.key, c.value)
		_, ok, err := ParseMarker(b.Build(nil), 0)
		if wantKind(t, err, c.kind); ok != c.ok {
			t.Fatalf("%s: %v", name, ok)
		}
	}
	if _, ok, err := ParseMarker(NewBuilder().Build(nil), 0); ok || err != nil {
		t.Fatalf("no records: %v %v", ok, err)
	}
}

func TestCodecNames(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		if got, ok := ParseCodec(c.String()); got != c || !ok {
			t.Fatalf("%d is %q is %d", c, c, got)
		}
	}
	if _, ok := ParseCodec("producer"); ok || Codec(6).String() != "unknown" {
		t.Fatal("producer is a codec")
	}
}
