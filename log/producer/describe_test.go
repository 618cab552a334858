package producer

import (
	"slices"
	"testing"

	"ottla/log/batch"
	"ottla/protocol"
)

func TestDescribe(t *testing.T) {
	var s State
	if got := s.Describe(); len(got) != 0 {
		t.Errorf("nobody: %+v", got)
	}
	apply := func(id protocol.ProducerID, offset protocol.Offset, h *batch.Header) {
		h.ProducerID, h.MaxTimestamp = id, 1000+int64(offset)
		s.Applied(at(offset, h), 0)
	}
	apply(9, 20, data(3, 7, 2))
	apply(9, 22, data(3, 9, 1))
	apply(4, 30, in(transactional, data(1, 0, 1)))
	want := []Info{
		{ID: 4, Epoch: 1, LastSequence: 0, LastTimestamp: 1030, CoordinatorEpoch: -1, TxnFirst: 30},
		{ID: 9, Epoch: 3, LastSequence: 9, LastTimestamp: 1022, CoordinatorEpoch: -1, TxnFirst: protocol.NoOffset},
	}
	if got := s.Describe(); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	marker := in(transactional|control, data(1, -1, 1))
	marker.ProducerID = 4
	s.AppliedMarker(at(31, marker), batch.Marker{CoordinatorEpoch: 6}, 0)
	if got := s.Describe()[0]; got.TxnFirst != protocol.NoOffset || got.CoordinatorEpoch != 6 {
		t.Errorf("after the marker: %+v", got)
	}
}
