package decide

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ottla/controller/image"
	"ottla/protocol"
)

// TestStandingInvariants lets brokers come, stop, fall silent, lose directories and be forgotten in any order, and looks at every partition after each event.
func TestStandingInvariants(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		c := newCluster(t)
		c.run("feature ottla.metadata level=2")
		c.run("controller 1")
		for n := range 120 {
			event := c.anyEvent(r, n)
			c.run(event)
			for topic := range c.live.Topics() {
				for p := range topic.Partitions {
					if err := partitionHolds(c.live, topic, &topic.Partitions[p], c.live.Config(2, topic.Name)["min.insync.replicas"]); err != nil {
						t.Fatalf("seed %d, event %d, %s: %s-%d: %v: %+v", seed, n, event, topic.Name, p, err, topic.Partitions[p])
					}
				}
			}
		}
	}
}

func (c *cluster) anyEvent(r *rand.Rand, n int) string {
	id := 1 + r.IntN(4)
	epoch := int64(-1)
	if b := c.live.Broker(protocol.BrokerID(id)); b != nil {
		epoch = int64(b.Epoch)
	}
	switch r.IntN(9) {
	case 0:
		dirs := fmt.Sprintf("d%d", id)
		if r.IntN(3) == 0 {
			dirs = fmt.Sprintf("d%d%d", id, id)
		}
		quiet := []string{"", " quiet"}[r.IntN(2)]
		return fmt.Sprintf("register %d incarnation=%d dirs=%s%s\n  ottla.metadata min=1 max=2", id, n, dirs, quiet)
	case 1:
		return fmt.Sprintf("create-topics\n  t%d partitions=2 factor=%d set:min.insync.replicas=%d", n, 1+r.IntN(3), 1+r.IntN(3))
	case 2:
		return fmt.Sprintf("expire %d epoch=%d", id, epoch)
	case 3:
		return fmt.Sprintf("heartbeat %d epoch=%d stop", id, epoch)
	case 4:
		return fmt.Sprintf("heartbeat %d epoch=%d offline=d%d", id, epoch, id)
	case 5:
		if r.IntN(3) == 0 {
			return fmt.Sprintf("unregister %d", id)
		}
	case 6:
		return fmt.Sprintf("heartbeat %d epoch=%d fence", id, epoch)
	}
	return fmt.Sprintf("heartbeat %d epoch=%d", id, epoch)
}

// partitionHolds tells what is wrong with a partition.
func partitionHolds(v *image.Image, t *image.Topic, p *image.Partition, configured string) error {
	most := 1
	if configured != "" {
		most = int(numbers(configured)[0])
	}
	minISR := min(most, len(p.Replicas))
	up := func(id protocol.BrokerID) bool {
		b, dir := v.Broker(id), p.Directories[slices.Index(p.Replicas, id)]
		return b != nil && b.Active() && (dir.IsZero() || slices.Contains(b.Dirs, dir)) // zero: not chosen yet
	}
	vouchers := p.ISR
	if len(vouchers) == 0 {
		vouchers = p.ELR
	}
	switch {
	case len(vouchers) == 0:
		return fmt.Errorf("nobody vouches for it")
	case slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), func(id protocol.BrokerID) bool { return !slices.Contains(p.Replicas, id) }):
		return fmt.Errorf("a stranger vouches for it")
	case slices.ContainsFunc(p.ELR, func(id protocol.BrokerID) bool { return slices.Contains(p.ISR, id) }):
		return fmt.Errorf("the ISR and the ELR overlap")
	case len(p.ELR) > 0 && len(p.ISR) >= minISR:
		return fmt.Errorf("there is an ELR, and the ISR is large enough")
	case p.Leader == protocol.NoBroker:
		if slices.ContainsFunc(vouchers, up) {
			return fmt.Errorf("nobody leads it, and somebody could")
		}
	case !slices.Contains(p.ISR, p.Leader):
		return fmt.Errorf("the leader is not in sync")
	case slices.ContainsFunc(p.ISR, func(id protocol.BrokerID) bool { return !up(id) }):
		return fmt.Errorf("it is led, and one in sync is down")
	}
	return nil
}
