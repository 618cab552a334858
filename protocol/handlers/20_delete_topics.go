package handlers

// DeleteTopics (key 20), versions 1 to 6.
//
//	v1  topics by name, throttle time
//	v2  throttling after the response (KIP-219)
//	v3  TOPIC_DELETION_DISABLED where delete.topic.enable is false; before that INVALID_REQUEST
//	v4  flexible (KIP-482)
//	v5  error messages; THROTTLING_QUOTA_EXCEEDED (KIP-599), which this broker does not give
//	v6  topics by id (KIP-516)
//
// Delete on the cluster, or on the topic, is needed. Who may not Describe a topic gets TOPIC_AUTHORIZATION_FAILED whether it exists or not, without its name if it was asked for by id; who may
// Describe but not Delete it gets the same error with the name. A topic that is named twice, or by name and by id, is INVALID_REQUEST.
// The answer waits until this broker has applied the change.
// Differs from Apache Kafka: errors come first and in the order of the request, where Kafka shuffles its answer: the error itself tells who is denied from what is absent no more than theirs.

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

func deleteTopics(r *request, req *kmsg.DeleteTopicsRequest) kmsg.Response {
	type in = kmsg.DeleteTopicsRequestTopic
	type out = kmsg.DeleteTopicsResponseTopic
	fail := func(t *in, err error) out {
		o := kmsg.NewDeleteTopicsResponseTopic()
		o.Topic, o.TopicID, o.ErrorCode, o.ErrorMessage = t.Topic, t.TopicID, r.code(err), protocol.ErrorMessage(err)
		return o
	}
	if r.version() < 6 {
		req.Topics = topicsNamed(req.TopicNames)
	}
	img := r.Controller.Image()
	d := &deletion{request: r, img: img, wholeCluster: r.mayCluster(protocol.OpDelete), crossed: map[protocol.TopicID]bool{}}
	d.named = repeated(req.Topics, identity)
	if !r.limitsOf(img).deleteTopics {
		d.disabled = kerr.TopicDeletionDisabled
		if r.version() < 3 {
			d.disabled = kerr.InvalidRequest
		}
	}
	req.Topics = d.dropCrossed(req.Topics)
	rest, failed := split(req.Topics, d.check, fail)
	resp := kmsg.NewPtrDeleteTopicsResponse()
	resp.Topics = onceEach(failed, func(t *out) topicIdentity { return identityOf(t.Topic, t.TopicID) })
	if len(rest) == 0 {
		return resp
	}
	return submit(r, req.TimeoutMillis, byID(rest, req.TimeoutMillis), func(decided *kmsg.DeleteTopicsResponse, err error) kmsg.Response {
		if err != nil {
			resp.Topics = append(resp.Topics, failAll(rest, err, fail)...)
			return resp
		}
		for _, t := range decided.Topics {
			r.call.Reply.SetError(t.ErrorCode)
			t.Topic = nameOf(rest, t.TopicID)
			resp.Topics = append(resp.Topics, t)
		}
		return resp
	})
}

// deletion resolves what is to be deleted.
type deletion struct {
	*request
	img          *image.Image
	wholeCluster bool
	disabled     error
	named        map[topicIdentity]bool    // true: more than once
	crossed      map[protocol.TopicID]bool // given by id and by name: neither counts
}

type topicIdentity struct {
	name string
	id   protocol.TopicID
}

func identity(t *kmsg.DeleteTopicsRequestTopic) topicIdentity { return identityOf(t.Topic, t.TopicID) }

func identityOf(name *string, id protocol.TopicID) topicIdentity {
	k := topicIdentity{id: id}
	if name != nil {
		k.name = *name
	}
	return k
}

// dropCrossed finds the topics that are given by id and by name as well, and leaves out their ids: the names answer for both, with an error.
func (d *deletion) dropCrossed(topics []kmsg.DeleteTopicsRequestTopic) []kmsg.DeleteTopicsRequestTopic {
	ids := map[protocol.TopicID]bool{}
	for i := range topics {
		if topics[i].Topic == nil {
			ids[topics[i].TopicID] = true
		}
	}
	for i := range topics {
		if name := topics[i].Topic; name != nil && (d.wholeCluster || d.mayTopic(protocol.OpDescribe, *name)) {
			if found := d.img.Topic(*name); found != nil && ids[found.ID] {
				d.crossed[found.ID] = true
			}
		}
	}
	return slices.DeleteFunc(topics, func(t kmsg.DeleteTopicsRequestTopic) bool { return t.Topic == nil && d.crossed[t.TopicID] })
}

// check refuses a topic, or fills in its name and id.
func (d *deletion) check(t *kmsg.DeleteTopicsRequestTopic) error {
	byID := t.TopicID != protocol.TopicID{}
	switch {
	case d.disabled != nil:
		return d.disabled
	case t.Topic == nil && !byID:
		return protocol.Errorf(kerr.InvalidRequest, "Neither topic name nor id were specified.")
	case t.Topic != nil && byID:
		return protocol.Errorf(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
	case d.named[identity(t)] && byID:
		return protocol.Errorf(kerr.InvalidRequest, "Duplicate topic id.")
	case d.named[identity(t)]:
		return errDuplicateTopic
	}
	found, err := d.find(t)
	if err != nil {
		return err
	}
	if d.crossed[found.ID] {
		t.TopicID = found.ID
		return protocol.Errorf(kerr.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
	}
	t.Topic, t.TopicID = &found.Name, found.ID
	return nil
}

// find resolves one topic as far as the caller may see it.
func (d *deletion) find(t *kmsg.DeleteTopicsRequestTopic) (*image.Topic, error) {
	var found *image.Topic
	if t.Topic != nil {
		if !d.wholeCluster && !d.mayTopic(protocol.OpDescribe, *t.Topic) {
			return nil, kerr.TopicAuthorizationFailed
		}
		if found = d.img.Topic(*t.Topic); found == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
	} else if found = d.img.TopicByID(t.TopicID); found == nil {
		return nil, kerr.UnknownTopicID
	}
	if d.wholeCluster || d.mayTopic(protocol.OpDelete, found.Name) {
		return found, nil
	}
	if t.Topic == nil && d.mayTopic(protocol.OpDescribe, found.Name) {
		t.Topic = &found.Name
	}
	return nil, kerr.TopicAuthorizationFailed
}

func topicsNamed(names []string) []kmsg.DeleteTopicsRequestTopic {
	out := make([]kmsg.DeleteTopicsRequestTopic, len(names))
	for i := range names {
		out[i].Topic = &names[i]
	}
	return out
}

// byID is the request as the controller gets it: by ids alone, so that a topic created again under the same name meanwhile is left alone.
func byID(topics []kmsg.DeleteTopicsRequestTopic, timeoutMs int32) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = req.MaxVersion(), timeoutMs
	for i := range topics {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.TopicID = topics[i].TopicID
		req.Topics = append(req.Topics, t)
	}
	return req
}

func nameOf(topics []kmsg.DeleteTopicsRequestTopic, id protocol.TopicID) *string {
	for i := range topics {
		if topics[i].TopicID == id {
			return topics[i].Topic
		}
	}
	return nil
}
