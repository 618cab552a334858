package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"ottla/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The writers are tested by filling kmsg's response at random, writing the same through ours, and comparing the bytes with kmsg's.

func leaderOf(id, epoch int32) CurrentLeader {
	return CurrentLeader{ID: protocol.BrokerID(id), Epoch: protocol.LeaderEpoch(epoch), Told: id != -1 || epoch != -1}
}

func endOf(epoch int32, end int64) EpochEnd {
	return EpochEnd{Epoch: protocol.LeaderEpoch(epoch), EndOffset: protocol.Offset(end), Told: epoch != -1 || end != -1}
}

// half of the partitions have the tagged fields of a response, as the default leaves them out.
func randomResponse[R kmsg.Response](r *rand.Rand, resp R, version int16) R {
	fill(reflect.ValueOf(resp).Elem(), r)
	resp.SetVersion(version)
	dropTags(reflect.ValueOf(resp).Elem())
	return resp
}

func dropTags(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == tagsType {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			dropTags(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			dropTags(v.Index(i))
		}
	}
}

func writeProduce(w ProduceWriter, b []byte, resp *kmsg.ProduceResponse) []byte {
	b = w.Begin(b, len(resp.Topics))
	for _, topic := range resp.Topics {
		b = w.Topic(b, []byte(topic.Topic), topic.TopicID, len(topic.Partitions))
		for _, p := range topic.Partitions {
			var errs []RecordError
			for _, e := range p.ErrorRecords {
				errs = append(errs, RecordError{BatchIndex: e.RelativeOffset, Message: e.ErrorMessage})
			}
			var at int
			b, at = w.Partition(b, &ProduceResult{ // the numbers come by Patch
				Index: p.Partition, RecordErrors: errs, ErrorMessage: p.ErrorMessage, CurrentLeader: leaderOf(p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch),
			})
			w.Patch(b, at, p.ErrorCode, protocol.Offset(p.BaseOffset), p.LogAppendTime, protocol.Offset(p.LogStartOffset))
		}
		b = w.EndTopic(b)
	}
	var endpoints []NodeEndpoint
	for _, e := range resp.Brokers {
		endpoints = append(endpoints, NodeEndpoint{NodeID: protocol.BrokerID(e.NodeID), Host: e.Host, Port: e.Port, Rack: e.Rack})
	}
	return w.End(b, resp.ThrottleMillis, endpoints)
}

func TestProduceWriterWritesWhatKmsgWrites(t *testing.T) {
	r := random(t)
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		for range 100 {
			resp := randomResponse(r, kmsg.NewPtrProduceResponse(), version)
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					if version < 10 || r.IntN(2) == 0 {
						resp.Topics[i].Partitions[j].CurrentLeader.Default()
					}
				}
			}
			if version < 10 {
				resp.Brokers = nil
			}
			if got, want := writeProduce(ProduceWriter{version}, nil, resp), resp.AppendTo(nil); !bytes.Equal(got, want) {
				t.Fatalf("version %d: %+v\n got %x\nwant %x", version, resp, got, want)
			}
		}
	}
}

func writeFetch(w FetchWriter, b []byte, resp *kmsg.FetchResponse) []byte {
	at := len(b)
	b = w.Begin(b, 0, resp.ErrorCode, resp.SessionID, len(resp.Topics))
	w.PatchThrottle(b, at, resp.ThrottleMillis)
	for _, topic := range resp.Topics {
		b = w.Topic(b, topic.Topic, topic.TopicID, len(topic.Partitions))
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			result := fetchResult(p)
			b, at = w.Partition(b, &result)
			w.PatchError(b, at, p.ErrorCode)
			b = w.EndPartition(append(b, p.RecordBatches...), &result)
		}
		b = w.EndTopic(b)
	}
	var endpoints []NodeEndpoint
	for _, e := range resp.Brokers {
		endpoints = append(endpoints, NodeEndpoint{NodeID: protocol.BrokerID(e.NodeID), Host: e.Host, Port: e.Port, Rack: e.Rack})
	}
	return w.End(b, endpoints)
}

func fetchResult(p *kmsg.FetchResponseTopicPartition) FetchResult {
	var aborted []AbortedTransaction
	if p.AbortedTransactions != nil {
		aborted = []AbortedTransaction{}
	}
	for _, a := range p.AbortedTransactions {
		aborted = append(aborted, AbortedTransaction{ProducerID: protocol.ProducerID(a.ProducerID), FirstOffset: protocol.Offset(a.FirstOffset)})
	}
	size := len(p.RecordBatches)
	if p.RecordBatches == nil {
		size = -1
	}
	return FetchResult{
		Partition: p.Partition, HighWatermark: protocol.Offset(p.HighWatermark), LastStable: protocol.Offset(p.LastStableOffset), LogStart: protocol.Offset(p.LogStartOffset),
		Aborted: aborted, PreferredReadReplica: protocol.BrokerID(p.PreferredReadReplica), RecordsSize: size,
		DivergingEpoch: endOf(p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset), CurrentLeader: leaderOf(p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch),
		SnapshotID: endOf(p.SnapshotID.Epoch, p.SnapshotID.EndOffset),
	}
}

