package decide

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// createPartitions decides key 37. Each topic succeeds or fails on its own. The answers are in the order of the request; a name given twice is answered once.
func (d *decision) createPartitions(req *kmsg.CreatePartitionsRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	if d.countAdded(req.Topics) > maxPartitions {
		return Outcome{}, errTooManyPartitions
	}
	twice := repeated(req.Topics, func(t *kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	answered := map[string]bool{}
	for n := range req.Topics {
		t := &req.Topics[n]
		if answered[t.Topic] {
			continue
		}
		answered[t.Topic] = true
		err := protocol.Errorf(kerr.InvalidRequest, "Duplicate topic name.")
		if !twice[t.Topic] {
			err = d.growTopic(t)
		}
		reply := kmsg.NewCreatePartitionsResponseTopic()
		reply.Topic, reply.ErrorCode = t.Topic, protocol.ErrorCode(err)
		if err != kerr.UnknownTopicOrPartition { // which Kafka tells without words
			reply.ErrorMessage = protocol.ErrorMessage(err)
		}
		resp.Topics = append(resp.Topics, reply)
	}
	return d.outcome(resp, req.ValidateOnly)
}

// countAdded is how many partitions the request asks for beyond those that exist.
func (d *decision) countAdded(topics []kmsg.CreatePartitionsRequestTopic) (count int64) {
	for n := range topics {
		if t := d.view.Topic(topics[n].Topic); t != nil {
			count += max(0, int64(topics[n].Count)-int64(len(t.Partitions)))
		}
	}
	return count
}

// growTopic adds the records of one topic's new partitions. An error means that no record was added.
func (d *decision) growTopic(t *kmsg.CreatePartitionsRequestTopic) error {
	topic := d.view.Topic(t.Topic)
	if topic == nil {
		return kerr.UnknownTopicOrPartition
	}
	before := len(topic.Partitions)
	switch {
	case int(t.Count) == before:
		return protocol.Errorf(kerr.InvalidPartitions, "Topic already has %d partition(s).", before)
	case int(t.Count) < before:
		return protocol.Errorf(kerr.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", t.Topic, before, t.Count)
	}
	added := int(t.Count) - before
	if t.Assignment != nil && len(t.Assignment) != added {
		return protocol.Errorf(kerr.InvalidReplicaAssignment,
			"Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", added, len(t.Assignment))
	}
	assignments, err := d.assignAdded(t, topic, added)
	if err != nil {
		return err
	}
	for n := range assignments {
		d.records = append(d.records, record.Of(assignments[n].partition(topic.ID[:], before+n)))
	}
	return nil
}

// assignAdded keeps the replication factor of the topic's first partition.
func (d *decision) assignAdded(t *kmsg.CreatePartitionsRequestTopic, topic *image.Topic, added int) ([]assignment, error) {
	factor := len(topic.Partitions[0].Replicas)
	if t.Assignment == nil {
		return d.place(added, factor)
	}
	out := make([]assignment, added)
	for n := range out {
		replicas := t.Assignment[n].Replicas
		if err := d.checkReplicas(replicas, factor); err != nil {
			return nil, err
		}
		if len(d.active(replicas)) == 0 {
			return nil, protocol.Errorf(kerr.InvalidReplicaAssignment,
				"All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", len(topic.Partitions)+n)
		}
		out[n] = d.assignment(slices.Clone(replicas))
	}
	return out, nil
}
