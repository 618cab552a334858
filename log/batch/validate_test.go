package batch

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

func TestValidateAsksForKeys(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(t, c)
		var h Header
		err := accept(raw, &h, ValidateOptions{Partition: protocol.TopicPartition{Topic: "t", Partition: 3}, KeysRequired: true, Timestamps: anyTime, MaxDecompressed: 1 << 20})
		wantKind(t, err, kerr.InvalidRecord)
		var records *RecordErrors
		if !errors.As(err, &records) || len(records.Records) != 1 || records.Records[0].Index != 1 || records.Records[0].Message != "Compacted topic cannot accept message without key in topic partition t-3" {
			t.Fatalf("%s: %+v", c, records)
		}
	}
}

func TestValidateChecksTimes(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(t, c)
		var h Header
		// 1000, 1005 and 1002 at 1003: the first two lie outside, and the second has no key either.
		o := ValidateOptions{Now: 1003, Timestamps: TimestampRule{BeforeMaxMs: 2, AfterMaxMs: 1}, MaxDecompressed: 1 << 20}
		wantRecords(t, accept(raw, &h, o), kerr.InvalidTimestamp,
			RecordError{0, "Timestamp 1000 of message with offset 0 is out of range. The timestamp should be within [1001, 1004]"},
			RecordError{1, "Timestamp 1005 of message with offset 1 is out of range. The timestamp should be within [1001, 1004]"})
		o.Timestamps.BeforeMaxMs, o.KeysRequired = 3, true // the key is asked for first
		wantRecords(t, accept(raw, &h, o), kerr.InvalidRecord, RecordError{1, "Compacted topic cannot accept message without key in topic partition -0"})
		o.KeysRequired, o.Timestamps.LogAppendTime = false, true
		wantKind(t, accept(raw, &h, o), nil)
		if !bytes.Equal(raw, encodedBy(t, c)) {
			t.Fatalf("%s: changed", c)
		}
	}
}

func wantRecords(t *testing.T, err error, kind *kerr.Error, want ...RecordError) {
	t.Helper()
	wantKind(t, err, kind)
	var records *RecordErrors
	if !errors.As(err, &records) || !slices.Equal(records.Records, want) {
		t.Fatalf("%+v, want %+v", records, want)
	}
}

func TestValidateMendsTimes(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		for name, change := range map[string]func(*Header){
			"too high":           func(h *Header) { h.MaxTimestamp = 1_000_000 },
			"too low":            func(h *Header) { h.MaxTimestamp = 1004 },
			"none":               func(h *Header) { h.MaxTimestamp = -1 },
			"type":               func(h *Header) { h.Attributes |= logAppendTimeBit },
			"type, and too high": func(h *Header) { h.Attributes |= logAppendTimeBit; h.MaxTimestamp = math.MaxInt64 },
		} {
			raw := mutated(encodedBy(t, c), change)
			var h, want Header
			wantKind(t, accept(raw, &h, anyOptions), nil)
			if want.decode(encodedBy(t, c)); h != want || !bytes.Equal(raw, encodedBy(t, c)) {
				t.Fatalf("%s, %s: %+v, want %+v", c, name, h, want)
			}
		}
	}
}

// Times before 1970 are times, but the largest of a batch is never less than none.
func TestValidateTimesBefore1970(t *testing.T) {
	b := NewBuilder()
	b.Add(-1000, []byte("k"), nil)
	raw := b.Build(nil)
	var h Header
	wantKind(t, accept(raw, &h, anyOptions), nil)
	if h.BaseTimestamp != -1000 || h.MaxTimestamp != -1 || !CheckCRC(raw) {
		t.Fatalf("%+v", h)
	}
}

func TestLeadersStampIsRefusedWhereItCounts(t *testing.T) {
	b := NewBuilder()
	b.Add(1, nil, nil)
	b.Add(2, nil, nil)
	raw := mutated(b.Build(nil), func(h *Header) { h.Attributes |= logAppendTimeBit })
	var h Header
	wantRecords(t, accept(raw, &h, ValidateOptions{Timestamps: TimestampRule{LogAppendTime: true}}), kerr.InvalidTimestamp,
		RecordError{0, "Invalid timestamp type in message with offset 0. Producer should not set timestamp type to LogAppendTime."},
		RecordError{1, "Invalid timestamp type in message with offset 1. Producer should not set timestamp type to LogAppendTime."})
}

