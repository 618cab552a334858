package decide

import (
	"slices"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// takeBack gives a new incarnation of a broker the partitions that it led, and those without a leader that it is in sync with. It leads them in a new leader
// epoch: what it lost in between must not pass for the same history. A replica whose directory is not among those online is out of the ISR and the ELR, unless
// it is the last of the ISR; what it led goes to the next in sync that is up, or stays without a leader.
func (d *decision) takeBack(id protocol.BrokerID, online [][16]byte) {
	for t := range d.view.Topics() {
		for n := range t.Partitions {
			p := &t.Partitions[n]
			at := slices.Index(p.Replicas, id)
			if at < 0 {
				continue
			}
			k := &record.PartitionChange{TopicId: t.ID[:], Partition: int32(n)}
			changed := false
			if dir := p.Directories[at]; dir.IsZero() || slices.Contains(online, [16]byte(dir)) { // zero: not chosen yet, may be any
				changed = lead(k, p, id)
			} else {
				changed = d.withdraw(k, p, id)
			}
			if changed {
				d.records = append(d.records, record.Of(k))
			}
		}
	}
}

// lead makes the broker the leader again; false if it is not its turn.
func lead(k *record.PartitionChange, p *image.Partition, id protocol.BrokerID) bool {
	if p.Leader != id && (p.Leader != protocol.NoBroker || !slices.Contains(p.ISR, id)) {
		return false
	}
	leader := int32(id)
	k.Leader = &leader
	return true
}

// withdraw takes a replica that is gone out of everything that vouches for it; false if nothing did.
func (d *decision) withdraw(k *record.PartitionChange, p *image.Partition, id protocol.BrokerID) bool {
	others := without(p.ISR, id)
	if len(others) > 0 && len(others) < len(p.ISR) {
		k.Isr = &record.BrokerList{Ids: others}
	}
	if slices.Contains(p.ELR, id) {
		k.Elr = &record.BrokerList{Ids: without(p.ELR, id)}
	}
	if p.Leader == id {
		leader := int32(protocol.NoBroker)
		if up := d.unfenced(others); len(up) > 0 {
			leader = up[0]
		}
		k.Leader = &leader
	}
	return k.Isr != nil || k.Elr != nil || k.Leader != nil
}

func without(list []protocol.BrokerID, id protocol.BrokerID) []int32 {
	out := make([]int32, 0, len(list))
	for _, b := range list {
		if b != id {
			out = append(out, int32(b))
		}
	}
	return out
}
