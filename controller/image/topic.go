package image

import "ottla/protocol"

// Topic is one topic. Immutable.
type Topic struct {
	Name string
	ID   protocol.TopicID
	// Partitions by number; a topic has at least one.
	Partitions []Partition
	// ReplicationChosen says that the replication factor was left to the cluster, which may raise it when nodes join.
	ReplicationChosen bool
}

// Partition is one partition's state, as the quorum agreed on it.
type Partition struct {
	Leader         protocol.BrokerID // NoBroker: offline
	LeaderEpoch    protocol.LeaderEpoch
	PartitionEpoch protocol.PartitionEpoch
	Replicas       []protocol.BrokerID // the preferred leader first
	ISR            []protocol.BrokerID
	ELR            []protocol.BrokerID // eligible leader replicas: out of the ISR, yet known to hold what is committed (KIP-966)
	LastKnownELR   []protocol.BrokerID
	// Directories holds each replica's log directory, in the order of Replicas; zero while the broker has not chosen one (KIP-858).
	Directories []protocol.DirectoryID
}

// Broker is one registered broker. Immutable.
type Broker struct {
	ID          protocol.BrokerID
	Epoch       protocol.BrokerEpoch
	Incarnation protocol.ID
	Host        string // of the first endpoint, with Port: where clients and other nodes reach it
	Port        int32
	Endpoints   []Endpoint
	Rack        *string // nil: none
	Fenced      bool
	// InControlledShutdown says that the broker is about to stop: it answers, but is to lead nothing and to be in no ISR.
	InControlledShutdown bool
	Dirs                 []protocol.DirectoryID // log directories that are online
	Features             map[string]FeatureRange
}

// Active tells whether the broker may lead, and be in an ISR.
func (b *Broker) Active() bool { return !b.Fenced && !b.InControlledShutdown }

// Controller is one registered node of the role controller: a voter of the metadata quorum, or one that may become a voter. Immutable.
type Controller struct {
	ID        protocol.BrokerID
	RaftID    uint64               // its id in the quorum, for as long as it has this directory
	Directory protocol.DirectoryID // where its metadata log lies
	Endpoints []Endpoint
	Features  map[string]FeatureRange
}

// Endpoint is one listener's address.
type Endpoint struct {
	Listener         string
	Host             string
	Port             int32
	SecurityProtocol int16 // Kafka's code
}

// FeatureRange is what a broker's build understands of a feature, both ends inclusive.
type FeatureRange struct{ Min, Max int16 }