// longRecords is a batch whose records are longer than a window, in each of their fields.
func longRecords() []byte {
	long := bytes.Repeat([]byte("long "), windowSize)
	b := NewBuilder()
	b.Add(10, nil, long, RecordHeader{"k", long}, RecordHeader{"null", nil})
	b.Add(12, long, nil)
	b.Add(11, []byte("k"), nil, RecordHeader{string(long), []byte("v")})
	return b.Build(nil)
}

func TestValidateLongRecords(t *testing.T) {
	for c := Gzip; c <= Zstd; c++ {
		body := longRecords()[HeaderSize:]
		o := ValidateOptions{Timestamps: anyTime, MaxDecompressed: len(body)}
		sealed := func(body []byte) []byte { return withBody(c, 3, body...) }
		var h Header
		raw := sealed(body)
		if wantKind(t, accept(raw, &h, o), nil); h.MaxTimestamp != 2 { // the times count from the base
			t.Fatalf("%s: %+v", c, h)
		}
		o.KeysRequired = true
		wantRecords(t, accept(raw, &h, o), kerr.InvalidRecord, RecordError{0, "Compacted topic cannot accept message without key in topic partition -0"})
		o.KeysRequired = false
		wantKind(t, accept(sealed(body[:len(body)-1]), &h, o), kerr.InvalidRecord)
		wantKind(t, accept(sealed(body[:windowSize]), &h, o), kerr.InvalidRecord)
		o.MaxDecompressed++
		wantKind(t, accept(sealed(append(slices.Clone(body), 0)), &h, o), kerr.InvalidRecord)
		o.MaxDecompressed -= 2
		wantKind(t, accept(raw, &h, o), kerr.MessageTooLarge)
	}
}

