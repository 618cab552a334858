package record

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Of wraps one kind of record: Of(&Topic{…}). Anything that is not a kind is a bug and panics.
func Of(kind proto.Message) *Record {
	switch k := kind.(type) {
	case *Cluster:
		return &Record{Kind: &Record_Cluster{k}}
	case *ControllerChange:
		return &Record{Kind: &Record_ControllerChange{k}}
	case *FeatureLevel:
		return &Record{Kind: &Record_FeatureLevel{k}}
	case *BrokerRegistration:
		return &Record{Kind: &Record_BrokerRegistration{k}}
	case *BrokerFencing:
		return &Record{Kind: &Record_BrokerFencing{k}}
	case *BrokerUnregistration:
		return &Record{Kind: &Record_BrokerUnregistration{k}}
	case *Topic:
		return &Record{Kind: &Record_Topic{k}}
	case *Partition:
		return &Record{Kind: &Record_Partition{k}}
	case *PartitionChange:
		return &Record{Kind: &Record_PartitionChange{k}}
	case *TopicDeletion:
		return &Record{Kind: &Record_TopicDeletion{k}}
	case *Config:
		return &Record{Kind: &Record_Config{k}}
	case *ProducerIDs:
		return &Record{Kind: &Record_ProducerIds{k}}
	case *ControllerRegistration:
		return &Record{Kind: &Record_ControllerRegistration{k}}
	case *NodeAssignment:
		return &Record{Kind: &Record_NodeAssignment{k}}
	case *ControllerUnregistration:
		return &Record{Kind: &Record_ControllerUnregistration{k}}
	}
	panic(fmt.Sprintf("record: %T is no kind of metadata record", kind))
}
