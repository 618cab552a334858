package decide

import (
	"slices"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// standing is what becomes of one broker: whether it may lead from now on, and which of its directories are online. The partitions that it holds follow from it:
//
//   - One that may not lead leaves the ISR, and what it led goes to the first replica in sync that may lead, or stays without a leader.
//   - While the ISR is smaller than min.insync.replicas, who leaves it joins the ELR: it holds all that is committed, as nothing more is committed until the ISR is
//     large enough again (KIP-966). With an empty ISR a member of the ELR leads.
//   - One that may lead gets what has no leader and what it is in sync with.
//   - A replica whose directory is not online leaves the ELR too, unless nobody else vouches for the partition: then it waits, without a leader, for the directory
//     to come back.
type standing struct {
	*decision
	broker protocol.BrokerID
	leads  bool // it may
	online []protocol.DirectoryID
	// fresh says that the process is another one: what it led it leads in a new leader epoch, as what it lost in between must not pass for the same history.
	fresh bool
}

// settle adds the changes of all partitions.
func (s *standing) settle() {
	for t := range s.view.Topics() {
		for n := range t.Partitions {
			if k := s.change(t, n); k != nil {
				s.records = append(s.records, record.Of(k))
			}
		}
	}
}

// change is what becomes of one partition; nil if nothing does.
func (s *standing) change(t *image.Topic, n int) *record.PartitionChange {
	p := &t.Partitions[n]
	at := slices.Index(p.Replicas, s.broker)
	if at < 0 {
		return nil
	}
	next := image.Partition{Leader: protocol.NoBroker, ISR: p.ISR, ELR: p.ELR, LastKnownELR: p.LastKnownELR}
	if lost := !s.has(p.Directories[at]); lost || !s.leads {
		next.ISR, next.ELR = s.leave(t, p, lost)
	}
	s.elect(t, p, &next)
	k := difference(p, &next)
	if k.Leader == nil && s.fresh && next.Leader == s.broker {
		k.Leader = (*int32)(&next.Leader)
	}
	if k.Isr == nil && k.Elr == nil && k.LastKnownElr == nil && k.Leader == nil {
		return nil
	}
	k.TopicId, k.Partition = t.ID[:], int32(n)
	return k
}

// has tells whether the broker's replicas in that directory can be read. Zero is not chosen yet, and may be any.
func (s *standing) has(d protocol.DirectoryID) bool {
	return d.IsZero() || slices.Contains(s.online, d)
}

// leave is the ISR and the ELR without the broker, or with it in the ELR.
func (s *standing) leave(t *image.Topic, p *image.Partition, lost bool) (isr, elr []protocol.BrokerID) {
	isr = without(p.ISR, s.broker)
	if len(isr) < s.minISR(t) {
		elr = slices.Concat(p.ELR, p.ISR)
		slices.Sort(elr)
		elr = slices.DeleteFunc(slices.Compact(elr), func(id protocol.BrokerID) bool {
			return slices.Contains(isr, id) || lost && id == s.broker
		})
	}
	if len(isr)+len(elr) == 0 {
		return p.ISR, p.ELR
	}
	return isr, elr
}

// minISR is min.insync.replicas of a topic, or as many replicas as there are.
func (s *standing) minISR(t *image.Topic) int {
	v := s.decision.broker()
	v.Override = s.view.Config(config.Topic, t.Name)
	return min(int(v.Int("min.insync.replicas")), len(t.Partitions[0].Replicas))
}

// elect gives next a leader, if there is one: the one so far, else the first replica that may be.
func (s *standing) elect(t *image.Topic, p *image.Partition, next *image.Partition) {
	may := func(id protocol.BrokerID) bool {
		vouches := slices.Contains(next.ISR, id) || len(next.ISR) == 0 && slices.Contains(next.ELR, id)
		return vouches && s.mayLead(p, id)
	}
	if may(p.Leader) {
		next.Leader = p.Leader
	} else if n := slices.IndexFunc(p.Replicas, may); n >= 0 {
		next.Leader = p.Replicas[n]
	}
	switch {
	case next.Leader == protocol.NoBroker:
		if p.Leader != protocol.NoBroker {
			next.LastKnownELR = []protocol.BrokerID{p.Leader}
		}
		return
	case !slices.Contains(next.ISR, next.Leader):
		next.ISR, next.ELR = []protocol.BrokerID{next.Leader}, without(next.ELR, next.Leader)
		if s.minISR(t) <= 1 {
			next.ELR = nil
		}
	}
	next.LastKnownELR = nil
}

// mayLead tells whether a replica is up, is to stay, and can be read.
func (s *standing) mayLead(p *image.Partition, id protocol.BrokerID) bool {
	at := slices.Index(p.Replicas, id)
	if at < 0 {
		return false
	}
	if id == s.broker {
		return s.leads && s.has(p.Directories[at])
	}
	b := s.view.Broker(id)
	return b != nil && b.Active() && (p.Directories[at].IsZero() || slices.Contains(b.Dirs, p.Directories[at]))
}

// difference is the change that makes of p what next is. The same leader stays in its epoch.
func difference(p, next *image.Partition) *record.PartitionChange {
	k := &record.PartitionChange{Isr: changed(p.ISR, next.ISR), Elr: changed(p.ELR, next.ELR), LastKnownElr: changed(p.LastKnownELR, next.LastKnownELR)}
	if next.Leader != p.Leader {
		k.Leader = (*int32)(&next.Leader)
	}
	return k
}

// changed is a list that differs from what it was; else nil.
func changed(was, is []protocol.BrokerID) *record.BrokerList {
	if slices.Equal(was, is) {
		return nil
	}
	list := &record.BrokerList{Ids: make([]int32, len(is))}
	for n, id := range is {
		list.Ids[n] = int32(id)
	}
	return list
}

func without(list []protocol.BrokerID, id protocol.BrokerID) []protocol.BrokerID {
	return slices.DeleteFunc(slices.Clone(list), func(b protocol.BrokerID) bool { return b == id })
}

// leadsAny tells whether a broker leads a partition.
func (d *decision) leadsAny(id protocol.BrokerID) bool {
	for t := range d.view.Topics() {
		for n := range t.Partitions {
			if t.Partitions[n].Leader == id {
				return true
			}
		}
	}
	return false
}
