package handlers

import (
	"ottla/controller/image"
	"ottla/protocol/config"
)

// limits are the broker's settings that handlers read on every call, taken out of the configs once per image: a dynamic change makes a new image.
type limits struct {
	image               *image.Image
	fetchMaxBytes       int
	autoCreateTopics    bool
	deleteTopics        bool
	partitionsPerAnswer int // max.request.partition.size.limit
}

func (h *Handlers) limitsOf(img *image.Image) *limits {
	if l := h.limits.Load(); l != nil && l.image == img {
		return l
	}
	v := h.Settings()
	l := &limits{
		image:               img,
		fetchMaxBytes:       int(v.Int("fetch.max.bytes")),
		autoCreateTopics:    v.Bool("auto.create.topics.enable"),
		deleteTopics:        v.Bool("delete.topic.enable"),
		partitionsPerAnswer: int(v.Int("max.request.partition.size.limit")),
	}
	h.limits.Store(l) // two callers at once make the same value: harmless
	return l
}

// topicValues are the configs in force for a topic.
func (h *Handlers) topicValues(img *image.Image, name string) config.Values {
	v := h.Settings()
	v.Override = img.Config(config.Topic, name)
	return v
}
