package image

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"ottla/controller/record"
	"ottla/protocol"
)

// Snapshot is a list of records that make an equal image out of Empty when applied at this offset and term, in one Apply or in several (record.Split).
// Equal images give equal records.
func (i *Image) Snapshot() []*record.Record {
	rs := make([]*record.Record, 0, 4+len(i.assigned)+len(i.features)+len(i.brokers)+len(i.controllers)+i.topics.count+i.partitions+i.configs.count)
	if i.clusterID != "" {
		rs = append(rs, record.Of(&record.Cluster{Id: i.clusterID}))
	}
	if i.controller != protocol.NoBroker {
		rs = append(rs, record.Of(&record.ControllerChange{NodeId: int32(i.controller)}))
	}
	for name, level := range i.Features() {
		rs = append(rs, record.Of(&record.FeatureLevel{Name: name, Level: int32(level)}))
	}
	for _, b := range i.brokers {
		rs = append(rs, record.Of(b.Registration()))
	}
	for _, c := range i.controllers {
		rs = append(rs, record.Of(c.record()))
	}
	for _, id := range slices.Sorted(maps.Keys(i.assigned)) {
		directory := i.assigned[id]
		rs = append(rs, record.Of(&record.NodeAssignment{NodeId: int32(id), DirectoryId: directory[:]}))
	}
	if i.producers != 0 {
		rs = append(rs, record.Of(&record.ProducerIDs{Next: int64(i.producers), BrokerId: int32(protocol.NoBroker), BrokerEpoch: -1}))
	}
	for t := range i.Topics() {
		rs = t.appendRecords(rs)
	}
	return i.appendConfigs(rs)
}

func (t *Topic) appendRecords(rs []*record.Record) []*record.Record {
	id := t.ID[:]
	rs = append(rs, record.Of(&record.Topic{Name: t.Name, Id: id, ReplicationChosen: t.ReplicationChosen}))
	for n := range t.Partitions {
		p := &t.Partitions[n]
		rs = append(rs, record.Of(&record.Partition{
			TopicId: id, Partition: int32(n), Replicas: int32s(p.Replicas), Directories: idBytes(p.Directories), Isr: int32s(p.ISR),
			Leader: int32(p.Leader), LeaderEpoch: int32(p.LeaderEpoch), PartitionEpoch: int32(p.PartitionEpoch),
			Elr: int32s(p.ELR), LastKnownElr: int32s(p.LastKnownELR),
		}))
	}
	return rs
}

// Registration is the record that registers the broker as it is.
func (b *Broker) Registration() *record.BrokerRegistration {
	epoch := int64(b.Epoch)
	return &record.BrokerRegistration{
		Id: int32(b.ID), IncarnationId: b.Incarnation[:], Epoch: &epoch, Rack: b.Rack, Directories: idBytes(b.Dirs), Fenced: b.Fenced,
		InControlledShutdown: b.InControlledShutdown, Endpoints: endpointRecords(b.Endpoints), Features: featureRecords(b.Features),
	}
}

func (c *Controller) record() *record.ControllerRegistration {
	return &record.ControllerRegistration{
		NodeId: int32(c.ID), RaftId: c.RaftID, DirectoryId: c.Directory[:], Endpoints: endpointRecords(c.Endpoints), Features: featureRecords(c.Features),
	}
}

func endpointRecords(list []Endpoint) (out []*record.Endpoint) {
	for _, p := range list {
		out = append(out, &record.Endpoint{Name: p.Listener, Host: p.Host, Port: uint32(p.Port), SecurityProtocol: int32(p.SecurityProtocol)})
	}
	return out
}

func featureRecords(ranges map[string]FeatureRange) (out []*record.FeatureRange) {
	for _, name := range sortedKeys(ranges) {
		out = append(out, &record.FeatureRange{Name: name, Min: int32(ranges[name].Min), Max: int32(ranges[name].Max)})
	}
	return out
}

func (i *Image) appendConfigs(rs []*record.Record) []*record.Record {
	resources := make([]resource, 0, i.configs.count)
	for r := range i.configs.all() {
		resources = append(resources, r)
	}
	slices.SortFunc(resources, func(a, b resource) int {
		return cmp.Or(cmp.Compare(a.scope, b.scope), strings.Compare(a.name, b.name))
	})
	for _, r := range resources {
		set := i.Config(r.scope, r.name)
		for _, name := range sortedKeys(set) {
			value := set[name]
			rs = append(rs, record.Of(&record.Config{ResourceType: int32(r.scope), ResourceName: r.name, Name: name, Value: &value}))
		}
	}
	return rs
}

func int32s(ids []protocol.BrokerID) []int32 {
	if len(ids) == 0 {
		return nil
	}
	out := make([]int32, len(ids))
	for n, id := range ids {
		out[n] = int32(id)
	}
	return out
}

func idBytes(ids []protocol.ID) []byte {
	out := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		out = append(out, id[:]...)
	}
	return out
}
