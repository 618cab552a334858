package image

import (
	"slices"

	"ottla/controller/record"
	"ottla/protocol"
)

func (e *editor) register(k *record.BrokerRegistration) {
	b := &Broker{
		ID:          protocol.BrokerID(k.Id),
		Epoch:       protocol.BrokerEpoch(e.at),
		Incarnation: protocol.ID(k.IncarnationId),
		Rack:        k.Rack,
		Fenced:      k.Fenced,

		InControlledShutdown: k.InControlledShutdown,
		Dirs:                 directoryIDs(k.Directories),
	}
	if was := e.next.Broker(b.ID); k.Epoch != nil {
		b.Epoch = protocol.BrokerEpoch(*k.Epoch)
	} else if was != nil && was.Incarnation == b.Incarnation {
		b.Epoch = was.Epoch
	}
	b.Endpoints, b.Features = endpoints(k.Endpoints), featureRanges(k.Features)
	if len(b.Endpoints) > 0 {
		b.Host, b.Port = b.Endpoints[0].Host, b.Endpoints[0].Port
	}
	e.putBroker(b)
}

func endpoints(list []*record.Endpoint) (out []Endpoint) {
	for _, p := range list {
		out = append(out, Endpoint{Listener: p.Name, Host: p.Host, Port: int32(p.Port), SecurityProtocol: int16(p.SecurityProtocol)})
	}
	return out
}

func featureRanges(list []*record.FeatureRange) map[string]FeatureRange {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]FeatureRange, len(list))
	for _, f := range list {
		out[f.Name] = FeatureRange{Min: int16(f.Min), Max: int16(f.Max)}
	}
	return out
}

func (e *editor) fence(k *record.BrokerFencing) {
	b := *e.incarnation(k.Id, k.Epoch)
	b.Fenced, b.InControlledShutdown = k.Fenced, k.InControlledShutdown
	e.putBroker(&b)
}

func (e *editor) unregister(k *record.BrokerUnregistration) {
	b := e.incarnation(k.Id, k.Epoch)
	n, _ := e.next.searchBroker(b.ID)
	e.next.brokers = slices.Delete(slices.Clone(e.next.brokers), n, n+1)
	touch(&e.touchedBrokers, b.ID)
}

// incarnation is the registered broker that a record means.
func (e *editor) incarnation(id int32, epoch int64) *Broker {
	b := e.next.Broker(protocol.BrokerID(id))
	if b == nil || b.Epoch != protocol.BrokerEpoch(epoch) {
		e.bug("broker %d with epoch %d is not registered", id, epoch)
	}
	return b
}

func (e *editor) putBroker(b *Broker) {
	n, found := e.next.searchBroker(b.ID)
	e.next.brokers = put(e.next.brokers, n, found, b)
	touch(&e.touchedBrokers, b.ID)
}

// put is a copy of list with v at n: in the place of what is there if found, else before it.
func put[T any](list []T, n int, found bool, v T) []T {
	list = slices.Clone(list)
	if !found {
		return slices.Insert(list, n, v)
	}
	list[n] = v
	return list
}

func touch(touched *map[protocol.BrokerID]struct{}, id protocol.BrokerID) {
	if *touched == nil {
		*touched = make(map[protocol.BrokerID]struct{})
	}
	(*touched)[id] = struct{}{}
}
