package decide

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/placement"
	"ottla/controller/record"
	"ottla/protocol"
)

// assignment is a new partition: who holds it, where, and who is in sync from the start. Its slices may be shared by partitions.
type assignment struct {
	replicas    []int32
	directories []byte
	isr         []int32
}

// partition is the record of a new partition, led by the first replica that is up.
func (a *assignment) partition(id []byte, n int) *record.Partition {
	return &record.Partition{TopicId: id, Partition: int32(n), Replicas: a.replicas, Directories: a.directories, Isr: a.isr, Leader: a.isr[0]}
}

// assignment completes a checked list of replicas.
func (d *decision) assignment(replicas []int32) assignment {
	a := assignment{replicas: replicas, isr: d.active(replicas), directories: make([]byte, 0, 16*len(replicas))}
	for _, id := range replicas {
		var directory protocol.DirectoryID // unassigned: a broker with several chooses, and tells
		if dirs := d.view.Broker(protocol.BrokerID(id)).Dirs; len(dirs) == 1 {
			directory = dirs[0]
		}
		a.directories = append(a.directories, directory[:]...)
	}
	return a
}

// place chooses replicas for count partitions. The error is Kafka's placer's.
func (d *decision) place(count, factor int) ([]assignment, error) {
	brokers := make([]placement.Broker, 0, len(d.view.Brokers()))
	for _, b := range d.view.Brokers() {
		if b.InControlledShutdown && !b.Fenced {
			continue // it would get replicas while it hands over those that it has
		}
		p := placement.Broker{ID: b.ID, Fenced: b.Fenced}
		if b.Rack != nil {
			p.Rack = *b.Rack
		}
		brokers = append(brokers, p)
	}
	placed, err := placement.Place(brokers, count, factor, d.Rand)
	if err != nil {
		return nil, err
	}
	out := make([]assignment, count)
	for n, ids := range placed {
		replicas := make([]int32, len(ids))
		for k, id := range ids {
			replicas[k] = int32(id)
		}
		out[n] = d.assignment(replicas)
	}
	return out, nil
}

// checkReplicas checks the replicas of one partition as a request names them; factor is how many the topic's others have, -1 if this is the first.
func (d *decision) checkReplicas(replicas []int32, factor int) error {
	if len(replicas) == 0 {
		return protocol.Errorf(kerr.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for n, id := range sorted {
		if d.view.Broker(protocol.BrokerID(id)) == nil {
			return protocol.Errorf(kerr.InvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if n > 0 && sorted[n-1] == id {
			return protocol.Errorf(kerr.InvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if factor != -1 && factor != len(replicas) {
		return protocol.Errorf(kerr.InvalidReplicaAssignment,
			"The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).",
			len(replicas), factor)
	}
	if len(replicas) > d.maxReplicas() {
		return d.tooManyReplicas(kerr.InvalidReplicaAssignment, len(replicas))
	}
	return nil
}

// active is those of the replicas that are up and are to stay, in their order; the slice itself if all are.
func (d *decision) active(replicas []int32) []int32 {
	down := func(id int32) bool {
		b := d.view.Broker(protocol.BrokerID(id))
		return b == nil || !b.Active()
	}
	if !slices.ContainsFunc(replicas, down) {
		return replicas
	}
	return slices.DeleteFunc(slices.Clone(replicas), down)
}
