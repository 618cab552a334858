package producer

import "ottla/protocol"

// LastOffsets are the last data offset of every producer that is remembered and has one. The batch there holds the producer's last sequence: compaction leaves its header.
func (s *State) LastOffsets() map[protocol.ProducerID]protocol.Offset {
	out := make(map[protocol.ProducerID]protocol.Offset, len(s.producers))
	for id, p := range s.producers {
		if n := len(p.window); n > 0 {
			out[id] = p.window[n-1].LastOffset
		}
	}
	return out
}

// FirstUnstable is the first offset of the oldest open transaction, NoOffset if none is open.
func (s *State) FirstUnstable() protocol.Offset {
	first := protocol.NoOffset
	for _, p := range s.producers {
		if p.txnFirst >= 0 && (first < 0 || p.txnFirst < first) {
			first = p.txnFirst
		}
	}
	return first
}
