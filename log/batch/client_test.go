package batch

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestValidateHeader(t *testing.T) {
	raw := plain(t)
	none := func(*Header) {}
	for name, c := range map[string]struct {
		change func(*Header)
		kind   *kerr.Error
	}{
		"as it is":                   {none, nil},
		"transactional":              {func(h *Header) { h.Attributes |= transactionalBit }, nil},
		"transactional without id":   {func(h *Header) { h.Attributes |= transactionalBit; h.ProducerID = -1 }, kerr.InvalidRecord},
		"not idempotent":             {func(h *Header) { h.ProducerID, h.ProducerEpoch, h.BaseSequence = -1, -1, -1 }, nil},
		"sequence without producer":  {func(h *Header) { h.ProducerID, h.BaseSequence = -1, 0 }, nil}, // clients do this
		"producer id -2":             {func(h *Header) { h.ProducerID = -2 }, kerr.InvalidRecord},
		"no sequence":                {func(h *Header) { h.BaseSequence = -1 }, kerr.InvalidRecord},
		"no producer epoch":          {func(h *Header) { h.ProducerEpoch = -1 }, kerr.InvalidRecord},
		"control":                    {func(h *Header) { h.Attributes |= controlBit }, kerr.InvalidRecord},
		"delete horizon":             {func(h *Header) { h.Attributes |= deleteHorizonBit }, kerr.InvalidRecord},
		"base offset":                {func(h *Header) { h.BaseOffset = 1 }, kerr.InvalidRecord},
		"no records":                 {func(h *Header) { h.Count = 0 }, kerr.InvalidRecord},
		"fewer records than offsets": {func(h *Header) { h.Count = 2 }, kerr.InvalidRecord},
		"more records than offsets":  {func(h *Header) { h.Count = 4 }, kerr.InvalidRecord},
		"log append time":            {func(h *Header) { h.Attributes |= logAppendTimeBit }, nil},
		"max time before base time":  {func(h *Header) { h.MaxTimestamp = 999 }, nil},
		"no times":                   {func(h *Header) { h.BaseTimestamp, h.MaxTimestamp = -1, -1 }, nil},
		"times of the far future":    {func(h *Header) { h.BaseTimestamp, h.MaxTimestamp = math.MaxInt64, math.MaxInt64 }, nil},
		"unknown codec":              {func(h *Header) { h.Attributes |= 6 }, kerr.UnsupportedCompressionType},
		"count and delta too high":   {func(h *Header) { h.Count, h.LastOffsetDelta = 4, 3 }, kerr.InvalidRecord},
		"count and delta too low":    {func(h *Header) { h.Count, h.LastOffsetDelta = 2, 1 }, kerr.InvalidRecord},
		"count and delta huge":       {func(h *Header) { h.Count, h.LastOffsetDelta = math.MaxInt32, math.MaxInt32-1 }, kerr.InvalidRecord},
		"length too low":             {func(h *Header) { h.Length -= 5 }, kerr.CorruptMessage},
		"length of no batch":         {func(h *Header) { h.Length = 13 }, kerr.CorruptMessage},
		"length negative":            {func(h *Header) { h.Length = -1 }, kerr.CorruptMessage},
		"length less than a header":  {func(h *Header) { h.Length = 40 }, kerr.CorruptMessage},
		"length beyond the end":      {func(h *Header) { h.Length++ }, kerr.InvalidRecord},
	} {
		t.Run(name, func(t *testing.T) {
			var h Header
			wantKind(t, accept(mutated(raw, c.change), &h, anyOptions), c.kind)
		})
	}
}

func TestSingle(t *testing.T) {
	raw := plain(t)
	old := plain(t)
	old[magicAt] = 1
	for name, c := range map[string]struct {
		records []byte
		kind    *kerr.Error
	}{
		"one":                       {raw, nil},
		"none":                      {nil, kerr.InvalidRecord},
		"seven bytes":               {raw[:7], kerr.InvalidRecord},
		"sixty zeros":               {make([]byte, 60), kerr.CorruptMessage},
		"a hundred zeros":           {make([]byte, 100), kerr.CorruptMessage},
		"one that is cut":           {raw[:len(raw)-1], kerr.InvalidRecord},
		"two":                       {slices.Concat(raw, raw), kerr.InvalidRecord},
		"a second that is cut":      {slices.Concat(raw, raw[:len(raw)-1]), nil},
		"a second cut in its frame": {slices.Concat(raw, raw[:15]), nil},
		"a byte behind":             {slices.Concat(raw, []byte{1}), nil},
		"zeros behind":              {slices.Concat(raw, make([]byte, 20)), kerr.CorruptMessage},
		"format 1":                  {old, kerr.InvalidRecord},
		"format 1 behind":           {slices.Concat(raw, old), kerr.InvalidRecord},
		"format 3 behind":           {slices.Concat(raw, raw[:magicAt], []byte{3}), kerr.CorruptMessage},
	} {
		t.Run(name, func(t *testing.T) {
			var h Header
			b, err := Single(c.records, &h)
			wantKind(t, err, c.kind)
			if err == nil && (!bytes.Equal(b, raw) || h.Size() != len(raw)) {
				t.Fatalf("%d bytes, header %+v", len(b), h)
			}
		})
	}
}

func TestTimestampRule(t *testing.T) {
	hour := int64(3600_000)
	for _, c := range []struct {
		rule    TimestampRule
		now, ts int64
		ok      bool
	}{
		{TimestampRule{BeforeMaxMs: hour, AfterMaxMs: hour}, 10 * hour, 9 * hour, true},
		{TimestampRule{BeforeMaxMs: hour, AfterMaxMs: hour}, 10 * hour, 9*hour - 1, false},
		{TimestampRule{BeforeMaxMs: hour, AfterMaxMs: hour}, 10 * hour, 11 * hour, true},
		{TimestampRule{BeforeMaxMs: hour, AfterMaxMs: hour}, 10 * hour, 11*hour + 1, false},
		{TimestampRule{BeforeMaxMs: hour, AfterMaxMs: hour}, 10 * hour, -1, true},
		{TimestampRule{BeforeMaxMs: 0, AfterMaxMs: 0}, 10, 10, true},
		{TimestampRule{BeforeMaxMs: 0, AfterMaxMs: 0}, 10, 11, false},
		{TimestampRule{LogAppendTime: true}, 10, 11, true},
		{TimestampRule{BeforeMaxMs: math.MaxInt64, AfterMaxMs: hour}, hour, math.MinInt64, false}, // now - MaxInt64 is above MinInt64
		{TimestampRule{BeforeMaxMs: math.MaxInt64, AfterMaxMs: math.MaxInt64}, hour, math.MaxInt64, true},
		{TimestampRule{BeforeMaxMs: math.MaxInt64, AfterMaxMs: hour}, hour, math.MaxInt64, false},
	} {
		if got := c.rule.allows(c.now, c.ts); got != c.ok {
			t.Errorf("%+v at %d allows %d: %v", c.rule, c.now, c.ts, got)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	raw := plain(t)
	var h Header
	var err error
	if n := testing.AllocsPerRun(100, func() {
		Place(raw, 0, 3)
		err = accept(raw, &h, anyOptions)
	}); n != 0 || err != nil {
		t.Fatalf("%v allocations, error %v", n, err)
	}
}
