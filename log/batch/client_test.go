package batch

import (
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestValidateClient(t *testing.T) {
	raw := plain(t)
	none := func(*Header) {}
	for name, c := range map[string]struct {
		change func(*Header)
		kind   *kerr.Error
	}{
		"as it is":                      {none, nil},
		"transactional":                 {func(h *Header) { h.Attributes |= transactionalBit }, nil},
		"transactional without id":      {func(h *Header) { h.Attributes |= transactionalBit; h.ProducerID = -1 }, kerr.InvalidRecord},
		"not idempotent":                {func(h *Header) { h.ProducerID, h.ProducerEpoch, h.BaseSequence = -1, -1, -1 }, nil},
		"sequence without producer":     {func(h *Header) { h.ProducerID, h.BaseSequence = -1, 0 }, nil}, // clients do this
		"producer id -2":                {func(h *Header) { h.ProducerID = -2 }, kerr.InvalidRecord},
		"no sequence":                   {func(h *Header) { h.BaseSequence = -1 }, kerr.InvalidRecord},
		"no producer epoch":             {func(h *Header) { h.ProducerEpoch = -1 }, kerr.InvalidRecord},
		"control":                       {func(h *Header) { h.Attributes |= controlBit }, kerr.InvalidRecord},
		"delete horizon":                {func(h *Header) { h.Attributes |= deleteHorizonBit }, kerr.InvalidRecord},
		"base offset":                   {func(h *Header) { h.BaseOffset = 1 }, kerr.InvalidRecord},
		"no records":                    {func(h *Header) { h.Count = 0 }, kerr.InvalidRecord},
		"fewer records than offsets":    {func(h *Header) { h.Count = 2 }, kerr.InvalidRecord},
		"more records than offsets":     {func(h *Header) { h.Count = 4 }, kerr.InvalidRecord},
		"log append time":               {func(h *Header) { h.Attributes |= logAppendTimeBit }, kerr.InvalidTimestamp},
		"max time before base time":     {func(h *Header) { h.MaxTimestamp = 999 }, kerr.InvalidTimestamp},
		"no times":                      {func(h *Header) { h.BaseTimestamp, h.MaxTimestamp = -1, -1 }, nil},
		"times of the far future":       {func(h *Header) { h.BaseTimestamp, h.MaxTimestamp = math.MaxInt64, math.MaxInt64 }, nil},
		"unknown codec":                 {func(h *Header) { h.Attributes |= 6 }, kerr.UnsupportedCompressionType},
		"length cut, other batch after": {func(h *Header) { h.Length -= 5 }, kerr.InvalidRecord},
		"length beyond the end":         {func(h *Header) { h.Length++ }, kerr.CorruptMessage},
	} {
		t.Run(name, func(t *testing.T) {
			var h Header
			wantKind(t, ValidateClient(mutated(raw, c.change), &h, 0, anyTime), c.kind)
		})
	}
	var h Header
	wantKind(t, ValidateClient(nil, &h, 0, anyTime), kerr.InvalidRecord)
	wantKind(t, ValidateClient(append(plain(t), plain(t)...), &h, 0, anyTime), kerr.InvalidRecord)
	wantKind(t, ValidateClient(append(plain(t), 0), &h, 0, anyTime), kerr.InvalidRecord)
	wantKind(t, ValidateClient(raw[:len(raw)-1], &h, 0, anyTime), kerr.CorruptMessage)
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
		err = ValidateClient(raw, &h, 1000, anyTime)
		Place(raw, 0, 3)
	}); n != 0 || err != nil {
		t.Fatalf("ValidateClient and Place: %v allocations, error %v", n, err)
	}
	o := ValidateOptions{Timestamps: anyTime, MaxDecompressed: 1 << 20}
	if n := testing.AllocsPerRun(100, func() { err = Validate(raw, &h, o) }); n != 0 || err != nil {
		t.Fatalf("Validate: %v allocations, error %v", n, err)
	}
}
