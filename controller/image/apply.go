package image

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Apply is the image after the raft entry at the given offset and term, whose records are rs, and what they changed. i stays as it is.
// It cannot fail on records that were decided against i: one that does not fit is a bug, on this node or where it was decided, and panics.
func (i *Image) Apply(at protocol.Offset, term protocol.Term, rs []*record.Record) (*Image, *Delta) {
	e := i.edit(at, term)
	for _, r := range rs {
		e.apply(r)
	}
	return e.end()
}

// ApplyList is Apply for records as the log holds them (record.Encode), one in memory at a time. Errors are those of record.Each.
func (i *Image) ApplyList(at protocol.Offset, term protocol.Term, list []byte) (*Image, *Delta, error) {
	e := i.edit(at, term)
	if err := record.Each(list, e.apply); err != nil {
		return nil, nil, err
	}
	next, delta := e.end()
	return next, delta, nil
}

func (i *Image) edit(at protocol.Offset, term protocol.Term) *editor {
	return &editor{
		old: i, at: at,
		next: &Image{
			term: term, offset: at, clusterID: i.clusterID, controller: i.controller, partitions: i.partitions,
			brokers: i.brokers, controllers: i.controllers, features: i.features, producers: i.producers, assigned: i.assigned,
		},
		topics: edit(i.topics), byID: edit(i.byID), alike: edit(i.alike), configs: edit(i.configs),
	}
}

func (e *editor) end() (*Image, *Delta) {
	e.next.topics, e.next.byID, e.next.alike, e.next.configs = e.topics.table, e.byID.table, e.alike.table, e.configs.table
	return e.next, e.delta()
}

// editor is one Apply at work: the tables being changed, and who was touched.
type editor struct {
	old, next *Image
	at        protocol.Offset

	topics  tableEdit[string, *Topic]
	byID    tableEdit[protocol.TopicID, *Topic]
	alike   tableEdit[string, *Topic]
	configs tableEdit[resource, map[string]string]

	ownedTopics        map[protocol.TopicID]*Topic // copies (or new ones) that only this editor has
	deletedTopics      []*Topic                    // as they were in old
	ownedConfigs       map[resource]map[string]string
	touchedBrokers     map[protocol.BrokerID]struct{}
	touchedControllers map[protocol.BrokerID]struct{}
	last               *Topic // the topic of the record before: partitions come in runs
}

// apply keeps nothing of r but strings and pointers to scalars: it may be used again (record.Each).
func (e *editor) apply(r *record.Record) {
	switch k := r.Kind.(type) {
	case *record.Record_Cluster:
		e.next.clusterID = k.Cluster.Id
	case *record.Record_ControllerChange:
		e.next.controller = protocol.BrokerID(k.ControllerChange.NodeId)
	case *record.Record_FeatureLevel:
		e.feature(k.FeatureLevel)
	case *record.Record_BrokerRegistration:
		e.register(k.BrokerRegistration)
	case *record.Record_BrokerFencing:
		e.fence(k.BrokerFencing)
	case *record.Record_BrokerUnregistration:
		e.unregister(k.BrokerUnregistration)
	case *record.Record_ControllerRegistration:
		e.registerController(k.ControllerRegistration)
	case *record.Record_ControllerUnregistration:
		e.unregisterController(k.ControllerUnregistration)
	case *record.Record_NodeAssignment:
		e.assign(k.NodeAssignment)
	case *record.Record_Topic:
		e.createTopic(k.Topic)
	case *record.Record_Partition:
		e.createPartition(k.Partition)
	case *record.Record_PartitionChange:
		e.changePartition(k.PartitionChange)
	case *record.Record_TopicDeletion:
		e.deleteTopic(protocol.TopicID(k.TopicDeletion.TopicId))
	case *record.Record_Config:
		e.setConfig(k.Config)
	case *record.Record_ProducerIds:
		e.next.producers = protocol.ProducerID(k.ProducerIds.Next)
	default:
		e.bug("record of no known kind: %v", r)
	}
}

