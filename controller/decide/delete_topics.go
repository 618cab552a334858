package decide

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// deleteTopics decides key 20, by name (before version 6) or by name or id. The answers are in the order of the request; what is named twice is answered once.
func (d *decision) deleteTopics(req *kmsg.DeleteTopicsRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	if !d.broker().Bool("delete.topic.enable") {
		if req.Version < 3 {
			return Outcome{}, protocol.Errorf(kerr.InvalidRequest, "This version does not support topic deletion.")
		}
		return Outcome{}, kerr.TopicDeletionDisabled
	}
	list := req.Topics
	for n := range req.TopicNames {
		list = append(list, kmsg.DeleteTopicsRequestTopic{Topic: &req.TopicNames[n]})
	}
	del := newDeletion(d.view, list)
	for n := range list {
		t := &list[n]
		if !del.first(t) {
			continue
		}
		reply := kmsg.NewDeleteTopicsResponseTopic()
		reply.Topic, reply.TopicID = t.Topic, t.TopicID
		topic, err := del.resolve(t)
		if err == nil {
			reply.Topic, reply.TopicID = &topic.Name, topic.ID
			d.records = append(d.records, record.Of(&record.TopicDeletion{TopicId: topic.ID[:]}))
		}
		reply.ErrorCode, reply.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		resp.Topics = append(resp.Topics, reply)
	}
	return d.outcome(resp, false)
}

// deletion finds the topics of one request and sees to it that each is meant once.
type deletion struct {
	view      *image.Image
	names     map[string]int
	ids       map[protocol.TopicID]int
	namesDone map[string]bool
	idsDone   map[protocol.TopicID]bool
}

func newDeletion(v *image.Image, list []kmsg.DeleteTopicsRequestTopic) *deletion {
	del := &deletion{
		view: v, names: map[string]int{}, ids: map[protocol.TopicID]int{},
		namesDone: map[string]bool{}, idsDone: map[protocol.TopicID]bool{},
	}
	for n := range list {
		switch t := &list[n]; {
		case !wellNamed(t):
		case t.Topic != nil:
			del.names[*t.Topic]++
		default:
			del.ids[t.TopicID]++
		}
	}
	return del
}

// wellNamed tells whether a topic is given by name or by id, and not by both.
func wellNamed(t *kmsg.DeleteTopicsRequestTopic) bool {
	return (t.Topic != nil) == (protocol.TopicID(t.TopicID).IsZero())
}

// first is false where the same name or id was answered before.
func (del *deletion) first(t *kmsg.DeleteTopicsRequestTopic) bool {
	switch {
	case !wellNamed(t):
		return true
	case t.Topic != nil:
		seen := del.namesDone[*t.Topic]
		del.namesDone[*t.Topic] = true
		return !seen
	}
	seen := del.idsDone[t.TopicID]
	del.idsDone[t.TopicID] = true
	return !seen
}

func (del *deletion) resolve(t *kmsg.DeleteTopicsRequestTopic) (*image.Topic, error) {
	switch {
	case t.Topic == nil && protocol.TopicID(t.TopicID).IsZero():
		return nil, protocol.Errorf(kerr.InvalidRequest, "Neither topic name nor id were specified.")
	case !wellNamed(t):
		return nil, protocol.Errorf(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
	case t.Topic != nil:
		return del.byName(*t.Topic)
	case del.ids[t.TopicID] > 1:
		return nil, protocol.Errorf(kerr.InvalidRequest, "Duplicate topic id.")
	}
	if topic := del.view.TopicByID(t.TopicID); topic != nil {
		return topic, nil
	}
	return nil, kerr.UnknownTopicID
}

func (del *deletion) byName(name string) (*image.Topic, error) {
	topic := del.view.Topic(name)
	switch {
	case del.names[name] > 1:
		return nil, protocol.Errorf(kerr.InvalidRequest, "Duplicate topic name.")
	case topic == nil:
		return nil, kerr.UnknownTopicOrPartition
	case del.ids[topic.ID] > 0:
		return nil, protocol.Errorf(kerr.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
	}
	return topic, nil
}
