package record

import (
	"fmt"
	"math"
)

// check refuses a record whose shape no build of ours writes, so that image may convert without looking.
func check(r *Record) error {
	switch k := r.Kind.(type) {
	case *Record_FeatureLevel:
		return within("level", k.FeatureLevel.Level, 0, math.MaxInt16)
	case *Record_BrokerRegistration:
		return checkRegistration(k.BrokerRegistration)
	case *Record_ControllerRegistration:
		c := k.ControllerRegistration
		return first(id("directory id", c.DirectoryId), checkEndpoints(c.Endpoints), checkFeatures(c.Features))
	case *Record_NodeAssignment:
		return id("directory id", k.NodeAssignment.DirectoryId)
	case *Record_Topic:
		return id("topic id", k.Topic.Id)
	case *Record_Partition:
		return checkPartition(k.Partition)
	case *Record_PartitionChange:
		return checkChange(k.PartitionChange)
	case *Record_TopicDeletion:
		return id("topic id", k.TopicDeletion.TopicId)
	case *Record_Config:
		return within("resource type", k.Config.ResourceType, 0, math.MaxInt8)
	}
	return nil // nothing in it can be wrong
}

func checkRegistration(b *BrokerRegistration) error {
	return first(id("incarnation id", b.IncarnationId), ids("directories", b.Directories), checkEndpoints(b.Endpoints), checkFeatures(b.Features))
}

func checkEndpoints(list []*Endpoint) error {
	for _, e := range list {
		if err := first(within("port", int32(min(e.Port, math.MaxInt32)), 0, math.MaxUint16),
			within("security protocol", e.SecurityProtocol, 0, math.MaxInt16)); err != nil {
			return err
		}
	}
	return nil
}

func checkFeatures(list []*FeatureRange) error {
	for _, f := range list {
		if err := first(within("feature minimum", f.Min, 0, math.MaxInt16), within("feature maximum", f.Max, 0, math.MaxInt16)); err != nil {
			return err
		}
	}
	return nil
}

func checkPartition(p *Partition) error {
	return first(id("topic id", p.TopicId), within("partition", p.Partition, 0, math.MaxInt32), paired(len(p.Directories), len(p.Replicas)))
}

func checkChange(p *PartitionChange) error {
	if err := first(id("topic id", p.TopicId), within("partition", p.Partition, 0, math.MaxInt32), ids("directories", p.Directories)); err != nil {
		return err
	}
	if p.Replicas != nil {
		if err := paired(len(p.Directories), len(p.Replicas.Ids)); err != nil {
			return err
		}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func id(what string, b []byte) error {
	if len(b) != 16 {
		return fmt.Errorf("%s of %d bytes: %w", what, len(b), ErrMalformed)
	}
	return nil
}

func ids(what string, b []byte) error {
	if len(b)%16 != 0 {
		return fmt.Errorf("%s of %d bytes: %w", what, len(b), ErrMalformed)
	}
	return nil
}

func paired(directories, replicas int) error {
	if directories != 16*replicas {
		return fmt.Errorf("%d bytes of directories for %d replicas: %w", directories, replicas, ErrMalformed)
	}
	return nil
}

func within(what string, v, lowest, highest int32) error {
	if v < lowest || v > highest {
		return fmt.Errorf("%s %d: %w", what, v, ErrMalformed)
	}
	return nil
}
