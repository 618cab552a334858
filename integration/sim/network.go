package sim

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// network carries messages between nodes: late, twice, in another order, or never. What one node sends to itself does not come this way.
type network struct {
	s    *simulation
	cut  map[link]int // how many cuts there are of this direction
	home map[uint64]*node
	// watch, if not nil, is shown every message of the quorum.
	watch func(*pb.Message)
}

// link is a direction, by the numbers of the nodes.
type link struct{ from, to int }

func newNetwork(s *simulation) network {
	return network{s: s, cut: map[link]int{}, home: map[uint64]*node{}}
}

// send takes a message of the quorum.
func (w *network) send(from *node, m *pb.Message) {
	s := w.s
	s.cover.Sent++
	if w.watch != nil {
		w.watch(m)
	}
	to := w.home[m.GetTo()]
	if to == nil || w.cut[link{from.number, to.number}] > 0 || !s.healed && s.chance(s.plan.drop) {
		s.cover.Dropped++
		s.say("%d lost for %d: %s", from.number, numberOf(to), describe(m))
		from.undelivered(m)
		return
	}
	copies := 1
	if !s.healed && s.chance(s.plan.double) {
		copies++
		s.cover.Doubled++
	}
	for range copies {
		s.after(w.latency(), func() { w.deliver(from, to, m) })
	}
}

// carry brings anything else from one node to another: what a broker asks of the leader, and the answer.
func (w *network) carry(from, to *node, arrive func()) {
	s := w.s
	if from == to {
		s.after(0, arrive)
		return
	}
	copies := 1
	if !s.healed && s.chance(s.plan.double) {
		copies++
	}
	for range copies {
		if w.cut[link{from.number, to.number}] > 0 || !s.healed && s.chance(s.plan.drop) {
			continue
		}
		s.after(w.latency(), func() { w.arrive(from, to, arrive) })
	}
}

func (w *network) arrive(from, to *node, arrive func()) {
	if to.up && w.cut[link{from.number, to.number}] == 0 && !to.busy(func() { w.arrive(from, to, arrive) }) {
		arrive()
	}
}

func (w *network) latency() time.Duration {
	s := w.s
	d := s.plan.delay + time.Duration(s.dice.Int64N(int64(s.plan.jitter)))
	if !s.healed && s.chance(s.plan.late) {
		s.cover.Late++
		d += time.Duration(s.plan.lateness * float64(s.plan.jitter))
	}
	return d
}

func (w *network) deliver(from, to *node, m *pb.Message) {
	s := w.s
	switch {
	case !to.up, w.home[m.GetTo()] != to, w.cut[link{from.number, to.number}] > 0:
		s.cover.Dropped++
		from.undelivered(m)
		return
	case to.busy(func() { w.deliver(from, to, m) }):
		return
	}
	s.cover.Delivered++
	s.say("%d > %d %s", from.number, to.number, describe(m))
	to.receive(m)
	from.delivered(m)
}

// split cuts some directions and heals them later.
func (w *network) split() {
	s := w.s
	s.cover.Cuts++
	var links []link
	side := make([]bool, len(s.nodes))
	for n := range side {
		side[n] = s.dice.IntN(2) == 0
	}
	oneWay := s.chance(s.plan.oneWay)
	for a := range side {
		for b := range side {
			if side[a] != side[b] && (side[a] || !oneWay) {
				links = append(links, link{a, b})
			}
		}
	}
	for _, l := range links {
		w.cut[l]++
	}
	s.say("cut %v", links)
	s.after(s.about(s.plan.cutFor), func() {
		for _, l := range links {
			w.cut[l] = max(0, w.cut[l]-1)
		}
		s.say("healed %v", links)
	})
}
