package producer

import (
	"errors"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/protocol"
)

const transactional, control batch.Attributes = 0x10, 0x20

// data is a batch of n records of producer 7.
func data(epoch protocol.ProducerEpoch, seq protocol.Sequence, n int32) *batch.Header {
	return &batch.Header{ProducerID: 7, ProducerEpoch: epoch, BaseSequence: seq, LastOffsetDelta: n - 1, Count: n, MaxTimestamp: 1000}
}

func at(offset protocol.Offset, h *batch.Header) *batch.Header {
	h.BaseOffset = offset
	return h
}

func in(a batch.Attributes, h *batch.Header) *batch.Header {
	h.Attributes |= a
	return h
}

func TestCheck(t *testing.T) {
	five := func(s *State) { // sequences 0..9 at offsets 100..109, two a batch
		for i := range 5 {
			s.Applied(at(protocol.Offset(100+2*i), data(3, protocol.Sequence(2*i), 2)), 0)
		}
	}
	marker := func(epoch protocol.ProducerEpoch) func(*State) {
		return func(s *State) {
			five(s)
			s.AppliedMarker(at(110, in(control|transactional, data(epoch, -1, 1))), batch.Marker{Type: batch.MarkerCommit, CoordinatorEpoch: 2}, 0)
		}
	}
	for name, c := range map[string]struct {
		before func(*State)
		h      *batch.Header
		first  protocol.Offset // of the batch that is repeated; 0: none is
		kind   *kerr.Error
	}{
		"no producer":                          {five, &batch.Header{ProducerID: -1, BaseSequence: -1}, 0, nil},
		"unknown producer begins at 0":         {func(*State) {}, data(0, 0, 1), 0, nil},
		"unknown producer begins anywhere":     {func(*State) {}, data(4, 17, 1), 0, nil},
		"continues":                            {five, data(3, 10, 4), 0, nil},
		"gap":                                  {five, data(3, 11, 1), 0, kerr.OutOfOrderSequenceNumber},
		"repeats the last":                     {five, data(3, 8, 2), 108, nil},
		"repeats the oldest":                   {five, data(3, 0, 2), 100, nil},
		"repeats half of one":                  {five, data(3, 0, 1), 0, kerr.OutOfOrderSequenceNumber},
		"spans two":                            {five, data(3, 0, 4), 0, kerr.OutOfOrderSequenceNumber},
		"older epoch":                          {five, data(2, 10, 1), 0, kerr.InvalidProducerEpoch},
		"older epoch, seen sequence":           {five, data(2, 8, 2), 0, kerr.InvalidProducerEpoch},
		"new epoch at 0":                       {five, data(4, 0, 1), 0, nil},
		"new epoch elsewhere":                  {five, data(4, 10, 1), 0, kerr.OutOfOrderSequenceNumber},
		"coordinator without sequence":         {five, data(3, -1, 1), 0, nil},
		"coordinator of an older epoch":        {five, data(2, -1, 1), 0, kerr.InvalidProducerEpoch},
		"after a marker of the same epoch":     {marker(3), in(transactional, data(3, 10, 1)), 0, nil},
		"repeats one from before a marker":     {marker(3), in(transactional, data(3, 8, 2)), 108, nil},
		"after a marker of the next epoch":     {marker(4), in(transactional, data(4, 0, 1)), 0, nil},
		"after it, but not at 0":               {marker(4), in(transactional, data(4, 10, 1)), 0, kerr.OutOfOrderSequenceNumber},
		"after it, in the epoch before":        {marker(4), in(transactional, data(3, 10, 1)), 0, kerr.InvalidProducerEpoch},
		"wraps to 0":                           {func(s *State) { s.Applied(data(3, math.MaxInt32, 1), 0) }, data(3, 0, 1), 0, nil},
		"wraps inside a batch":                 {func(s *State) { s.Applied(data(3, math.MaxInt32-1, 4), 0) }, data(3, 2, 1), 0, nil},
		"repeats one that wrapped":             {func(s *State) { s.Applied(at(5, data(3, math.MaxInt32-1, 4)), 0) }, data(3, math.MaxInt32-1, 4), 5, nil},
		"plain batch inside a transaction":     {func(s *State) { s.Applied(in(transactional, data(3, 0, 1)), 0) }, data(3, 1, 1), 0, kerr.InvalidTxnState},
		"transactional inside a transaction":   {func(s *State) { s.Applied(in(transactional, data(3, 0, 1)), 0) }, in(transactional, data(3, 1, 1)), 0, nil},
		"sixth batch pushes out the first one": {func(s *State) { five(s); s.Applied(at(110, data(3, 10, 1)), 0) }, data(3, 0, 2), 0, kerr.OutOfOrderSequenceNumber},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			c.before(&s)
			v, e, err := s.Check(c.h)
			if c.kind != nil && !errors.Is(err, c.kind) || c.kind == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.kind)
			}
			if (v == Duplicate) != (c.first > 0) || e.FirstOffset() != c.first && v == Duplicate {
				t.Fatalf("verdict %d, duplicate of %+v, want first offset %d", v, e, c.first)
			}
		})
	}
}

