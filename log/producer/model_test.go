package producer

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/protocol"
)

// model is the whole log as a list; it answers by reading all of it.
type model struct {
	log []appended
}

type appended struct {
	h         batch.Header
	marker    bool
	forgotten bool // had left the window when the log was cut: no longer known as a duplicate until a replay
}

// check says what Check should: the first offset of the batch that h repeats, or the error.
func (m *model) check(h *batch.Header) (protocol.Offset, error) {
	var (
		window []appended
		epoch  = protocol.NoProducerEpoch
		open   bool
	)
	for _, a := range m.log {
		if a.h.ProducerID != h.ProducerID {
			continue
		}
		if a.h.ProducerEpoch != epoch {
			epoch, window = a.h.ProducerEpoch, nil
		}
		if a.marker {
			open = false
			continue
		}
		window = append(window, a)
		open = open || a.h.Attributes.Transactional()
	}
	if epoch == protocol.NoProducerEpoch {
		return -1, nil
	}
	expected := protocol.Sequence(0)
	for i, w := range window {
		same := h.ProducerEpoch == epoch && w.h.BaseSequence == h.BaseSequence && w.h.LastOffsetDelta == h.LastOffsetDelta
		if same && i >= len(window)-5 && !w.forgotten {
			return w.h.BaseOffset, nil
		}
		expected = w.h.LastSequence() + 1
		if expected < 0 {
			expected = 0
		}
	}
	switch {
	case h.ProducerEpoch < epoch:
		return -1, kerr.InvalidProducerEpoch
	case h.ProducerEpoch > epoch && h.BaseSequence != 0, h.ProducerEpoch == epoch && h.BaseSequence != expected:
		return -1, kerr.OutOfOrderSequenceNumber
	case open && !h.Attributes.Transactional():
		return -1, kerr.InvalidTxnState
	}
	return -1, nil
}

func (m *model) end() protocol.Offset {
	if len(m.log) == 0 {
		return 0
	}
	return m.log[len(m.log)-1].h.NextOffset()
}

func (m *model) truncate(to protocol.Offset) {
	newer := map[protocol.ProducerID]int{}
	for i := len(m.log) - 1; i >= 0; i-- {
		a := &m.log[i]
		a.forgotten = a.forgotten || newer[a.h.ProducerID] >= 5
		if !a.marker {
			newer[a.h.ProducerID]++
		}
	}
	for len(m.log) > 0 && m.log[len(m.log)-1].h.LastOffset() >= to {
		m.log = m.log[:len(m.log)-1]
	}
}

// replay is what a restart does.
func (m *model) replay() *State {
	s := new(State)
	for i := range m.log {
		m.log[i].forgotten = false
		if a := &m.log[i]; a.marker {
			s.AppliedMarker(&a.h, batch.Marker{}, 0)
		} else {
			s.Applied(&a.h, 0)
		}
	}
	return s
}

// The state decides as one who reads the whole log does, whatever was appended, cut and replayed.
func TestStateMatchesTheLog(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		m, s := new(model), new(State)
		next := map[protocol.ProducerID]protocol.Sequence{}
		for range 120 {
			switch rnd.IntN(20) {
			case 0:
				to := m.end() - protocol.Offset(rnd.IntN(12))
				m.truncate(to)
				if !s.Truncate(m.end()) {
					s = m.replay()
				}
				continue
			case 1:
				s = m.replay()
				continue
			}
			h := random(rnd, next)
			first, want := m.check(&h)
			v, e, err := s.Check(&h)
			if want != nil && !errors.Is(err, want) || want == nil && err != nil {
				t.Fatalf("seed %d: error %v, want %v for %+v", seed, err, want, h)
			}
			if (v == Duplicate) != (first >= 0) || first >= 0 && e.FirstOffset() != first {
				t.Fatalf("seed %d: verdict %d of %+v, want duplicate of %d for %+v", seed, v, e, first, h)
			}
			if v == Duplicate || err != nil {
				continue
			}
			h.BaseOffset = m.end()
			m.log = append(m.log, appended{h: h})
			s.Applied(&h, 0)
			next[h.ProducerID] = (h.LastSequence() + 1) & (1<<31 - 1)
			if h.Attributes.Transactional() && rnd.IntN(3) == 0 {
				end := batch.Header{BaseOffset: m.end(), ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch + protocol.ProducerEpoch(rnd.IntN(2)), BaseSequence: -1, Attributes: 0x30, Count: 1}
				m.log = append(m.log, appended{h: end, marker: true})
				s.AppliedMarker(&end, batch.Marker{}, 0)
			}
		}
	}
}

// random is a batch that mostly continues, sometimes repeats, jumps, or changes the epoch; sequences start near the wrap.
func random(rnd *rand.Rand, next map[protocol.ProducerID]protocol.Sequence) batch.Header {
	h := batch.Header{ProducerID: protocol.ProducerID(rnd.IntN(3)), ProducerEpoch: protocol.ProducerEpoch(rnd.IntN(8) / 7), LastOffsetDelta: int32(rnd.IntN(3))}
	seq, known := next[h.ProducerID]
	if !known {
		seq = 1<<31 - 6
	}
	switch rnd.IntN(6) {
	case 0:
		seq -= protocol.Sequence(rnd.IntN(8))
	case 1:
		seq = 0
	case 2:
		seq += protocol.Sequence(rnd.IntN(2))
	}
	h.BaseSequence = seq & (1<<31 - 1)
	h.Count = h.LastOffsetDelta + 1
	if rnd.IntN(4) == 0 {
		h.Attributes = 0x10
	}
	return h
}
