package sim

import (
	"fmt"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/config"
)

// effects is at which offset each request took effect: each leaves something that only it can leave, a topic's id or a config's value.
type effects struct {
	created, deleted map[protocol.TopicID]protocol.Offset
	set              map[string]protocol.Offset // value of marker
}

// marker is the topic config whose values are all different.
const marker = "retention.ms"

func newEffects() effects {
	return effects{map[protocol.TopicID]protocol.Offset{}, map[protocol.TopicID]protocol.Offset{}, map[string]protocol.Offset{}}
}

// note takes the effects of the entry that led from one image to the next. NothingIsDecidedTwice.
func (e *effects) note(before, next *image.Image, d *image.Delta) error {
	at := next.Offset()
	for _, c := range d.Topics {
		switch id := c.ID(); {
		case c.Old == nil:
			if was, ok := e.created[id]; ok {
				return fmt.Errorf("NothingIsDecidedTwice: topic %s was created at offset %d, and again at %d", c.Name(), was, at)
			}
			e.created[id] = at
		case c.New == nil:
			e.deleted[id] = at
		}
	}
	for _, c := range d.Configs {
		value, ok := next.Config(c.Scope, c.Name)[marker]
		if c.Scope != config.Topic || !ok || value == before.Config(c.Scope, c.Name)[marker] {
			continue
		}
		if was, ok := e.set[value]; ok {
			return fmt.Errorf("NothingIsDecidedTwice: request %s took effect at offset %d, and again at %d", value, was, at)
		}
		e.set[value] = at
	}
	return nil
}
