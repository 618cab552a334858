package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"ottla/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func partitionsName(n int) string { return fmt.Sprintf("partitions=%d", n) }

// scanFetch collects what a scanner gives in kmsg's type.
func scanFetch(s *FetchScanner) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = s.Version()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = s.MaxWaitMs, s.MinBytes, s.MaxBytes, s.Isolation
	if req.Version < 15 {
		req.ReplicaID = int32(s.ReplicaID)
	} else {
		req.ReplicaState.ID, req.ReplicaState.Epoch = int32(s.ReplicaID), int64(s.ReplicaEpoch)
	}
	req.SessionID, req.SessionEpoch, req.Rack = s.SessionID, s.SessionEpoch, string(s.RackID)
	if s.ClusterID != nil {
		req.ClusterID = kmsg.StringPtr(string(s.ClusterID))
	}
	s.Rewind()
	for name, id, ok := s.NextTopic(); ok; name, id, ok = s.NextTopic() {
		topic := kmsg.FetchRequestTopic{Topic: string(name), TopicID: id}
		for p := (FetchPartition{}); s.NextPartition(&p); {
			topic.Partitions = append(topic.Partitions, kmsg.FetchRequestTopicPartition{
				Partition: p.Partition, CurrentLeaderEpoch: int32(p.CurrentLeaderEpoch), FetchOffset: int64(p.FetchOffset), LastFetchedEpoch: int32(p.LastFetchedEpoch),
				LogStartOffset: int64(p.LogStartOffset), PartitionMaxBytes: p.MaxBytes, ReplicaDirectoryID: p.ReplicaDirectoryID, HighWatermark: int64(p.HighWatermark),
			})
		}
		req.Topics = append(req.Topics, topic)
	}
	s.RewindForgotten()
	for name, id, ok := s.NextForgottenTopic(); ok; name, id, ok = s.NextForgottenTopic() {
		topic := kmsg.FetchRequestForgottenTopic{Topic: string(name), TopicID: id}
		for p, ok := s.NextForgottenPartition(); ok; p, ok = s.NextForgottenPartition() {
			topic.Partitions = append(topic.Partitions, p)
		}
		req.ForgottenTopics = append(req.ForgottenTopics, topic)
	}
	return req
}

// compareFetch: what we accept, kmsg decodes to the same.
func compareFetch(t *testing.T, version int16, body []byte) error {
	t.Helper()
	var s FetchScanner
	if err := s.Reset(version, body); err != nil {
		if _, _, ok := s.NextTopic(); ok {
			t.Fatalf("a topic after %v", err)
		}
		return err
	}
	want := kmsg.NewPtrFetchRequest()
	if err := Decode(want, version, body); err != nil && !errors.Is(err, ErrTooLarge) {
		t.Fatalf("version %d: scanned, but %v", version, err)
	} else if err == nil {
		equalRequests(t, scanFetch(&s), want)
		equalRequests(t, scanFetch(&s), want)
	}
	return nil
}

// fetchBody is a random body without the tags that its version does not have yet: kmsg writes them all the same.
func fetchBody(r *rand.Rand, version int16) []byte {
	req := kmsg.NewPtrFetchRequest()
	fill(reflect.ValueOf(req).Elem(), r)
	if req.Version = version; version < 15 {
		req.ReplicaID, req.ReplicaState = int32(r.IntN(3)), kmsg.NewFetchRequestReplicaState()
	}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			if version < 17 {
				p.ReplicaDirectoryID = [16]byte{}
			}
			if version < 18 {
				p.HighWatermark = int64(UnknownHighWatermark)
			}
		}
	}
	return req.AppendTo(nil)
}

func TestFetchScannerReadsWhatKmsgWrites(t *testing.T) {
	r := random(t)
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		for range 50 {
			if err := compareFetch(t, version, fetchBody(r, version)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFetchScannerRefuses(t *testing.T) {
	r := random(t)
	var s FetchScanner
	for _, version := range []int16{-1, 0, 3, 19} {
		if err := s.Reset(version, nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		body := fetchBody(r, version)
		for n := range body {
			if err := s.Reset(version, body[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("version %d cut to %d of %d: %v", version, n, len(body), err)
			}
		}
		if err := s.Reset(version, append(body, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("version %d with a byte too much: %v", version, err)
		}
	}
}

func TestFetchScannerRefusesTagsOfLaterVersions(t *testing.T) {
	partition := kmsg.NewFetchRequestTopicPartition()
	for _, c := range []struct {
		change func(*kmsg.FetchRequest)
		since  int16
	}{
		{func(r *kmsg.FetchRequest) { r.ReplicaState.ID = 3 }, 15},
		{func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].ReplicaDirectoryID[0] = 1 }, 17},
		{func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].HighWatermark = 5 }, 18},
	} {
		req := kmsg.NewPtrFetchRequest()
		req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{partition}}}
		c.change(req)
		for _, version := range []int16{c.since - 1, c.since} {
			req.Version = version
			var s FetchScanner
			if err := s.Reset(version, req.AppendTo(nil)); (err == nil) != (version >= c.since) {
				t.Errorf("version %d, tag of %d: %v", version, c.since, err)
			}
		}
	}
}

func TestFetchScannerDefaults(t *testing.T) {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 4
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: make([]kmsg.FetchRequestTopicPartition, 1)}}
	var s FetchScanner
	if err := s.Reset(4, req.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	if s.SessionID != NoSessionID || s.SessionEpoch != FinalSessionEpoch || s.ReplicaID != protocol.NoBroker || s.ReplicaEpoch != -1 || s.ForgottenTopics != 0 {
		t.Errorf("%+v", s)
	}
	var p FetchPartition
	s.NextTopic()
	if !s.NextPartition(&p) || p != (FetchPartition{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1, HighWatermark: UnknownHighWatermark}) {
		t.Errorf("%+v", p)
	}
	s.RewindForgotten()
	if _, _, ok := s.NextForgottenTopic(); ok {
		t.Error("a forgotten topic")
	}
}

func FuzzFetchScanner(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		f.Add(version, fetchBody(r, version))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		_ = compareFetch(t, version, body)
	})
}

// manyPartitions is a version 18 body of one topic.
func manyPartitions(n int) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 18
	topic := kmsg.NewFetchRequestTopic()
	for i := range n {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = int32(i)
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req.AppendTo(nil)
}

func readAllFetch(s *FetchScanner, body []byte) (sum int32) {
	_ = s.Reset(18, body)
	var p FetchPartition
	for _, _, ok := s.NextTopic(); ok; _, _, ok = s.NextTopic() {
		for s.NextPartition(&p) {
			sum += p.Partition
		}
	}
	return sum
}

func TestFetchScannerAllocatesNothing(t *testing.T) {
	var s FetchScanner
	body := manyPartitions(100)
	if n := testing.AllocsPerRun(100, func() { readAllFetch(&s, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFetchScanner(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(partitionsName(n), func(b *testing.B) {
			var s FetchScanner
			body := manyPartitions(n)
			b.ReportAllocs()
			for b.Loop() {
				readAllFetch(&s, body)
			}
		})
	}
}