// Records that lie about their own sizes, in every codec.
func TestValidateRecords(t *testing.T) {
	good := []byte{14, 0, 0, 0, 2, 'k', 1, 0} // length 7
	for c := None; c <= Zstd; c++ {
		for name, body := range map[string][]byte{
			"length too high":        append([]byte{16}, good[1:]...),
			"length too low":         append([]byte{12}, good[1:]...),
			"length negative":        append([]byte{13}, good[1:]...),
			"length huge":            append([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f}, good[1:]...),
			"bytes within a record":  append([]byte{16}, append(slices.Clone(good[1:]), 0)...),
			"bytes behind a record":  append(slices.Clone(good), 0),
			"another record":         append(slices.Clone(good), good...),
			"offset delta 1":         {14, 0, 0, 2, 2, 'k', 1, 0},
			"offset delta -1":        {14, 0, 0, 1, 2, 'k', 1, 0},
			"key beyond the end":     {14, 0, 0, 0, 20, 'k', 1, 0},
			"headers without number": {12, 0, 0, 0, 2, 'k', 1},
			"junk":                   {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		} {
			var h Header
			raw := withBody(c, 1, body...)
			before := slices.Clone(raw)
			if err := accept(raw, &h, anyOptions); !errors.Is(err, kerr.InvalidRecord) || !bytes.Equal(raw, before) {
				t.Fatalf("%s, %s: %v", c, name, err)
			}
		}
		raw := mutated(withBody(None, 1, good...), func(h *Header) { h.Attributes = Attributes(c) })
		var h Header
		if err := accept(raw, &h, anyOptions); (err == nil) != (c == None) || err != nil && !errors.Is(err, kerr.InvalidRecord) {
			t.Fatalf("%s, not compressed: %v", c, err)
		}
	}
}

// A bomb costs memory for a window and a block, not for what comes out of it.
func TestBombsCostAWindow(t *testing.T) {
	const size = 64 << 20
	body := appendRecord(nil, 0, 0, []byte("k"), make([]byte, size), nil)
	for c := Gzip; c <= Zstd; c++ {
		raw := withBody(c, 1, body...)
		var h Header
		var err error
		cost := allocated(func() { err = accept(raw, &h, ValidateOptions{Timestamps: anyTime, MaxDecompressed: 2 * size}) })
		if cost > 16<<20 || err != nil {
			t.Fatalf("%s: %d bytes of memory, error %v", c, cost, err)
		}
	}
}

// Frames of zstd that are large, wide, or both, and one that claims more than may be.
func TestValidateZstdFrames(t *testing.T) {
	body := appendRecord(nil, 0, 0, []byte("k"), make([]byte, 2*smallWhole), nil)
	for name, c := range map[string]struct {
		window int
		kind   *kerr.Error
	}{"large": {1 << 20, nil}, "wide": {2 * zstdNarrow, nil}, "too wide": {2 * maxZstdWindow, kerr.InvalidRecord}} {
		var frame bytes.Buffer
		e, err := zstd.NewWriter(&frame, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(c.window))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = e.Write(body) // without a content size
		_ = e.Close()
		raw := append(make([]byte, HeaderSize), frame.Bytes()...)
		seal(raw, &Header{Magic: magicV2, Count: 1, Attributes: Attributes(Zstd), ProducerID: -1})
		var h Header
		o := ValidateOptions{Timestamps: anyTime, MaxDecompressed: len(body)}
		if err := accept(raw, &h, o); (err == nil) != (c.kind == nil) || err != nil && !errors.Is(err, c.kind) {
			t.Fatalf("%s: %v", name, err)
		}
		if o.MaxDecompressed--; c.kind == nil {
			if err := accept(raw, &h, o); !errors.Is(err, kerr.MessageTooLarge) {
				t.Fatalf("%s, beyond the limit: %v", name, err)
			}
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
	err := accept(raw, &h, ValidateOptions{KeysRequired: true, Timestamps: anyTime, MaxDecompressed: 1 << 20})
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

// newest finds the first record with the greatest time.
func newest(b []byte, limit int) (TimestampOffset, bool, error) {
	most := int64(math.MinInt64)
	if _, _, err := Find(b, func(r *Record) bool { most = max(most, r.Timestamp); return false }, limit); err != nil {
		return TimestampOffset{}, false, err
	}
	return Find(b, func(r *Record) bool { return r.Timestamp == most }, limit)
}

// A look-up costs a window, like validating, and ends where the record is found.
func TestTimestampLookupOfABombCostsAWindow(t *testing.T) {
	const size = 64 << 20
	body := appendRecord(nil, 0, 0, []byte("k"), make([]byte, size), nil)
	for c := Gzip; c <= Zstd; c++ {
		raw := withBody(c, 1, body...)
		cost := allocated(func() {
			if _, ok, err := Find(raw, func(r *Record) bool { return r.Timestamp > math.MaxInt64/2 }, 2*size); ok || err != nil {
				t.Fatalf("%s: found %v, error %v", c, ok, err)
			}
		})
		if cost > 16<<20 {
			t.Fatalf("%s: %d bytes of memory", c, cost)
		}
	}
}

// Many bombs that can only be inflated in one piece have memory one after the other.
func TestWholeBombsTakeTurns(t *testing.T) {
	const size = 4 << 20
	raw := withZstdWindow(t, appendRecord(nil, 0, 0, []byte("k"), make([]byte, size), nil))
	all := map[string]func() error{
		"validate": func() error {
			return accept(bytes.Clone(raw), new(Header), ValidateOptions{Timestamps: anyTime, MaxDecompressed: 2 * size})
		},
		"look-up":    func() error { _, _, err := Find(raw, func(*Record) bool { return false }, 2*size); return err },
		"recompress": func() error { _, err := Recompress(raw, Gzip, 1, 2*size); return err },
	}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, decoders := turns, zstdDecoders
				defer func() { turns, zstdDecoders = shared, decoders }()
				turns = make(chan struct{}, 1)               // of the bubble, which so knows who waits for it
				zstdDecoders = &sync.Pool{New: decoders.New} // likewise: a decoder has channels
				takeTurn()
				ended := make(chan error, 1)
				go func() { ended <- f() }()
				synctest.Wait()
				if len(ended) > 0 {
					t.Error("it did not wait for its turn")
				}
				endTurn()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if len(turns) > 0 {
					t.Error("the turn was not given back")
				}
			})
		})
	}
}

