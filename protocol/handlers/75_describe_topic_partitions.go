package handlers

// DescribeTopicPartitions (key 75), version 0: topics and their partitions in pages, with the eligible leader replicas (KIP-966). The Java admin client prefers it to Metadata.
//
// Topics come in the order of their names, all of them if none is named. A page ends after response_partition_limit partitions, at most max.request.partition.size.limit; the cursor then says
// where the next one begins. Names that the caller may not Describe are TOPIC_AUTHORIZATION_FAILED, at the end of each page, or left out where all topics were asked for.
// A cursor with a negative partition, or whose topic is not among those named, is INVALID_REQUEST.
// Differs from Apache Kafka: nothing known.

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

func describeTopicPartitions(r *request, req *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	img := r.Controller.Image()
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	names, err := pageNames(img, req)
	if err != nil {
		resp.Topics = failAll(req.Topics, err, func(t *kmsg.DescribeTopicPartitionsRequestTopic, err error) kmsg.DescribeTopicPartitionsResponseTopic {
			return r.failedTopic(t.Topic, err)
		})
		return resp
	}
	var denied []kmsg.DescribeTopicPartitionsResponseTopic
	names = slices.DeleteFunc(names, func(name string) bool {
		if r.mayTopic(protocol.OpDescribe, name) {
			return false
		}
		if len(req.Topics) > 0 {
			denied = append(denied, r.failedTopic(name, kerr.TopicAuthorizationFailed))
		}
		return true
	})
	limit := max(1, min(int(req.ResponsePartitionLimit), r.limitsOf(img).partitionsPerAnswer))
	r.page(img, names, req.Cursor, limit, resp)
	resp.Topics = append(resp.Topics, denied...)
	return resp
}

// pageNames is the names asked for from the cursor on, sorted, each once.
func pageNames(img *image.Image, req *kmsg.DescribeTopicPartitionsRequest) ([]string, error) {
	from := ""
	if req.Cursor != nil {
		from = req.Cursor.Topic
	}
	var names []string
	if len(req.Topics) == 0 {
		for t := range img.Topics() {
			if t.Name >= from {
				names = append(names, t.Name)
			}
		}
	} else {
		for _, t := range req.Topics {
			if t.Topic >= from {
				names = append(names, t.Topic)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if req.Cursor != nil && !slices.Contains(names, from) {
			return nil, kerr.InvalidRequest
		}
	}
	if req.Cursor != nil && req.Cursor.Partition < 0 {
		return nil, kerr.InvalidRequest
	}
	return names, nil
}

// page describes topics until limit partitions are in resp, and leaves the cursor where it stopped.
func (r *request) page(img *image.Image, names []string, cursor *kmsg.DescribeTopicPartitionsRequestCursor, limit int, resp *kmsg.DescribeTopicPartitionsResponse) {
	for _, name := range names {
		if limit == 0 {
			resp.NextCursor = nextCursor(name, 0)
			return
		}
		t := img.Topic(name)
		if t == nil {
			resp.Topics = append(resp.Topics, r.failedTopic(name, unknownTopic(name)))
			continue
		}
		first := 0
		if cursor != nil && cursor.Topic == name {
			first = min(int(cursor.Partition), len(t.Partitions))
		}
		end := min(len(t.Partitions), first+limit)
		resp.Topics = append(resp.Topics, r.describeTopic(img, t, first, end))
		if end < len(t.Partitions) {
			resp.NextCursor = nextCursor(name, int32(end))
			return
		}
		limit -= end - first
	}
}

func nextCursor(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}

func (r *request) describeTopic(img *image.Image, t *image.Topic, first, end int) kmsg.DescribeTopicPartitionsResponseTopic {
	d := kmsg.NewDescribeTopicPartitionsResponseTopic()
	d.Topic, d.TopicID, d.IsInternal = &t.Name, t.ID, isInternal(t.Name)
	d.AuthorizedOperations = r.operations(protocol.Resource{Type: protocol.ResourceTopic, Name: t.Name})
	for i := first; i < end; i++ {
		state := &t.Partitions[i]
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = int32(i), int32(state.Leader), int32(state.LeaderEpoch)
		if state.Leader == protocol.NoBroker {
			p.ErrorCode = r.code(kerr.LeaderNotAvailable)
		}
		p.Replicas, p.ISR, p.OfflineReplicas = brokerIDs(state.Replicas), brokerIDs(state.ISR), offline(img, state.Replicas)
		p.EligibleLeaderReplicas, p.LastKnownELR = brokerIDs(state.ELR), brokerIDs(state.LastKnownELR)
		d.Partitions = append(d.Partitions, p)
	}
	return d
}

func (r *request) failedTopic(name string, err error) kmsg.DescribeTopicPartitionsResponseTopic {
	d := kmsg.NewDescribeTopicPartitionsResponseTopic()
	d.Topic, d.IsInternal, d.ErrorCode = &name, isInternal(name), r.code(err)
	if err != kerr.TopicAuthorizationFailed {
		d.AuthorizedOperations = r.operations(protocol.Resource{Type: protocol.ResourceTopic, Name: name})
	}
	return d
}
