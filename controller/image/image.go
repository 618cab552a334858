package image

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Image is the cluster's state after the record at Offset.
type Image struct {
	offset     protocol.Offset
	term       protocol.Term
	clusterID  string
	controller protocol.BrokerID

	topics      table[string, *Topic]
	byID        table[protocol.TopicID, *Topic]
	alike       table[string, *Topic] // names with '.' or '_' in them, by what Kafka makes of both in metric names
	partitions  int
	configs     table[resource, map[string]string]
	brokers     []*Broker     // sorted by id
	controllers []*Controller // sorted by id
	features    map[string]int16
	producers   protocol.ProducerID // the next one not given out
	assigned    map[protocol.BrokerID]protocol.DirectoryID

	// byName is made by the first reader who wants it: a cache, no state.
	byName atomic.Pointer[[]*Topic]
}

// resource is what configs belong to.
type resource struct {
	scope config.Scope
	name  string
}

// Empty is the image before the first record.
func Empty() *Image {
	return &Image{offset: protocol.NoOffset, controller: protocol.NoBroker}
}

// Offset is that of the last raft entry applied; -1 before the first.
func (i *Image) Offset() protocol.Offset { return i.offset }

// Term is the raft term of the entry at Offset.
func (i *Image) Term() protocol.Term { return i.term }

// ClusterID is empty before the bootstrap record.
func (i *Image) ClusterID() string { return i.clusterID }

// ControllerID is the node that leads the metadata quorum, as far as this image knows; NoBroker at first.
func (i *Image) ControllerID() protocol.BrokerID { return i.controller }

// NextProducerID is the first producer id not handed to a broker yet.
func (i *Image) NextProducerID() protocol.ProducerID { return i.producers }

// Feature is the finalized level of a feature; 0 is off.
func (i *Image) Feature(name string) int16 { return i.features[name] }

// MetadataLevel is the level of records that may be written (record.Feature).
func (i *Image) MetadataLevel() int16 { return max(record.MinLevel, i.features[record.Feature]) }

// Features goes through the finalized features of level 1 and up, by name.
func (i *Image) Features() iter.Seq2[string, int16] {
	return func(yield func(string, int16) bool) {
		for _, name := range sortedKeys(i.features) {
			if !yield(name, i.features[name]) {
				return
			}
		}
	}
}

// Topic finds a topic by name; nil if there is none.
func (i *Image) Topic(name string) *Topic {
	return i.topics.shard(maphash.String(seed, name))[name]
}

// TopicNamed is Topic for a name that lies in a frame. It allocates nothing and does not keep name.
func (i *Image) TopicNamed(name []byte) *Topic {
	return i.topics.shard(maphash.Bytes(seed, name))[string(name)]
}

// TopicByID finds a topic by id; nil if there is none.
func (i *Image) TopicByID(id protocol.TopicID) *Topic {
	return i.byID.shard(hashID(id))[id]
}

// Colliding finds a topic of another name that differs from the given one in '.' and '_' only: Kafka's metric names cannot tell the two apart. nil if there is none.
func (i *Image) Colliding(name string) *Topic {
	key, ok := AlikeName(name)
	if !ok {
		return nil
	}
	if t := i.alike.shard(maphash.String(seed, key))[key]; t != nil && t.Name != name {
		return t
	}
	return nil
}

// AlikeName is the form that colliding names have in common; false if the name cannot collide.
func AlikeName(name string) (string, bool) {
	if strings.IndexByte(name, '.') < 0 {
		return name, strings.IndexByte(name, '_') >= 0
	}
	return strings.ReplaceAll(name, ".", "_"), true
}

// Partition finds a partition by topic id and number; nil if there is none.
func (i *Image) Partition(id protocol.TopicID, partition int32) *Partition {
	t := i.TopicByID(id)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return nil
	}
	return &t.Partitions[partition]
}

// Topics goes through all topics by name.
func (i *Image) Topics() iter.Seq[*Topic] { return slices.Values(i.sortedTopics()) }

func (i *Image) sortedTopics() []*Topic {
	if s := i.byName.Load(); s != nil {
		return *s
	}
	s := make([]*Topic, 0, i.topics.count)
	for _, t := range i.topics.all() {
		s = append(s, t)
	}
	slices.SortFunc(s, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	i.byName.Store(&s) // two readers at once make the same slice twice: harmless
	return s
}

// TopicCount is how many topics there are.
func (i *Image) TopicCount() int { return i.topics.count }

// PartitionCount is how many partitions all topics have.
func (i *Image) PartitionCount() int { return i.partitions }

// Brokers is every registered broker, fenced ones too, by id. Not to be modified.
func (i *Image) Brokers() []*Broker { return i.brokers }

// Broker finds a broker by id; nil if it is not registered.
func (i *Image) Broker(id protocol.BrokerID) *Broker {
	if n, ok := i.searchBroker(id); ok {
		return i.brokers[n]
	}
	return nil
}

func (i *Image) searchBroker(id protocol.BrokerID) (int, bool) {
	return sort.Find(len(i.brokers), func(n int) int { return cmp.Compare(id, i.brokers[n].ID) })
}

// Controllers is every registered controller, by id. Not to be modified.
func (i *Image) Controllers() []*Controller { return i.controllers }

// Controller finds a controller by node id; nil if it is not registered.
func (i *Image) Controller(id protocol.BrokerID) *Controller {
	if n, ok := i.searchController(id); ok {
		return i.controllers[n]
	}
	return nil
}

func (i *Image) searchController(id protocol.BrokerID) (int, bool) {
	return sort.Find(len(i.controllers), func(n int) int { return cmp.Compare(id, i.controllers[n].ID) })
}

// Assigned is the directory that a node id was bound to when its node joined, registered or not by now; false if nobody has joined under it.
func (i *Image) Assigned(id protocol.BrokerID) (protocol.DirectoryID, bool) {
	directory, ok := i.assigned[id]
	return directory, ok
}

// AssignedTo is the node id that is bound to a directory; false if none is.
func (i *Image) AssignedTo(directory protocol.DirectoryID) (protocol.BrokerID, bool) {
	for id, d := range i.assigned {
		if d == directory {
			return id, true
		}
	}
	return protocol.NoBroker, false
}

// Config is what is set for a topic, a broker ("" is the cluster default) or a group; nil if nothing is. Not to be modified.
func (i *Image) Config(scope config.Scope, name string) map[string]string {
	r := resource{scope, name}
	return i.configs.shard(r.hash())[r]
}

func (r resource) hash() uint64 { return maphash.String(seed, r.name) + uint64(r.scope) }

func hashID(id protocol.ID) uint64 { return maphash.Bytes(seed, id[:]) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
