package batch

import (
	"errors"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// plain is a batch of three records as an idempotent client sends it.
func plain(t testing.TB) []byte {
	t.Helper()
	b := NewBuilder()
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 1, 40
	b.Add(1000, []byte("k0"), []byte("v0"))
	b.Add(1005, nil, []byte("v1"), RecordHeader{"h", []byte("x")}, RecordHeader{"null", nil})
	b.Add(1002, []byte("k2"), nil)
	return b.Build(nil)
}

// mutated changes the header of a batch and seals it again, so that only the change is wrong.
func mutated(b []byte, change func(*Header)) []byte {
	b = append([]byte(nil), b...)
	var h Header
	h.decode(b)
	change(&h)
	h.encode(b)
	be.PutUint32(b[crcAt:], checksum(b))
	return b
}

func wantKind(t *testing.T, err error, kind *kerr.Error) {
	t.Helper()
	if kind == nil && err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Fatalf("error %v, want %s", err, kind.Message)
	}
}

// accept is what the log does with a client's records.
func accept(records []byte, h *Header, o ValidateOptions) error {
	b, err := Single(records, h)
	if err != nil {
		return err
	}
	return Validate(b, h, o)
}

var anyOptions = ValidateOptions{Timestamps: anyTime, MaxDecompressed: 1 << 20}

var anyTime = TimestampRule{BeforeMaxMs: math.MaxInt64, AfterMaxMs: math.MaxInt64}

func TestHeaderRoundTrip(t *testing.T) {
	raw := plain(t)
	var h Header
	if err := ParseHeader(raw, &h); err != nil {
		t.Fatal(err)
	}
	if h.Size() != len(raw) || h.Count != 3 || h.LastOffset() != 2 || h.NextOffset() != 3 || h.LastSequence() != 42 || h.BaseTimestamp != 1000 || h.MaxTimestamp != 1005 {
		t.Fatalf("header %+v", h)
	}
	again := make([]byte, HeaderSize)
	h.encode(again)
	if string(again) != string(raw[:HeaderSize]) {
		t.Fatal("encode is not the inverse of decode")
	}
}

func TestLastSequence(t *testing.T) {
	for _, c := range []struct {
		base  protocol.Sequence
		delta int32
		want  protocol.Sequence
	}{{0, 0, 0}, {5, 4, 9}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 4, 2}, {-1, 3, -1}} {
		h := Header{BaseSequence: c.base, LastOffsetDelta: c.delta}
		if got := h.LastSequence(); got != c.want {
			t.Errorf("base %d delta %d: %d, want %d", c.base, c.delta, got, c.want)
		}
	}
}

