package placement

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

func cluster(r *rand.Rand) []Broker {
	racks, brokers := 1+r.IntN(4), make([]Broker, 1+r.IntN(12))
	for n := range brokers {
		brokers[n] = Broker{ID: protocol.BrokerID(n * 3), Fenced: n > 0 && r.IntN(5) == 0}
		if rack := r.IntN(racks); rack > 0 {
			brokers[n].Rack = fmt.Sprint("rack", rack)
		}
	}
	return brokers
}

func TestPlaceProperties(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		brokers := cluster(r)
		factor, partitions := 1+r.IntN(len(brokers)), r.IntN(40)
		placed, err := Place(brokers, partitions, factor, rand.New(rand.NewPCG(seed, 2)))
		if err != nil || len(placed) != partitions {
			t.Fatalf("seed %d: %d placed: %v", seed, len(placed), err)
		}
		byID, unfenced, racks := map[protocol.BrokerID]Broker{}, 0, map[string]bool{}
		for _, b := range brokers {
			byID[b.ID] = b
			if !b.Fenced {
				unfenced++
				racks[b.Rack] = true
			}
		}
		leads := map[protocol.BrokerID]int{}
		for _, replicas := range placed {
			leads[replicas[0]]++
			if err := wellPlaced(replicas, byID, factor, unfenced, len(racks)); err != nil {
				t.Fatalf("seed %d: factor %d of %v: %v: %v", seed, factor, brokers, replicas, err)
			}
		}
		for _, b := range brokers {
			if n := leads[b.ID]; !b.Fenced && (n < partitions/unfenced || n > (partitions+unfenced-1)/unfenced) {
				t.Fatalf("seed %d: broker %d leads %d of %d partitions among %d brokers", seed, b.ID, n, partitions, unfenced)
			}
		}
	}
}

// wellPlaced checks one partition: distinct brokers, an unfenced leader, fenced brokers only where they must, as many racks as can be.
func wellPlaced(replicas []protocol.BrokerID, byID map[protocol.BrokerID]Broker, factor, unfenced, racks int) error {
	if len(replicas) != factor {
		return errors.New("wrong count")
	}
	seen, live := map[string]bool{}, 0
	for n, id := range replicas {
		if slices.Contains(replicas[:n], id) {
			return errors.New("twice on one broker")
		}
		if !byID[id].Fenced {
			live++
			seen[byID[id].Rack] = true
		}
	}
	switch {
	case byID[replicas[0]].Fenced:
		return errors.New("led by a fenced broker")
	case live != min(factor, unfenced):
		return errors.New("a fenced broker where another would do")
	case len(seen) != min(factor, racks):
		return errors.New("racks left out")
	}
	return nil
}

func TestPlaceIsDeterministic(t *testing.T) {
	brokers := cluster(rand.New(rand.NewPCG(7, 7)))
	one, _ := Place(brokers, 20, 1, rand.New(rand.NewPCG(1, 1)))
	slices.Reverse(brokers)
	two, _ := Place(brokers, 20, 1, rand.New(rand.NewPCG(1, 1)))
	if !reflect.DeepEqual(one, two) {
		t.Fatalf("%v\n%v", one, two)
	}
}

func TestFollowersAreSpread(t *testing.T) {
	var brokers []Broker
	for n := range 6 {
		brokers = append(brokers, Broker{ID: protocol.BrokerID(n), Rack: fmt.Sprint(n % 3)})
	}
	placed, err := Place(brokers, 6000, 3, rand.New(rand.NewPCG(3, 3)))
	if err != nil {
		t.Fatal(err)
	}
	pairs := map[[2]protocol.BrokerID]int{}
	for _, replicas := range placed {
		for _, f := range replicas[1:] {
			pairs[[2]protocol.BrokerID{replicas[0], f}]++
		}
	}
	for pair, n := range pairs { // 6000 leaders × 2 followers over 6 × 4 pairs is 500 each
		if n < 350 || n > 650 {
			t.Errorf("broker %d follows %d in %d partitions", pair[1], pair[0], n)
		}
	}
}

func TestPlaceRefuses(t *testing.T) {
	for _, c := range []struct {
		brokers []Broker
		factor  int
		want    string
	}{
		{[]Broker{{ID: 1}}, 0, "Invalid replication factor 0: the replication factor must be positive."},
		{nil, 1, "All brokers are currently fenced, or have all their log directories cordoned."},
		{[]Broker{{ID: 1, Fenced: true}}, 1, "All brokers are currently fenced, or have all their log directories cordoned."},
		{[]Broker{{ID: 1}, {ID: 2}}, 3, "The target replication factor of 3 cannot be reached because only 2 broker(s) are registered or some brokers have all their log directories cordoned."},
	} {
		_, err := Place(c.brokers, 1, c.factor, rand.New(rand.NewPCG(0, 0)))
		if !errors.Is(err, kerr.InvalidReplicationFactor) || err.Error() != c.want {
			t.Errorf("%v factor %d: %v", c.brokers, c.factor, err)
		}
	}
}
