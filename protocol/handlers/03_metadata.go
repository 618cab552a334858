package handlers

// Metadata (key 3), versions 0 to 13: brokers, topics, partitions and who leads them. What every client routes by.
//
//	v0  topics by name; an empty list is all topics. Replicas on dead brokers are left out, with REPLICA_NOT_AVAILABLE
//	v1  null is all topics, empty is none; controller, rack, internal topics
//	v2  cluster id (KIP-78)
//	v3  throttle time
//	v4  allow_auto_topic_creation (KIP-361); before that it counts as true
//	v5  offline replicas (KIP-112)
//	v6  throttling after the response (KIP-219)
//	v7  leader epoch (KIP-320)
//	v8  authorized operations, if asked for (KIP-430)
//	v9  flexible (KIP-482)
//	v10 topic ids in the answer (KIP-516)
//	v11 no authorized operations of the cluster any more: DescribeCluster has them (KIP-700)
//	v12 topics by id (KIP-516)
//	v13 an error for the whole answer: REBOOTSTRAP_REQUIRED (KIP-1102), which this broker never gives
//
// Topics that the caller may not Describe are TOPIC_AUTHORIZATION_FAILED whether they exist or not, and left out where all were asked for. A topic without a leader has
// LEADER_NOT_AVAILABLE at its partition. The list of brokers is never empty.
//
// A missing topic is created, with the default number of partitions and replicas, if both the request and auto.create.topics.enable allow it and the caller may Create
// it or topics in the cluster.
// Differs from Apache Kafka: the answer waits until the topic is there, where Kafka answers UNKNOWN_TOPIC_OR_PARTITION at once and lets the client ask again. The controller named is the
// node that leads the metadata quorum, where Kafka names any live broker.

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

// autoCreateTimeout bounds how long a Metadata answer waits for the topics that it creates; clients wait 30 s for it.
const autoCreateTimeout = 10 * time.Second

func metadata(r *request, req *kmsg.MetadataRequest) kmsg.Response {
	if r.version() < 4 {
		req.AllowAutoTopicCreation = true
	}
	img := r.Controller.Image()
	m := &metadataAnswer{request: r, req: req}
	if req.Topics == nil && r.version() > 0 || len(req.Topics) == 0 && r.version() == 0 {
		return m.answer(img, allTopics(img))
	}
	topics, err := namedTopics(r.version(), req.Topics)
	if err != nil {
		return m.answer(img, failAll(topics, err, func(t *wanted, err error) wanted {
			t.err = err
			return *t
		}))
	}
	m.resolve(img, topics)
	if missing := m.creatable(topics); len(missing) > 0 {
		return m.create(topics, missing)
	}
	return m.answer(img, topics)
}

// wanted is one topic of the answer: found, or failed with err.
type wanted struct {
	name   string
	id     protocol.TopicID
	byID   bool
	listed bool // all topics were asked for: what is denied is left out
	found  *image.Topic
	err    error
}

// metadataAnswer is one Metadata request on its way.
type metadataAnswer struct {
	*request
	req *kmsg.MetadataRequest
}

func allTopics(img *image.Image) []wanted {
	all := make([]wanted, 0, img.TopicCount())
	for t := range img.Topics() {
		all = append(all, wanted{name: t.Name, id: t.ID, found: t, listed: true})
	}
	return all
}

// namedTopics is what the request asks for, each topic once. As in Kafka, one topic asked for by id makes names not count.
func namedTopics(version int16, topics []kmsg.MetadataRequestTopic) ([]wanted, error) {
	var err error
	anyID := false
	for i := range topics {
		t := &topics[i]
		byID := t.TopicID != protocol.TopicID{}
		anyID = anyID || byID
		if t.Topic == nil && (!byID || version < 12) || byID && version < 12 {
			err = kerr.InvalidRequest
		}
	}
	type key struct {
		name string
		id   protocol.TopicID
	}
	var out []wanted
	seen := make(map[key]bool, len(topics))
	for i := range topics {
		k := key{id: topics[i].TopicID}
		if topics[i].Topic != nil {
			k.name = *topics[i].Topic
		}
		byID := k.id != protocol.TopicID{}
		if err == nil && anyID {
			if !byID {
				continue
			}
			k.name = ""
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, wanted{name: k.name, id: k.id, byID: byID})
		}
	}
	return out, err
}

// resolve finds each topic that the caller may describe, and says what is wrong with the others.
func (m *metadataAnswer) resolve(img *image.Image, topics []wanted) {
	for i := range topics {
		w := &topics[i]
		w.err = nil
		if w.byID {
			if w.found = img.TopicByID(w.id); w.found == nil {
				w.err = kerr.UnknownTopicID
				continue
			}
			w.name = w.found.Name
		}
		switch {
		case !m.mayTopic(protocol.OpDescribe, w.name):
			w.found, w.err = nil, kerr.TopicAuthorizationFailed
		case !w.byID:
			if w.found = img.Topic(w.name); w.found == nil {
				w.err = unknownTopic(w.name)
			}
		}
	}
}