func TestParseHeaderRejects(t *testing.T) {
	raw := plain(t)
	for name, c := range map[string]struct {
		change func(*Header)
		kind   *kerr.Error
	}{
		"as it is":              {func(h *Header) {}, nil},
		"compacted":             {func(h *Header) { h.Count = 1; h.BaseOffset = 77 }, nil},
		"emptied":               {func(h *Header) { h.Count = 0 }, nil},
		"format 0":              {func(h *Header) { h.Magic = 0 }, kerr.InvalidRecord},
		"format 1":              {func(h *Header) { h.Magic = 1 }, kerr.InvalidRecord},
		"format 3":              {func(h *Header) { h.Magic = 3 }, kerr.CorruptMessage},
		"format -1":             {func(h *Header) { h.Magic = -1 }, kerr.CorruptMessage},
		"length small":          {func(h *Header) { h.Length = 48 }, kerr.CorruptMessage},
		"length zero":           {func(h *Header) { h.Length = 0 }, kerr.CorruptMessage},
		"length negative":       {func(h *Header) { h.Length = -1 }, kerr.CorruptMessage},
		"length huge":           {func(h *Header) { h.Length = math.MaxInt32 }, kerr.CorruptMessage},
		"delta negative":        {func(h *Header) { h.LastOffsetDelta = -1 }, kerr.InvalidRecord},
		"count negative":        {func(h *Header) { h.Count = -1 }, kerr.InvalidRecord},
		"count above delta":     {func(h *Header) { h.Count = 4 }, kerr.InvalidRecord},
		"count and delta huge":  {func(h *Header) { h.Count, h.LastOffsetDelta = math.MaxInt32, math.MaxInt32 }, nil},
		"records without bytes": {func(h *Header) { h.Length = HeaderSize - Overhead }, kerr.InvalidRecord},
		"offset negative":       {func(h *Header) { h.BaseOffset = -1 }, kerr.InvalidRecord},
		"offset overflows":      {func(h *Header) { h.BaseOffset = math.MaxInt64 }, kerr.InvalidRecord},
		"codec 5":               {func(h *Header) { h.Attributes |= 5 }, kerr.UnsupportedCompressionType},
		"codec 7":               {func(h *Header) { h.Attributes |= 7 }, kerr.UnsupportedCompressionType},
		"attribute bit 7":       {func(h *Header) { h.Attributes |= 0x80 }, kerr.InvalidRecord},
		"attribute sign":        {func(h *Header) { h.Attributes |= math.MinInt16 }, kerr.InvalidRecord},
		"delete horizon":        {func(h *Header) { h.Attributes |= deleteHorizonBit; h.BaseTimestamp = 5000 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var h Header
			wantKind(t, ParseHeader(mutated(raw, c.change), &h), c.kind)
		})
	}
	for size := range HeaderSize {
		var h Header
		wantKind(t, ParseHeader(raw[:size], &h), kerr.CorruptMessage)
		if CheckCRC(raw[:size]) {
			t.Fatalf("CRC of %d bytes is right", size)
		}
	}
}

// Every bit of a batch is either covered by the CRC, or lies in a field that the leader overwrites or the structure checks.
func TestEveryFlipIsDetected(t *testing.T) {
	raw := plain(t)
	var h Header
	for at := range raw {
		for bit := range 8 {
			b := append([]byte(nil), raw...)
			b[at] ^= 1 << bit
			err := accept(b, &h, anyOptions)
			switch {
			case at < lengthAt:
				wantKind(t, err, kerr.InvalidRecord) // a client's base offset is 0
			case at < leaderEpochAt:
				if err == nil { // cut off, too long, or too small
					t.Fatalf("length byte %d bit %d is accepted", at, bit)
				}
			case at < magicAt:
				wantKind(t, err, nil) // the leader epoch is overwritten
			case at == magicAt:
				if err == nil {
					t.Fatalf("magic bit %d is accepted", bit)
				}
			default:
				wantKind(t, err, kerr.CorruptMessage)
			}
			if at >= crcAt && CheckCRC(b) {
				t.Fatalf("byte %d bit %d: CRC does not notice", at, bit)
			}
		}
	}
}

func TestPlaceKeepsTheCRC(t *testing.T) {
	raw := plain(t)
	Place(raw, 1<<40, 9)
	var h Header
	if err := ParseHeader(raw, &h); err != nil || h.BaseOffset != 1<<40 || h.LeaderEpoch != 9 || h.LastOffset() != 1<<40+2 || !CheckCRC(raw) {
		t.Fatalf("header %+v, error %v", h, err)
	}
}

func TestStampLogAppendTime(t *testing.T) {
	raw := plain(t)
	StampLogAppendTime(raw, 99)
	var h Header
	if err := ParseHeader(raw, &h); err != nil || !h.Attributes.LogAppendTime() || h.MaxTimestamp != 99 || !CheckCRC(raw) {
		t.Fatalf("header %+v, error %v", h, err)
	}
	r, err := NewReader(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	for ok, err := r.Next(&rec); ok || err != nil; ok, err = r.Next(&rec) {
		if err != nil || rec.Timestamp != 99 {
			t.Fatalf("time %d, error %v", rec.Timestamp, err)
		}
	}
}