func TestFetchWriterWritesWhatKmsgWrites(t *testing.T) {
	r := random(t)
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		for range 100 {
			resp := randomResponse(r, kmsg.NewPtrFetchResponse(), version)
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					dropFetchTags(&resp.Topics[i].Partitions[j], r.IntN(8))
				}
			}
			if version < 16 {
				resp.Brokers = nil
			}
			if got, want := writeFetch(FetchWriter{version}, nil, resp), resp.AppendTo(nil); !bytes.Equal(got, want) {
				t.Fatalf("version %d: %+v\n got %x\nwant %x", version, resp, got, want)
			}
		}
	}
}

func dropFetchTags(p *kmsg.FetchResponseTopicPartition, which int) {
	if which&1 != 0 {
		p.DivergingEpoch.Default()
	}
	if which&2 != 0 {
		p.CurrentLeader.Default()
	}
	if which&4 != 0 {
		p.SnapshotID.Default()
	}
}

func TestWritersLeaveOutWhatTheVersionHasNot(t *testing.T) {
	leader := CurrentLeader{ID: 1, Epoch: 2, Told: true}
	end := EpochEnd{Epoch: 1, EndOffset: 2, Told: true}
	endpoints := []NodeEndpoint{{NodeID: 1, Host: "h", Port: 2}}
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		w := ProduceWriter{version}
		b, _ := w.Partition(w.Topic(w.Begin(nil, 1), []byte("t"), protocol.TopicID{}, 1), &ProduceResult{CurrentLeader: leader})
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = version
		if err := resp.ReadFrom(w.End(w.EndTopic(b), 3, endpoints)); err != nil {
			t.Fatal(err)
		}
		if told := version >= 10; (len(resp.Brokers) == 1) != told || (resp.Topics[0].Partitions[0].CurrentLeader.LeaderID == 1) != told || resp.ThrottleMillis != 3 {
			t.Errorf("produce version %d: %+v", version, resp)
		}
	}
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		w := FetchWriter{version}
		result := FailedFetch(0, 6)
		result.CurrentLeader, result.DivergingEpoch, result.SnapshotID = leader, end, end
		b, _ := w.Partition(w.Topic(w.Begin(nil, 3, 0, 0, 1), "t", protocol.TopicID{}, 1), &result)
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = version
		if err := resp.ReadFrom(w.End(w.EndTopic(w.EndPartition(b, &result)), endpoints)); err != nil {
			t.Fatal(err)
		}
		p := resp.Topics[0].Partitions[0]
		if (len(resp.Brokers) == 1) != (version >= 16) || (p.CurrentLeader.LeaderID == 1) != (version >= 12) || p.ErrorCode != 6 || p.HighWatermark != -1 ||
			p.RecordBatches == nil || p.AbortedTransactions == nil {
			t.Errorf("fetch version %d: %+v", version, resp)
		}
	}
}

func produceReply(w ProduceWriter, b []byte, name []byte, n int) []byte {
	b = w.Topic(w.Begin(b, 1), name, protocol.TopicID{}, n)
	r := ProduceResult{LogAppendTime: -1}
	for i := range n {
		r.Index = int32(i)
		b, _ = w.Partition(b, &r)
	}
	return w.End(w.EndTopic(b), 0, nil)
}

func fetchReply(w FetchWriter, b []byte, n int) []byte {
	b = w.Topic(w.Begin(b, 0, 0, 7, 1), "topic", protocol.TopicID{}, n)
	r := FetchResult{PreferredReadReplica: -1, RecordsSize: 1 << 20}
	for i := range n {
		r.Partition = int32(i)
		b, _ = w.Partition(b, &r)
		b = w.EndPartition(b, &r)
	}
	return w.End(w.EndTopic(b), nil)
}

func TestWritersAllocateNothing(t *testing.T) {
	b, name := make([]byte, 0, 64<<10), []byte("topic")
	if n := testing.AllocsPerRun(100, func() { produceReply(ProduceWriter{13}, b, name, 100) }); n != 0 {
		t.Errorf("produce: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { fetchReply(FetchWriter{18}, b, 100) }); n != 0 {
		t.Errorf("fetch: %v allocations", n)
	}
}

func BenchmarkProduceWriter(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(partitionsName(n), func(b *testing.B) {
			buf, name := make([]byte, 0, 64<<10), []byte("topic")
			b.ReportAllocs()
			for b.Loop() {
				produceReply(ProduceWriter{13}, buf, name, n)
			}
		})
	}
}

func BenchmarkFetchWriter(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(partitionsName(n), func(b *testing.B) {
			buf := make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				fetchReply(FetchWriter{18}, buf, n)
			}
		})
	}
}
