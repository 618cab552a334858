package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/offsets"
	"ottla/group/runtime"
	"ottla/protocol"
)

const (
	versionOfTopicIDs   = 10 // of OffsetCommit and OffsetFetch
	versionOfManyGroups = 8  // of OffsetFetch
	versionOfGroupError = 2  // of OffsetFetch: before, a group's error stands with every partition
)

// commit answers an OffsetCommit once it is committed.
func (c *Coordinator) commit(req *kmsg.OffsetCommitRequest, done func(kmsg.Response)) {
	refuse := func(err error) { done(refusedCommit(req, err)) }
	for n := range req.Topics {
		t := &req.Topics[n]
		if c.fillName(&t.Topic, t.TopicID); t.TopicID == (protocol.TopicID{}) {
			t.TopicID, _ = c.Topics.ID(t.Topic) // so that the offset is not taken for one of a later topic of that name
		}
	}
	c.writeLater(req.Group, func(s *Shard, now time.Time) runtime.Effects {
		if err := s.groups.MayCommit(now, req); err != nil {
			refuse(err)
			return runtime.Effects{}
		}
		records, resp := offsets.Decide(now, req, s.settings.MaxMetadata)
		return runtime.Effects{Records: records, Committed: func() { done(resp) }, Failed: func(err error) { refuse(appendError(err)) }}
	}, refuse)
}

// refusedCommit says the same of every partition.
func refusedCommit(req *kmsg.OffsetCommitRequest, err error) *kmsg.OffsetCommitResponse {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	code := protocol.ErrorCode(err)
	for _, topic := range req.Topics {
		t := kmsg.OffsetCommitResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID}
		for _, p := range topic.Partitions {
			t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// fillName finds the name of a topic of which a client gave the id, unless the handler has. It stays empty if there is no such topic.
func (c *Coordinator) fillName(name *string, id protocol.TopicID) {
	if *name == "" && !id.IsZero() {
		*name, _ = c.Topics.Name(id)
	}
}

// fetch answers an OffsetFetch: groups of several shards are put together.
func (c *Coordinator) fetch(req *kmsg.OffsetFetchRequest, done func(kmsg.Response)) {
	if req.Version < versionOfManyGroups {
		c.fetchGroup(req.Version, oldFetch(req), func(g kmsg.OffsetFetchResponseGroup) { done(oldFetched(req, g)) })
		return
	}
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	resp.Groups = make([]kmsg.OffsetFetchResponseGroup, len(req.Groups))
	whole := gather(len(req.Groups), func() { done(resp) })
	for n, g := range req.Groups {
		c.fetchGroup(req.Version, g, func(g kmsg.OffsetFetchResponseGroup) {
			resp.Groups[n] = g
			whole()
		})
	}
}

// fetchGroup answers for one group.
func (c *Coordinator) fetchGroup(version int16, g kmsg.OffsetFetchRequestGroup, done func(kmsg.OffsetFetchResponseGroup)) {
	byID := version >= versionOfTopicIDs
	for n := range g.Topics {
		t := &g.Topics[n]
		if byID {
			c.fillName(&t.Topic, t.TopicID)
		} else {
			t.TopicID, _ = c.Topics.ID(t.Topic) // what was committed for a topic that had the name before does not count
		}
	}
	c.read(g.Group, func(s *Shard, committed protocol.Offset, _ time.Time) {
		if g.Topics == nil {
			done(s.offsets.FetchAll(committed, g.Group, c.Topics.ID, byID))
		} else {
			done(s.offsets.Fetch(committed, g))
		}
	}, func(err error) {
		done(kmsg.OffsetFetchResponseGroup{Group: g.Group, ErrorCode: protocol.ErrorCode(err)})
	})
}

// oldFetch is the request for one group, of versions below 8, as one of many.
func oldFetch(req *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	g := kmsg.OffsetFetchRequestGroup{Group: req.Group}
	if req.Topics == nil {
		return g
	}
	g.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
	for n, t := range req.Topics {
		g.Topics[n] = kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions}
	}
	return g
}

// oldFetched is the answer for one group in the layout of versions below 8.
func oldFetched(req *kmsg.OffsetFetchRequest, g kmsg.OffsetFetchResponseGroup) *kmsg.OffsetFetchResponse {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	resp.ErrorCode = g.ErrorCode
	for _, t := range g.Topics {
		topic := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if g.ErrorCode == 0 || req.Version >= versionOfGroupError {
		return resp
	}
	empty := ""
	for _, t := range req.Topics {
		topic := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseTopicPartition{Partition: p, Offset: -1, LeaderEpoch: -1, Metadata: &empty, ErrorCode: g.ErrorCode})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// deleteOffsets answers an OffsetDelete once it is committed.
func (c *Coordinator) deleteOffsets(req *kmsg.OffsetDeleteRequest, done func(kmsg.Response)) {
	refuse := func(err error) {
		resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		resp.ErrorCode = protocol.ErrorCode(err)
		done(resp)
	}
	if req.Group == "" {
		refuse(kerr.InvalidGroupID)
		return
	}
	c.write(req.Group, func(s *Shard, _ time.Time) runtime.Effects {
		reads, err := s.groups.MayForget(req.Group)
		if err != nil {
			refuse(err)
			return runtime.Effects{}
		}
		records, resp := s.offsets.Delete(req, reads)
		return runtime.Effects{Records: records, Committed: func() { done(resp) }, Failed: func(err error) { refuse(appendError(err)) }}
	}, refuse)
}
