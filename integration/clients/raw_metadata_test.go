//go:build clients

package clients

import (
	"fmt"
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataOf asks for topics by name, without creating them.
func metadataOf(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &n})
	}
	return req
}

func metadataByID(ids ...[16]byte) *kmsg.MetadataRequest {
	req := metadataOf()
	for _, id := range ids {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{TopicID: id})
	}
	return req
}

func metadataCases() []rawCase {
	cases := each(3, 0, "metadata", func(x *exchange, v int16) {
		name := fmt.Sprintf("metadata-%d", v)
		x.topic(name, 2)
		x.ask(v, metadataOf(name))
		if v > 0 { // version 0 answers all topics, and creates what it does not know
			x.ask(v, metadataOf())
		}
		if v < 4 { // these create what they do not know
			return
		}
		x.ask(v, metadataOf(name, name))
		x.ask(v, metadataOf("never-created"))
		x.ask(v, metadataOf(name, "never-created", "a/b", "", ".", strings.Repeat("n", 250)))
		ops := metadataOf(name)
		ops.IncludeTopicAuthorizedOperations = true
		ops.IncludeClusterAuthorizedOperations = true
		x.ask(v, ops)
		ops.Topics = append(ops.Topics, metadataOf("never-created").Topics...)
		x.ask(v, ops)
	})
	cases = append(cases, each(3, 0, "metadata: create automatically", func(x *exchange, v int16) {
		name := fmt.Sprintf("metadata-auto-%d", v)
		req := metadataOf(name)
		req.AllowAutoTopicCreation = true
		must[*kmsg.MetadataResponse](x, v, req)
		patiently(name+" is there", func() error {
			t := must[*kmsg.MetadataResponse](x, 12, metadataOf(name)).Topics[0]
			if t.ErrorCode == 0 {
				x.known.topic(t.TopicID, name)
			}
			return kerr.ErrorForCode(t.ErrorCode)
		})
		x.settled(name, 1)
		x.ask(v, req)
		for _, bad := range []string{"a/b", "", ".", strings.Repeat("n", 250), "__cluster_metadata"} {
			wrong := metadataOf(bad)
			wrong.AllowAutoTopicCreation = true
			x.ask(v, wrong)
		}
	})...)
	cases = append(cases, each(3, 10, "metadata by id", func(x *exchange, v int16) {
		name := fmt.Sprintf("metadata-id-%d", v)
		id := x.topic(name, 1)
		x.ask(v, metadataByID(id))
		x.ask(v, metadataByID(nowhere))
		x.ask(v, metadataByID([16]byte{}))
		x.ask(v, metadataByID(id, nowhere, id))
		both := metadataByID(id)
		both.Topics[0].Topic = &name
		x.ask(v, both)
		mixed := metadataByID(id)
		mixed.Topics = append(mixed.Topics, metadataOf(name).Topics...)
		x.ask(v, mixed)
		create := metadataByID(nowhere)
		create.AllowAutoTopicCreation = true
		x.ask(v, create)
		x.ask(v, metadataByID([16]byte{15: 1}))
	})...)
	return append(cases,
		rawCase{"metadata: recreated topic", func(x *exchange) {
			old := x.topic("metadata-again", 1)
			x.drop("metadata-again")
			x.known.topic(old, "metadata-again, the first")
			x.ask(12, metadataByID(old))
			id := x.topic("metadata-again", 1)
			x.ask(12, metadataByID(old, id))
			x.ask(12, metadataOf("metadata-again"))
		}},
		rawCase{"metadata: the first answer about what is created automatically", func(x *exchange) {
			req := metadataOf("metadata-first")
			req.AllowAutoTopicCreation = true
			x.ask(12, req)
		}},
		rawCase{"metadata: a name that collides, created automatically", func(x *exchange) {
			x.topic("metadata.collides", 1)
			req := metadataOf("metadata_collides")
			req.AllowAutoTopicCreation = true
			x.ask(12, req)
		}},
	)
}

// everything is asked last, when every other case has left its topics: both brokers have to have the same ones.
func everything() []rawCase {
	return each(3, 0, "metadata of all topics", func(x *exchange, v int16) {
		req := kmsg.NewPtrMetadataRequest()
		if v == 0 {
			req.Topics = []kmsg.MetadataRequestTopic{}
		}
		x.ask(v, req)
	})
}

func partitionsOf(limit int32, names ...string) *kmsg.DescribeTopicPartitionsRequest {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = limit
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: n})
	}
	return req
}

// describeCases are about DescribeTopicPartitions.
func describeCases() []rawCase {
	return []rawCase{
		{"describe topic partitions", func(x *exchange) {
			x.topic("describe-b", 3)
			x.topic("describe-a", 5)
			names := []string{"describe-b", "describe-a", "never-created", "describe-b"}
			for _, limit := range []int32{2000, 10, 8, 7, 5, 4, 2, 1, 0, -1, math.MaxInt32} {
				x.ask(0, partitionsOf(limit, names...))
			}
			x.ask(0, partitionsOf(2000, "a/b", "", "."))
		}},
		{"describe topic partitions: cursors", func(x *exchange) {
			x.topic("describe-c", 3)
			x.topic("describe-d", 3)
			x.topic("describe-e", 3)
			for _, c := range []kmsg.DescribeTopicPartitionsRequestCursor{{Topic: "describe-c", Partition: 0}, {Topic: "describe-d", Partition: 1}, {Topic: "describe-d", Partition: 3}, {Topic: "describe-d", Partition: 99},
				{Topic: "describe-d", Partition: -1}, {Topic: "describe-cc", Partition: 0}, {Topic: "describe-cc", Partition: 2}, {Topic: "zzz", Partition: 0}, {Topic: "", Partition: 0}} {
				for _, limit := range []int32{2000, 2} {
					req := partitionsOf(limit, "describe-c", "describe-d", "describe-e")
					req.Cursor = &c
					x.ask(0, req)
				}
			}
		}},
		{"describe topic partitions: all, a page at a time", func(x *exchange) {
			req := partitionsOf(40)
			for range 3 {
				resp, ok := x.ask(0, req).(*kmsg.DescribeTopicPartitionsResponse)
				if !ok || resp.NextCursor == nil {
					return
				}
				req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
			}
		}},
	}
}