// creatable is the missing topics that are to be created. Those that the caller may not create are denied, and look as if they did not exist to nobody else.
func (m *metadataAnswer) creatable(topics []wanted) (missing []string) {
	if !m.req.AllowAutoTopicCreation || !m.limitsOf(m.Controller.Image()).autoCreateTopics {
		return nil
	}
	for i := range topics {
		w := &topics[i]
		switch {
		case w.byID || w.err != kerr.UnknownTopicOrPartition:
		case m.mayCluster(protocol.OpCreate) || m.mayTopic(protocol.OpCreate, w.name):
			missing = append(missing, w.name)
		default:
			w.err = kerr.TopicAuthorizationFailed
		}
	}
	return missing
}

// create has the controller make the missing topics and answers from the image that has them.
func (m *metadataAnswer) create(topics []wanted, missing []string) kmsg.Response {
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = create.MaxVersion()
	for _, name := range missing {
		create.Topics = append(create.Topics, m.newTopic(name))
	}
	return submit(m.request, int32(autoCreateTimeout.Milliseconds()), create, func(created *kmsg.CreateTopicsResponse, err error) kmsg.Response {
		img := m.Controller.Image()
		denied := map[string]bool{}
		for i := range topics {
			denied[topics[i].name] = topics[i].err == kerr.TopicAuthorizationFailed
		}
		m.resolve(img, topics)
		failed := creationErrors(created)
		for i := range topics {
			switch w := &topics[i]; {
			case denied[w.name]:
				w.found, w.err = nil, kerr.TopicAuthorizationFailed
			case w.err == kerr.UnknownTopicOrPartition && failed[w.name] != nil:
				w.err = failed[w.name]
			}
		}
		return m.answer(img, topics)
	})
}

// creationErrors is what the client is told of topics that could not be created: an error that is about the request, as Kafka's automatic creation; everything else stays UNKNOWN_TOPIC_OR_PARTITION, which is retried.
func creationErrors(created *kmsg.CreateTopicsResponse) map[string]error {
	errs := map[string]error{}
	if created == nil {
		return errs
	}
	for _, t := range created.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); err {
		case kerr.InvalidTopicException, kerr.InvalidReplicationFactor, kerr.InvalidPartitions, kerr.PolicyViolation:
			errs[t.Topic] = err
		}
	}
	return errs
}

func (m *metadataAnswer) answer(img *image.Image, topics []wanted) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	for _, b := range m.liveBrokers(img) {
		d := kmsg.NewMetadataResponseBroker()
		d.NodeID, d.Rack = int32(b.ID), b.Rack
		d.Host, d.Port = m.address(b, m.call)
		resp.Brokers = append(resp.Brokers, d)
	}
	id := img.ClusterID()
	resp.ClusterID, resp.ControllerID = &id, int32(img.ControllerID())
	for i := range topics {
		w := &topics[i]
		if w.listed && !m.mayTopic(protocol.OpDescribe, w.name) {
			continue
		}
		resp.Topics = append(resp.Topics, m.topic(img, w))
	}
	if m.version() >= 8 && m.version() <= 10 && m.req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = m.clusterOperations()
	}
	return resp
}

func (m *metadataAnswer) topic(img *image.Image, w *wanted) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.ErrorCode = m.code(w.err)
	// Who asked by id and may not know the name is not told it; who asked by name and may not know the topic is not told the id.
	if !w.byID || w.found != nil {
		t.Topic = &w.name
	}
	if w.byID {
		t.TopicID = w.id
	}
	t.IsInternal = w.err != kerr.TopicAuthorizationFailed && isInternal(w.name)
	t.Partitions = []kmsg.MetadataResponseTopicPartition{}
	if m.req.IncludeTopicAuthorizedOperations && w.err != kerr.TopicAuthorizationFailed && (w.found != nil || !w.byID) {
		t.AuthorizedOperations = m.operations(protocol.Resource{Type: protocol.ResourceTopic, Name: w.name})
	}
	if w.found == nil {
		if t.Topic == nil && m.version() < 12 {
			t.Topic = &w.name
		}
		return t
	}
	t.TopicID = w.found.ID
	t.Partitions = slices.Grow(t.Partitions, len(w.found.Partitions))
	for i := range w.found.Partitions {
		t.Partitions = append(t.Partitions, m.partition(img, int32(i), &w.found.Partitions[i]))
	}
	return t
}

func (m *metadataAnswer) partition(img *image.Image, index int32, state *image.Partition) kmsg.MetadataResponseTopicPartition {
	p := kmsg.NewMetadataResponseTopicPartition()
	p.Partition, p.Leader, p.LeaderEpoch = index, int32(state.Leader), int32(state.LeaderEpoch)
	p.Replicas, p.ISR, p.OfflineReplicas = brokerIDs(state.Replicas), brokerIDs(state.ISR), offline(img, state.Replicas)
	switch {
	case !alive(img, state.Leader):
		p.Leader = int32(protocol.NoBroker)
		p.ErrorCode = m.code(kerr.LeaderNotAvailable)
	case m.version() == 0 && len(p.OfflineReplicas) > 0:
		p.ErrorCode = m.code(kerr.ReplicaNotAvailable)
	}
	if m.version() == 0 {
		p.Replicas, p.ISR = online(img, state.Replicas), online(img, state.ISR)
	}
	return p
}
