//go:build gates

package gates

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
	"ottla/protocol"
)

// request is one that is measured.
type request struct {
	name   string
	depth  int // requests in one burst; 0: one
	bursts int // that are counted; 0: 400
	make   func(s *scene, n int) kmsg.Request
	fresh  bool // the n-th has to differ from the others
	// check gives the error in an answer.
	check func(kmsg.Response) int16
}

// requests is all that is measured. Versions are those of today's clients.
var requests = []request{
	{name: "Produce/1KB", depth: 5, make: producing("one", 1000), check: produced},
	{name: "Produce/16KiB", depth: 5, make: producing("one", 16<<10), check: produced},
	{name: "Produce/128KiB", depth: 5, bursts: 60, make: producing("one", 128<<10), check: produced},
	{name: "Produce/8partitions", make: producingMany, check: produced},
	{name: "Fetch/1KB", make: fetching("small", 1), check: fetched},
	{name: "Fetch/128KiB", make: fetching("large", 1), check: fetched},
	{name: "Fetch/nothing", make: fetching("empty", 0), check: fetched},
	{name: "ListOffsets", make: listing, check: func(r kmsg.Response) int16 { return r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode }},
	{name: "OffsetCommit", make: committing, check: func(r kmsg.Response) int16 { return r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode }},
	{name: "OffsetFetch", make: offsetFetching, check: func(r kmsg.Response) int16 { return r.(*kmsg.OffsetFetchResponse).Groups[0].ErrorCode }},
	{name: "Heartbeat", make: beating, check: func(r kmsg.Response) int16 { return r.(*kmsg.HeartbeatResponse).ErrorCode }},
	{name: "FindCoordinator", make: finding, check: func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode }},
	{name: "Metadata/one", make: describing("one"), check: described},
	{name: "Metadata/64topics", bursts: 100, make: describing(manyTopics()...), check: described},
	{name: "ApiVersions", make: versionsOf, check: func(r kmsg.Response) int16 { return r.(*kmsg.ApiVersionsResponse).ErrorCode }},
	{name: "InitProducerID", make: introducing, check: func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode }},
	{name: "CreateTopics/1partition", bursts: 100, make: creating, fresh: true, check: func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode }},
}

const (
	group    = "gates"
	many     = 64
	usualRun = 400 // bursts
)

func manyTopics() []string {
	var names []string
	for i := range many {
		names = append(names, fmt.Sprint("many-", i))
	}
	return names
}

// burst is the n-th burst of requests.
func (q *request) burst(s *scene, n int) []byte {
	var frames []byte
	for range q.size() {
		frames = append(frames, frame(q.make(s, n))...)
	}
	return frames
}

func (q *request) size() int { return max(q.depth, 1) }

func (q *request) counted() int {
	if q.bursts == 0 {
		return usualRun
	}
	return q.bursts
}

// confirm sends the n-th request and fails the test if the answer is an error.
func (q *request) confirm(t *testing.T, s *scene, n int) {
	t.Helper()
	resp, err := s.conn.ask(q.make(s, n))
	if err == nil {
		err = kerr.ErrorForCode(q.check(resp))
	}
	if err != nil {
		t.Fatalf("%s: %v", q.name, err)
	}
}

// prepare warms the node up and gives what has to be sent.
func (q *request) prepare(t *testing.T, s *scene) [][]byte {
	t.Helper()
	warm := q.counted() / 10
	for n := range warm {
		q.confirm(t, s, n)
		if !q.fresh {
			if err := s.conn.burst(q.burst(s, n), q.size()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !q.fresh {
		return slices.Repeat([][]byte{q.burst(s, 0)}, q.counted())
	}
	var bursts [][]byte
	for n := range q.counted() {
		bursts = append(bursts, q.burst(s, warm+n))
	}
	return bursts
}

// send is what is measured.
func (q *request) send(s *scene, bursts [][]byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return err
	}
	for _, b := range bursts {
		if err := s.conn.burst(b, q.size()); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return nil
}

func records(size int) []byte {
	b := batch.NewBuilder()
	value := make([]byte, 900)
	for n := 0; n == 0 || b.Size()+len(value) <= size; n++ {
		b.Add(time.Now().UnixMilli(), nil, value)
	}
	return b.Build(nil)
}

func producing(topic string, size int) func(*scene, int) kmsg.Request {
	raw := records(size)
	return func(*scene, int) kmsg.Request { return produce(topic, raw, 1) }
}

func producingMany(*scene, int) kmsg.Request { return produce("eight", records(1000), 8) }

func produce(topic string, raw []byte, partitions int32) kmsg.Request {
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = i, raw
		t.Partitions = append(t.Partitions, p)
	}
	r := kmsg.NewPtrProduceRequest()
	r.Version, r.Acks, r.TimeoutMillis, r.Topics = 11, -1, 30000, append(r.Topics, t)
	return r
}

func produced(r kmsg.Response) int16 {
	return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

// fetching asks for one batch from the start of a topic.
func fetching(topic string, minBytes int32) func(*scene, int) kmsg.Request {
	return func(*scene, int) kmsg.Request {
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 100 // one batch comes whole, however large
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		r := kmsg.NewPtrFetchRequest()
		r.Version, r.MaxBytes, r.MinBytes, r.SessionEpoch, r.Topics = 12, 8<<20, minBytes, -1, append(r.Topics, t)
		return r
	}
}

func fetched(r kmsg.Response) int16 {
	return r.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
}

func listing(*scene, int) kmsg.Request {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = "one", append(t.Partitions, p)
	r := kmsg.NewPtrListOffsetsRequest()
	r.Version, r.Topics = 7, append(r.Topics, t)
	return r
}

func committing(s *scene, _ int) kmsg.Request {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = 1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = "one", append(t.Partitions, p)
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Version, r.Group, r.MemberID, r.Generation, r.Topics = 8, group, s.member, s.generation, append(r.Topics, t)
	return r
}

func offsetFetching(*scene, int) kmsg.Request {
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = "one", []int32{0}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, append(g.Topics, t)
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Version, r.Groups = 8, append(r.Groups, g)
	return r
}

func beating(s *scene, _ int) kmsg.Request {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Version, r.Group, r.MemberID, r.Generation = 4, group, s.member, s.generation
	return r
}

func finding(*scene, int) kmsg.Request {
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.Version, r.CoordinatorKeys = 4, []string{group}
	return r
}

func describing(topics ...string) func(*scene, int) kmsg.Request {
	return func(*scene, int) kmsg.Request {
		r := kmsg.NewPtrMetadataRequest()
		r.Version = 12
		for _, name := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

func described(r kmsg.Response) int16 { return r.(*kmsg.MetadataResponse).Topics[0].ErrorCode }

func versionsOf(*scene, int) kmsg.Request {
	r := kmsg.NewPtrApiVersionsRequest()
	r.Version, r.ClientSoftwareName, r.ClientSoftwareVersion = 3, "gates", "1"
	return r
}

func introducing(*scene, int) kmsg.Request {
	r := kmsg.NewPtrInitProducerIDRequest()
	r.Version, r.ProducerID, r.ProducerEpoch = 4, int64(protocol.NoProducerID), int16(protocol.NoProducerEpoch)
	return r
}

func creating(_ *scene, n int) kmsg.Request { return create(fmt.Sprint("created-", n), 1) }

func create(name string, partitions int32) kmsg.Request {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Version, r.TimeoutMillis, r.Topics = 7, int32(patience.Milliseconds()), append(r.Topics, t)
	return r
}
