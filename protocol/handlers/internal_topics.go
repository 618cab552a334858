package handlers

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const offsetsTopic = "__consumer_offsets"

// isInternal tells the topics that the broker itself writes; clients hide them, and write nothing to them.
func isInternal(name string) bool {
	switch name {
	case offsetsTopic, "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// leastSegment is the least segment.bytes that a topic may have, though offsets.topic.segment.bytes may be less: Kafka's controller refuses such a topic, and there are no groups then.
const leastSegment = 1 << 20

// newTopic is a topic that nobody described: the cluster's defaults, and what Kafka gives to the topic of the groups' offsets. Its replication factor is the cluster's choice unless an
// administrator set one.
func (h *Handlers) newTopic(name string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	if name != offsetsTopic {
		return t
	}
	v := h.Settings()
	t.NumPartitions = int32(v.Int("offsets.topic.num.partitions"))
	if v.IsSet("offsets.topic.replication.factor") {
		t.ReplicationFactor = int16(v.Int("offsets.topic.replication.factor"))
	}
	for _, c := range [][2]string{
		{"cleanup.policy", "compact"},
		{"compression.type", "producer"},
		{"segment.bytes", strconv.FormatInt(max(v.Int("offsets.topic.segment.bytes"), leastSegment), 10)},
	} {
		k := kmsg.NewCreateTopicsRequestTopicConfig()
		k.Name, k.Value = c[0], &c[1]
		t.Configs = append(t.Configs, k)
	}
	return t
}

// createTopic has the controller create an internal topic, and answers when it has, or has not: the image tells. Several callers at once are told that the topic exists.
func (r *request) createTopic(name string, timeout time.Duration, answer func() kmsg.Response) kmsg.Response {
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = create.MaxVersion()
	create.Topics = append(create.Topics, r.newTopic(name))
	return submit(r, int32(timeout.Milliseconds()), create, func(created *kmsg.CreateTopicsResponse, err error) kmsg.Response {
		if created != nil {
			for _, t := range created.Topics {
				if t.ErrorCode != 0 && r.Controller.Image().Topic(name) == nil {
					r.Logger.Warn("internal topic could not be created", "topic", name, "code", t.ErrorCode, "reason", orEmpty(t.ErrorMessage))
				}
			}
		}
		return answer()
	})
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
