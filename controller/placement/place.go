package placement

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// Broker is one that may hold replicas.
type Broker struct {
	ID     protocol.BrokerID
	Rack   string // "": none; all brokers without a rack count as one rack
	Fenced bool   // gets a replica only where the others do not suffice, and never leads
}

// Place gives each new partition its replicas, the preferred leader first. As Kafka's striped placer does, it spreads over racks before it uses a rack
// twice, and spreads load over the brokers of a rack: of n unfenced brokers each leads one of n partitions in a row. The order of brokers does not matter.
// The error is INVALID_REPLICATION_FACTOR in Kafka's words.
func Place(brokers []Broker, partitions, factor int, r *rand.Rand) ([][]protocol.BrokerID, error) {
	unfenced := 0
	for _, b := range brokers {
		if !b.Fenced {
			unfenced++
		}
	}
	switch {
	case factor <= 0:
		return nil, protocol.Errorf(kerr.InvalidReplicationFactor, "Invalid replication factor %d: the replication factor must be positive.", factor)
	case unfenced == 0:
		return nil, protocol.Errorf(kerr.InvalidReplicationFactor, "All brokers are currently fenced, or have all their log directories cordoned.")
	case factor > len(brokers):
		return nil, protocol.Errorf(kerr.InvalidReplicationFactor,
			"The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.",
			factor, len(brokers))
	}
	s := stripes{racks: racksOf(brokers), rand: r}
	out := make([][]protocol.BrokerID, partitions)
	flat := make([]protocol.BrokerID, 0, partitions*factor)
	for n := range out {
		if n%unfenced == 0 {
			s.shuffle()
		}
		flat = s.appendReplicas(flat, s.leaders[n%unfenced], factor)
		out[n] = flat[len(flat)-factor : len(flat) : len(flat)]
	}
	return out, nil
}

// stripes is the state of one Place.
type stripes struct {
	racks   []*rack
	leaders []seat // every unfenced broker once, the racks taking turns
	rand    *rand.Rand
}

// rack is the brokers of one rack. Cursors say who is next as a follower.
type rack struct {
	name             string
	unfenced, fenced []protocol.BrokerID
	cursor           int
}

type seat struct {
	rack   int
	broker protocol.BrokerID
}

// racksOf groups brokers, in an order that does not depend on theirs.
func racksOf(brokers []Broker) (racks []*rack) {
	sorted := slices.SortedFunc(slices.Values(brokers), func(a, b Broker) int {
		return cmp.Or(strings.Compare(a.Rack, b.Rack), cmp.Compare(a.ID, b.ID))
	})
	for _, b := range sorted {
		if len(racks) == 0 || racks[len(racks)-1].name != b.Rack {
			racks = append(racks, &rack{name: b.Rack})
		}
		last := racks[len(racks)-1]
		if b.Fenced {
			last.fenced = append(last.fenced, b.ID)
		} else {
			last.unfenced = append(last.unfenced, b.ID)
		}
	}
	return racks
}

// shuffle begins a round of as many partitions as there are unfenced brokers. Without it the same brokers would follow the same leader for ever, and one
// that fails would leave all of its load to its neighbour.
func (s *stripes) shuffle() {
	s.rand.Shuffle(len(s.racks), func(i, j int) { s.racks[i], s.racks[j] = s.racks[j], s.racks[i] })
	for _, k := range s.racks {
		k.cursor = 0
		for _, list := range [][]protocol.BrokerID{k.unfenced, k.fenced} {
			s.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	s.leaders = s.leaders[:0]
	for depth, more := 0, true; more; depth++ {
		more = false
		for n, k := range s.racks {
			if depth < len(k.unfenced) {
				s.leaders = append(s.leaders, seat{n, k.unfenced[depth]})
				more = true
			}
		}
	}
}

// appendReplicas takes the leader, then a broker of each following rack in turn, round and round; fenced ones once no other is left.
// The caller has checked that factor brokers exist.
func (s *stripes) appendReplicas(out []protocol.BrokerID, leader seat, factor int) []protocol.BrokerID {
	first := len(out)
	out = append(out, leader.broker)
	for _, fenced := range []bool{false, true} {
		for turn, idle := leader.rack+1, 0; len(out)-first < factor && idle < len(s.racks); turn++ {
			b, ok := s.racks[turn%len(s.racks)].next(fenced, out[first:])
			if !ok {
				idle++
				continue
			}
			idle = 0
			out = append(out, b)
		}
	}
	return out
}

// next is the rack's next broker that is not taken yet.
func (k *rack) next(fenced bool, taken []protocol.BrokerID) (protocol.BrokerID, bool) {
	list := k.unfenced
	if fenced {
		list = k.fenced
	}
	for range list {
		b := list[k.cursor%len(list)]
		k.cursor++
		if !slices.Contains(taken, b) {
			return b, true
		}
	}
	return protocol.NoBroker, false
}
