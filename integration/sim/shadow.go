package sim

import (
	"fmt"
	"maps"
	"slices"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/config"
)

// shadow is what a subscriber knows who sees nothing but deltas: the hash of every topic, broker, controller and resource. Their sum stands for the state, in whatever order it came to be.
type shadow struct {
	topics      map[protocol.TopicID]uint64
	brokers     map[protocol.BrokerID]uint64
	controllers map[protocol.BrokerID]uint64
	configs     map[resource]uint64
	sum         uint64
}

type resource struct {
	scope config.Scope
	name  string
}

func newShadow() shadow {
	return shadow{
		topics: map[protocol.TopicID]uint64{}, brokers: map[protocol.BrokerID]uint64{}, controllers: map[protocol.BrokerID]uint64{}, configs: map[resource]uint64{},
	}
}

// shadowOf is that of an image as a whole.
func shadowOf(img *image.Image) (uint64, error) {
	s := newShadow()
	err := s.apply(image.Diff(image.Empty(), img), img)
	return s.sum ^ scalars(img), err
}

// apply follows a delta, after which the image is img. An error says that the delta does not lead from where the shadow is.
func (s *shadow) apply(d *image.Delta, img *image.Image) error {
	for _, c := range d.Topics {
		if c.Old != nil && s.topics[c.Old.ID] != topicHash(c.Old) {
			return fmt.Errorf("DeltasLeadFromImageToImage: at offset %d topic %s was not what the delta says", img.Offset(), c.Name())
		}
		if c.Old == nil && s.topics[c.New.ID] != 0 {
			return fmt.Errorf("DeltasLeadFromImageToImage: at offset %d topic %s was there before", img.Offset(), c.Name())
		}
		var h uint64
		if c.New != nil {
			h = topicHash(c.New)
		}
		put(s.topics, c.ID(), h, &s.sum)
	}
	for _, c := range d.Brokers {
		var h uint64
		id := protocol.BrokerID(0)
		if c.New != nil {
			h, id = brokerHash(c.New), c.New.ID
		} else {
			id = c.Old.ID
		}
		if c.Old != nil && s.brokers[id] != brokerHash(c.Old) || c.Old == nil && s.brokers[id] != 0 {
			return fmt.Errorf("DeltasLeadFromImageToImage: at offset %d broker %d was not what the delta says", img.Offset(), id)
		}
		put(s.brokers, id, h, &s.sum)
	}
	for _, c := range d.Controllers {
		var was, h uint64
		var id protocol.BrokerID
		if c.Old != nil {
			was, id = controllerHash(c.Old), c.Old.ID
		}
		if c.New != nil {
			h, id = controllerHash(c.New), c.New.ID
		}
		if s.controllers[id] != was {
			return fmt.Errorf("DeltasLeadFromImageToImage: at offset %d controller %d was not what the delta says", img.Offset(), id)
		}
		put(s.controllers, id, h, &s.sum)
	}
	for _, c := range d.Configs {
		put(s.configs, resource{c.Scope, c.Name}, configHash(c.Scope, c.Name, img.Config(c.Scope, c.Name)), &s.sum)
	}
	return nil
}

// put sets one part, 0 for none, and keeps the sum.
func put[K comparable](parts map[K]uint64, k K, h uint64, sum *uint64) {
	*sum += h - parts[k]
	if h == 0 {
		delete(parts, k)
	} else {
		parts[k] = h
	}
}

// hasher mixes numbers and strings.
type hasher uint64

func (h *hasher) number(v uint64) {
	x := uint64(*h) ^ v
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	*h = hasher(x ^ x>>29)
}

func (h *hasher) text(s string) {
	h.number(uint64(len(s)))
	for len(s) >= 8 {
		h.number(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	for i := range len(s) {
		h.number(uint64(s[i]))
	}
}

func (h *hasher) id(id protocol.ID) { h.text(string(id[:])) }

// done is never 0: that is nothing.
func (h *hasher) done() uint64 { return uint64(*h) | 1 }

func numbers[T ~int32](h *hasher, list []T) {
	h.number(uint64(len(list)))
	for _, v := range list {
		h.number(uint64(uint32(v)))
	}
}

func topicHash(t *image.Topic) uint64 {
	h := hasher(1)
	h.text(t.Name)
	h.id(t.ID)
	if t.ReplicationChosen {
		h.number(7)
	}
	for n := range t.Partitions {
		p := &t.Partitions[n]
		h.number(uint64(uint32(p.Leader)))
		h.number(uint64(uint32(p.LeaderEpoch)))
		h.number(uint64(uint32(p.PartitionEpoch)))
		numbers(&h, p.Replicas)
		numbers(&h, p.ISR)
		numbers(&h, p.ELR)
		numbers(&h, p.LastKnownELR)
		for _, id := range p.Directories {
			h.id(id)
		}
	}
	return h.done()
}

func brokerHash(b *image.Broker) uint64 {
	h := hasher(2)
	h.number(uint64(uint32(b.ID)))
	h.number(uint64(b.Epoch))
	h.id(b.Incarnation)
	h.text(b.Host)
	h.number(uint64(uint32(b.Port)))
	endpoints(&h, b.Endpoints)
	if b.Rack != nil {
		h.text(*b.Rack)
	}
	if b.Fenced {
		h.number(3)
	}
	if b.InControlledShutdown {
		h.number(5)
	}
	for _, id := range b.Dirs {
		h.id(id)
	}
	features(&h, b.Features)
	return h.done()
}

func controllerHash(c *image.Controller) uint64 {
	h := hasher(6)
	h.number(uint64(uint32(c.ID)))
	h.number(c.RaftID)
	h.id(c.Directory)
	endpoints(&h, c.Endpoints)
	features(&h, c.Features)
	return h.done()
}

func endpoints(h *hasher, list []image.Endpoint) {
	for _, e := range list {
		h.text(e.Listener)
		h.text(e.Host)
		h.number(uint64(uint32(e.Port))<<16 | uint64(uint16(e.SecurityProtocol)))
	}
}

func features(h *hasher, ranges map[string]image.FeatureRange) {
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		h.text(name)
		h.number(uint64(uint16(ranges[name].Min))<<16 | uint64(uint16(ranges[name].Max)))
	}
}

func configHash(scope config.Scope, name string, set map[string]string) uint64 {
	if len(set) == 0 {
		return 0
	}
	h := hasher(3)
	h.number(uint64(scope))
	h.text(name)
	for _, k := range slices.Sorted(maps.Keys(set)) {
		h.text(k)
		h.text(set[k])
	}
	return h.done()
}

// scalars is what no delta has parts of.
func scalars(img *image.Image) uint64 {
	h := hasher(4)
	h.text(img.ClusterID())
	h.number(uint64(uint32(img.ControllerID())))
	h.number(uint64(img.NextProducerID()))
	h.number(uint64(img.Term()))
	for name, level := range img.Features() {
		h.text(name)
		h.number(uint64(uint16(level)))
	}
	return h.done()
}