func TestExpire(t *testing.T) {
	var s State
	s.Expire(0, 0) // an empty state is fine
	s.Applied(data(0, 0, 1), 100)
	open := in(transactional, data(0, 0, 1))
	open.ProducerID = 8
	s.Applied(open, 100)
	if n := s.Expire(199, 100); n != 0 {
		t.Fatalf("%d expired too early", n)
	}
	if n := s.Expire(200, 100); n != 1 || s.Len() != 1 {
		t.Fatalf("%d expired, %d left: an open transaction must stay", n, s.Len())
	}
	open.BaseSequence = -1
	s.AppliedMarker(in(control, open), batch.Marker{}, 300)
	if n := s.Expire(400, 100); n != 1 || s.Len() != 0 {
		t.Fatalf("%d expired, %d left", n, s.Len())
	}
}

func TestTruncate(t *testing.T) {
	var s State
	if !s.Truncate(0) {
		t.Fatal("an empty state is exact")
	}
	for i := range 4 {
		s.Applied(at(protocol.Offset(10*i), data(0, protocol.Sequence(i), 1)), 0)
	}
	if !s.Truncate(20) {
		t.Fatal("two batches are left: exact")
	}
	if _, _, err := s.Check(data(0, 3, 1)); !errors.Is(err, kerr.OutOfOrderSequenceNumber) {
		t.Fatalf("sequence 3 after a cut behind 1: %v", err)
	}
	if v, _, err := s.Check(data(0, 2, 1)); v != Append || err != nil {
		t.Fatalf("sequence 2 after a cut behind 1: %d, %v", v, err)
	}
	if s.Truncate(0) || s.Len() != 0 {
		t.Fatal("the whole window is gone: not exact")
	}
	s.Applied(at(0, in(transactional, data(0, 0, 1))), 0)
	s.AppliedMarker(at(1, in(control|transactional, data(0, -1, 1))), batch.Marker{}, 0)
	if s.Truncate(1) {
		t.Fatal("a marker is gone: not exact")
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var s State
	h := data(0, 0, 3)
	step := func() {
		if v, _, err := s.Check(h); v != Append || err != nil {
			t.Fatal(v, err)
		}
		s.Applied(h, 1)
		h.BaseOffset += 3
		h.BaseSequence = (h.BaseSequence + 3) & math.MaxInt32
	}
	step()
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkCheckAndApplied(b *testing.B) {
	var s State
	h := data(0, 0, 3)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Check(h); err != nil {
			b.Fatal(err)
		}
		s.Applied(h, 1)
		h.BaseOffset += 3
		h.BaseSequence = (h.BaseSequence + 3) & math.MaxInt32
	}
}
