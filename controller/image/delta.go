package image

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"ottla/protocol"
	"ottla/protocol/config"
)

// Delta is what one Apply changed, or what two images differ in. Its lists are sorted, so that whoever works through it does so in the same order
// every time.
type Delta struct {
	Topics      []TopicChange      // by name; of one name a deletion before a creation
	Configs     []ConfigChange     // by scope and name
	Brokers     []BrokerChange     // by id
	Controllers []ControllerChange // by node id
	Features    bool               // a finalized feature changed
	// Controller says that another node leads the quorum.
	Controller bool
}

// Empty tells whether nothing changed that anybody follows.
func (d *Delta) Empty() bool {
	return len(d.Topics) == 0 && len(d.Configs) == 0 && len(d.Brokers) == 0 && len(d.Controllers) == 0 && !d.Features && !d.Controller
}

// TopicChange is a topic created (Old is nil), deleted (New is nil) or changed in its partitions. A topic deleted and created again under the same name
// is two changes.
type TopicChange struct{ Old, New *Topic }

// ConfigChange names a resource whose configs are not what they were.
type ConfigChange struct {
	Scope config.Scope
	Name  string
}

// BrokerChange is a broker registered (Old is nil), unregistered (New is nil) or changed.
type BrokerChange struct{ Old, New *Broker }

// ControllerChange is a controller registered (Old is nil), unregistered (New is nil) or changed.
type ControllerChange struct{ Old, New *Controller }

// Name is the topic's.
func (c TopicChange) Name() string {
	if c.New != nil {
		return c.New.Name
	}
	return c.Old.Name
}

// ID is the topic's.
func (c TopicChange) ID() protocol.TopicID {
	if c.New != nil {
		return c.New.ID
	}
	return c.Old.ID
}

// Diff is the delta that leads from old to next, however far they are apart: what a subscriber needs after a snapshot or a restart. It costs a look at
// every topic; what the two share is passed over quickly.
func Diff(old, next *Image) *Delta {
	d := &Delta{
		Features:   !maps.Equal(old.features, next.features),
		Controller: old.controller != next.controller,
	}
	for id, t := range next.byID.all() {
		if was := old.TopicByID(id); was != t && !(was != nil && reflect.DeepEqual(was, t)) {
			d.Topics = append(d.Topics, TopicChange{Old: was, New: t})
		}
	}
	for id, t := range old.byID.all() {
		if next.TopicByID(id) == nil {
			d.Topics = append(d.Topics, TopicChange{Old: t})
		}
	}
	for r, m := range next.configs.all() {
		if !maps.Equal(m, old.Config(r.scope, r.name)) {
			d.Configs = append(d.Configs, ConfigChange{r.scope, r.name})
		}
	}
	for r := range old.configs.all() {
		if next.Config(r.scope, r.name) == nil {
			d.Configs = append(d.Configs, ConfigChange{r.scope, r.name})
		}
	}
	for _, b := range next.brokers {
		if was := old.Broker(b.ID); was != b && !(was != nil && reflect.DeepEqual(was, b)) {
			d.Brokers = append(d.Brokers, BrokerChange{Old: was, New: b})
		}
	}
	for _, b := range old.brokers {
		if next.Broker(b.ID) == nil {
			d.Brokers = append(d.Brokers, BrokerChange{Old: b})
		}
	}
	for _, c := range next.controllers {
		if was := old.Controller(c.ID); was != c && !(was != nil && reflect.DeepEqual(was, c)) {
			d.Controllers = append(d.Controllers, ControllerChange{Old: was, New: c})
		}
	}
	for _, c := range old.controllers {
		if next.Controller(c.ID) == nil {
			d.Controllers = append(d.Controllers, ControllerChange{Old: c})
		}
	}
	d.sort()
	return d
}

func (d *Delta) sort() {
	slices.SortFunc(d.Topics, func(a, b TopicChange) int {
		if c := strings.Compare(a.Name(), b.Name()); c != 0 {
			return c
		}
		return boolCompare(a.New != nil, b.New != nil)
	})
	slices.SortFunc(d.Configs, func(a, b ConfigChange) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(d.Brokers, func(a, b BrokerChange) int { return cmp.Compare(a.id(), b.id()) })
	slices.SortFunc(d.Controllers, func(a, b ControllerChange) int { return cmp.Compare(a.id(), b.id()) })
}

func (c ControllerChange) id() protocol.BrokerID {
	if c.New != nil {
		return c.New.ID
	}
	return c.Old.ID
}

func (c BrokerChange) id() protocol.BrokerID {
	if c.New != nil {
		return c.New.ID
	}
	return c.Old.ID
}

// boolCompare puts false first.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