func (e *editor) bug(format string, args ...any) {
	panic(fmt.Sprintf("metadata image at offset %d: %s", e.at, fmt.Sprintf(format, args...)))
}

func (e *editor) feature(f *record.FeatureLevel) {
	m := maps.Clone(e.next.features)
	if m == nil {
		m = make(map[string]int16)
	}
	if f.Level == 0 {
		delete(m, f.Name)
	} else {
		m[f.Name] = int16(f.Level)
	}
	e.next.features = m
}

func (e *editor) setConfig(c *record.Config) {
	r := resource{config.Scope(c.ResourceType), c.ResourceName}
	m, owned := e.ownedConfigs[r]
	if !owned {
		if m = maps.Clone(e.configs.shard(r.hash())[r]); m == nil {
			m = make(map[string]string)
		}
		if e.ownedConfigs == nil {
			e.ownedConfigs = make(map[resource]map[string]string)
		}
		e.ownedConfigs[r] = m
	}
	if c.Value == nil {
		delete(m, c.Name)
	} else {
		m[c.Name] = *c.Value
	}
	if len(m) == 0 { // a resource without configs has no entry
		e.configs.remove(r.hash(), r)
		return
	}
	e.configs.set(r.hash(), r, m)
}

// ---- topics

func (e *editor) createTopic(k *record.Topic) {
	id, hash := protocol.TopicID(k.Id), maphash.String(seed, k.Name)
	if was := e.topics.shard(hash)[k.Name]; was != nil {
		e.bug("topic %s created, but it exists with id %v", k.Name, was.ID)
	}
	if was := e.byID.shard(hashID(id))[id]; was != nil {
		e.bug("topic %s created with the id of topic %s", k.Name, was.Name)
	}
	e.own(&Topic{Name: k.Name, ID: id, ReplicationChosen: k.ReplicationChosen})
}

// own puts a topic that only this editor has into the tables.
func (e *editor) own(t *Topic) {
	if e.ownedTopics == nil {
		e.ownedTopics = make(map[protocol.TopicID]*Topic)
	}
	e.ownedTopics[t.ID] = t
	e.topics.set(maphash.String(seed, t.Name), t.Name, t)
	e.byID.set(hashID(t.ID), t.ID, t)
	if key, ok := AlikeName(t.Name); ok {
		e.alike.set(maphash.String(seed, key), key, t)
	}
	e.last = t
}

// writable is the topic of that id, free to be changed.
func (e *editor) writable(id []byte) *Topic {
	if e.last != nil && string(e.last.ID[:]) == string(id) {
		return e.last
	}
	key := protocol.TopicID(id)
	if t := e.ownedTopics[key]; t != nil {
		e.last = t
		return t
	}
	t := e.byID.shard(hashID(key))[key]
	if t == nil {
		e.bug("no topic has the id %v", key)
	}
	copied := *t
	copied.Partitions = slices.Clone(t.Partitions)
	e.own(&copied)
	return &copied
}

func (e *editor) createPartition(k *record.Partition) {
	t := e.writable(k.TopicId)
	if int(k.Partition) != len(t.Partitions) {
		e.bug("partition %d of topic %s created, but it has %d", k.Partition, t.Name, len(t.Partitions))
	}
	p := Partition{
		Leader:         protocol.BrokerID(k.Leader),
		LeaderEpoch:    protocol.LeaderEpoch(k.LeaderEpoch),
		PartitionEpoch: protocol.PartitionEpoch(k.PartitionEpoch),
		Replicas:       brokerIDs(k.Replicas),
		ELR:            brokerIDs(k.Elr),
		LastKnownELR:   brokerIDs(k.LastKnownElr),
		Directories:    directoryIDs(k.Directories),
	}
	if p.ISR = p.Replicas; !slices.Equal(k.Isr, k.Replicas) {
		p.ISR = brokerIDs(k.Isr)
	}
	t.Partitions = append(t.Partitions, p)
	e.next.partitions++
}