// Blocks of snappy and LZ4 that are large have memory one after the other too.
func TestLargeBlocksTakeTurns(t *testing.T) {
	const size = 16 << 20
	body := appendRecord(nil, 0, 0, []byte("k"), make([]byte, size), nil)
	raw := append(make([]byte, HeaderSize), s2.EncodeSnappy(nil, body)...)
	seal(raw, &Header{Magic: magicV2, Count: 1, Attributes: Attributes(Snappy), ProducerID: -1})
	large := append(make([]byte, HeaderSize), lz4Blocks(t, body)...)
	seal(large, &Header{Magic: magicV2, Count: 1, Attributes: Attributes(LZ4), ProducerID: -1})
	for name, c := range map[string]struct {
		raw  []byte
		gate *chan struct{}
	}{"snappy": {raw, &turns}, "lz4": {large, &streams}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := *c.gate
				defer func() { *c.gate = shared }()
				*c.gate = make(chan struct{}, 1) // of the bubble, which so knows who waits for it
				*c.gate <- struct{}{}
				const together = 3
				ended := make(chan error, together)
				for range together {
					go func() {
						_, _, err := Find(c.raw, func(*Record) bool { return false }, 2*size)
						ended <- err
					}()
				}
				synctest.Wait()
				if len(ended) > 0 {
					t.Error("somebody did not wait")
				}
				<-*c.gate
				for range together {
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
				synctest.Wait()
				if len(*c.gate) > 0 {
					t.Error("the turn was not given back")
				}
			})
		})
	}
}

// lz4Blocks is a frame of blocks of 4 MiB.
func lz4Blocks(t *testing.T, src []byte) []byte {
	t.Helper()
	var frame bytes.Buffer
	w := lz4.NewWriter(&frame)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ConcurrencyOption(1)); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(src) // a bytes.Buffer takes all
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return frame.Bytes()
}

// withZstdWindow is a batch of one record in a frame with a window of 128 MiB, as Java writes it at level 22.
func withZstdWindow(t *testing.T, body []byte) []byte {
	t.Helper()
	var frame bytes.Buffer
	w, err := zstd.NewWriter(&frame, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxZstdWindow))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	raw := append(withBody(None, 1, body...)[:HeaderSize:HeaderSize], frame.Bytes()...)
	var h Header
	h.decode(raw)
	h.Attributes = Attributes(Zstd)
	seal(raw, &h)
	return raw
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
			if got, ok, err := Find(raw, func(r *Record) bool { return r.Timestamp >= q.ts }, 1<<20); got != q.want || ok != q.ok || err != nil {
				t.Fatalf("%s: first at %d is %+v %v %v", c, q.ts, got, ok, err)
			}
		}
		if got, ok, err := newest(raw, 1<<20); got != (TimestampOffset{1005, 101}) || !ok || err != nil {
			t.Fatalf("%s: newest is %+v %v %v", c, got, ok, err)
		}
		StampLogAppendTime(raw, 7)
		if got, ok, err := newest(raw, 1<<20); got != (TimestampOffset{7, 100}) || !ok || err != nil {
			t.Fatalf("%s: newest under LogAppendTime is %+v %v %v", c, got, ok, err)
		}
		if c != None {
			_, _, err := Find(raw, func(*Record) bool { return true }, 10)
			wantKind(t, err, kerr.MessageTooLarge)
			_, _, err = newest(raw, 10)
			wantKind(t, err, kerr.MessageTooLarge)
		}
	}
	if _, ok, err := newest(NewBuilder().Build(nil), 0); ok || err != nil {
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
