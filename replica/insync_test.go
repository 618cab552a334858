package replica

import (
	"math/rand/v2"
	"slices"
	"testing"

	"ottla/protocol"
)

// model is the rule of the high watermark in its plainest form: a map of ends, a set, and the highest committed offset ever seen.
type model struct {
	ends map[protocol.BrokerID]protocol.Offset
	set  []protocol.BrokerID
	need int
	high protocol.Offset
}

func (m *model) advance() {
	if len(m.set) < m.need {
		return
	}
	lowest := m.ends[1]
	for _, b := range m.set {
		if end, known := m.ends[b]; !known {
			return
		} else {
			lowest = min(lowest, end)
		}
	}
	m.high = max(m.high, lowest)
}

// TestHighWatermarkIsLowestEndOfInSyncSet runs random histories of one leadership against the model.
func TestHighWatermarkIsLowestEndOfInSyncSet(t *testing.T) {
	all := []protocol.BrokerID{1, 2, 3, 4, 5}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s insync
		m := model{ends: map[protocol.BrokerID]protocol.Offset{1: 0}}
		newSet := func(newEpoch bool) {
			m.set = []protocol.BrokerID{1}
			for _, b := range all[1:] {
				if rng.IntN(2) == 0 {
					m.set = append(m.set, b)
				}
			}
			minInSync := 1 + rng.IntN(7)
			m.need = min(minInSync, len(all))
			for _, b := range all[1:] {
				if newEpoch || !slices.Contains(m.set, b) {
					delete(m.ends, b)
				}
			}
			s.lead(1, m.set, len(all), int32(minInSync), newEpoch)
		}
		newSet(true)
		s.begin(0, 0)
		for step := range 100 {
			switch rng.IntN(5) {
			case 0:
				newSet(false)
			case 1, 2:
				m.ends[1] += protocol.Offset(rng.IntN(4))
				s.reach(m.ends[1])
				s.reach(m.ends[1] - 1)
			default:
				if n := rng.IntN(len(m.set)); n > 0 {
					m.ends[m.set[n]] = protocol.Offset(rng.IntN(int(m.ends[1]) + 1))
					s.others[s.find(m.set[n])].end = m.ends[m.set[n]]
				}
			}
			before := s.high
			from, to := s.advance()
			m.advance()
			if from != before || to != s.high || to != m.high || to < from {
				t.Fatalf("seed %d, step %d: from %d to %d, model %d", seed, step, from, to, m.high)
			}
			if s.enough() != (len(m.set) >= m.need) {
				t.Fatalf("seed %d, step %d: enough %v with %d of %d", seed, step, s.enough(), len(m.set), m.need)
			}
		}
	}
}

// TestFewReplicasNeedNoMore: as in Kafka, a topic of one replica takes acks=all whatever min.insync.replicas says.
func TestFewReplicasNeedNoMore(t *testing.T) {
	var s insync
	s.lead(1, []protocol.BrokerID{1}, 1, 2, true)
	if !s.enough() {
		t.Error("one replica of one is not enough")
	}
	s.lead(1, []protocol.BrokerID{1}, 3, 2, true)
	if s.enough() {
		t.Error("one replica of three is enough where two are wanted")
	}
}