func (e *editor) changePartition(k *record.PartitionChange) {
	t := e.writable(k.TopicId)
	if int(k.Partition) >= len(t.Partitions) {
		e.bug("partition %d of topic %s changed, but it has %d", k.Partition, t.Name, len(t.Partitions))
	}
	p := &t.Partitions[k.Partition]
	p.PartitionEpoch++
	if k.Leader != nil {
		p.Leader = protocol.BrokerID(*k.Leader)
		p.LeaderEpoch++
	}
	if k.Replicas != nil {
		p.Replicas = brokerIDs(k.Replicas.Ids)
	}
	if k.Isr != nil {
		p.ISR = brokerIDs(k.Isr.Ids)
	}
	if k.Elr != nil {
		p.ELR = brokerIDs(k.Elr.Ids)
	}
	if k.LastKnownElr != nil {
		p.LastKnownELR = brokerIDs(k.LastKnownElr.Ids)
	}
	if len(k.Directories) > 0 {
		p.Directories = directoryIDs(k.Directories)
	}
	if len(p.Directories) != len(p.Replicas) {
		e.bug("partition %d of topic %s has %d replicas and %d directories", k.Partition, t.Name, len(p.Replicas), len(p.Directories))
	}
}

func (e *editor) deleteTopic(id protocol.TopicID) {
	t := e.byID.shard(hashID(id))[id]
	if t == nil {
		e.bug("topic of id %v deleted, but there is none", id)
	}
	if was := e.old.TopicByID(id); was != nil {
		e.deletedTopics = append(e.deletedTopics, was)
	}
	e.next.partitions -= len(t.Partitions)
	e.topics.remove(maphash.String(seed, t.Name), t.Name)
	e.byID.remove(hashID(id), id)
	if key, ok := AlikeName(t.Name); ok {
		e.alike.remove(maphash.String(seed, key), key)
	}
	delete(e.ownedTopics, id)
	e.last = nil
	r := resource{config.Topic, t.Name}
	if _, ok := e.configs.shard(r.hash())[r]; ok {
		if e.ownedConfigs == nil {
			e.ownedConfigs = make(map[resource]map[string]string)
		}
		e.ownedConfigs[r] = make(map[string]string)
		e.configs.remove(r.hash(), r)
	}
}

// ---- what changed

func (e *editor) delta() *Delta {
	d := &Delta{
		Features:   !maps.Equal(e.old.features, e.next.features),
		Controller: e.old.controller != e.next.controller,
	}
	for _, t := range e.deletedTopics {
		d.Topics = append(d.Topics, TopicChange{Old: t})
	}
	for id, t := range e.ownedTopics {
		t.Partitions = slices.Clip(t.Partitions)
		d.Topics = append(d.Topics, TopicChange{Old: e.old.TopicByID(id), New: t})
	}
	for r, m := range e.ownedConfigs {
		if !maps.Equal(m, e.old.Config(r.scope, r.name)) {
			d.Configs = append(d.Configs, ConfigChange{r.scope, r.name})
		}
	}
	for id := range e.touchedBrokers {
		if was, is := e.old.Broker(id), e.next.Broker(id); was != is {
			d.Brokers = append(d.Brokers, BrokerChange{Old: was, New: is})
		}
	}
	for id := range e.touchedControllers {
		if was, is := e.old.Controller(id), e.next.Controller(id); was != is {
			d.Controllers = append(d.Controllers, ControllerChange{Old: was, New: is})
		}
	}
	d.sort()
	return d
}

func brokerIDs(ids []int32) []protocol.BrokerID {
	if len(ids) == 0 {
		return nil
	}
	out := make([]protocol.BrokerID, len(ids))
	for n, id := range ids {
		out[n] = protocol.BrokerID(id)
	}
	return out
}

func directoryIDs(b []byte) []protocol.DirectoryID {
	if len(b) == 0 {
		return nil
	}
	out := make([]protocol.DirectoryID, len(b)/16)
	for n := range out {
		out[n] = protocol.DirectoryID(b[16*n:])
	}
	return out
}
