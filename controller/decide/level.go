package decide

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// Supported is the features that this build knows, with the levels it understands: what a node registers, and what UpdateFeatures may finalize. A feature is here
// once all of it is built: clients change their ways when they see it.
func Supported() map[string]image.FeatureRange {
	return map[string]image.FeatureRange{record.Feature: {Min: record.MinLevel, Max: record.MaxLevel}}
}

// Founding is the levels that a new cluster begins with.
func Founding() map[string]int16 {
	return map[string]int16{record.Feature: record.MaxLevel}
}

// RaiseFormat raises the finalized level of metadata records to the highest one that all registered nodes read, brokers that are down included; nil if that is
// the level already. It never lowers it.
func RaiseFormat(v *image.Image) []*record.Record {
	level := record.MaxLevel
	for _, b := range v.Brokers() {
		level = min(level, rangeOf(record.Feature, b.Features).Max)
	}
	for _, c := range v.Controllers() {
		level = min(level, rangeOf(record.Feature, c.Features).Max)
	}
	if level <= v.MetadataLevel() || len(v.Brokers())+len(v.Controllers()) == 0 {
		return nil
	}
	return []*record.Record{record.Of(&record.FeatureLevel{Name: record.Feature, Level: int32(level)})}
}

// rangeOf is what a node that registered these ranges understands of a feature. One that says nothing about metadata records was built before there were levels.
func rangeOf(feature string, ranges map[string]image.FeatureRange) image.FeatureRange {
	r, told := ranges[feature]
	if !told && feature == record.Feature {
		r = image.FeatureRange{Min: record.MinLevel, Max: record.MinLevel}
	}
	return r
}

// checkLevel refuses records that a node of this cluster may not be able to read.
func (d *decision) checkLevel() error {
	allowed := d.view.MetadataLevel()
	for _, r := range d.records {
		if level := record.Level(r); level > allowed {
			return protocol.Errorf(kerr.UnsupportedVersion, "This needs level %d of %s, and the cluster is at level %d: a node of an earlier version is registered.",
				level, record.Feature, allowed)
		}
	}
	return nil
}
