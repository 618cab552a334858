package replica

import (
	"slices"

	"ottla/protocol"
)

// insync is the in-sync set of one partition and its high watermark, as the leader sees them: a value without I/O, for any number of replicas. What an end is
// (of the log, or of its durable part) is the caller's choice; it is the same for all.
type insync struct {
	high   protocol.Offset // never falls
	local  protocol.Offset // the leader's own end
	size   int32           // of the in-sync set, the leader included
	need   int32           // in-sync replicas without which nothing is committed
	others []replicaEnd    // the in-sync set without the leader; nil if it is alone
}

// replicaEnd is how far a follower is known to be; -1 until it has told the leader of this epoch.
type replicaEnd struct {
	broker protocol.BrokerID
	end    protocol.Offset
}

// lead begins a leadership, or takes note of a new in-sync set within one: what is known of followers that stay is kept only in the latter case. Of replicas
// fewer than min.insync.replicas all are enough, as in Kafka.
func (s *insync) lead(me protocol.BrokerID, set []protocol.BrokerID, replicas int, minInSync int32, newEpoch bool) {
	var others []replicaEnd
	for _, b := range set {
		if b == me {
			continue
		}
		r := replicaEnd{b, protocol.NoOffset}
		if n := s.find(b); n >= 0 && !newEpoch {
			r.end = s.others[n].end
		}
		others = append(others, r)
	}
	s.others, s.size = others, int32(len(set))
	s.need = min(minInSync, int32(replicas))
}

func (s *insync) find(b protocol.BrokerID) int {
	return slices.IndexFunc(s.others, func(r replicaEnd) bool { return r.broker == b })
}

// begin is where a new leader stands: it has everything below high, and its own log up to end.
func (s *insync) begin(high, end protocol.Offset) { s.high, s.local = high, end }

// reach says how far the leader's own log is; lower ends than before change nothing.
func (s *insync) reach(end protocol.Offset) { s.local = max(s.local, end) }

// enough tells whether the set is large enough to commit.
func (s *insync) enough() bool { return s.size >= s.need }

// advance moves the high watermark up to the lowest end of the in-sync set, if that set is large enough (KIP-966), and tells by how much.
func (s *insync) advance() (from, to protocol.Offset) {
	from = s.high
	if !s.enough() {
		return from, from
	}
	lowest := s.local
	for _, r := range s.others {
		lowest = min(lowest, r.end)
	}
	s.high = max(s.high, lowest)
	return from, s.high
}
