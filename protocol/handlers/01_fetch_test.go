package handlers

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// asked is one partition of a Fetch request.
type asked struct {
	topic string
	kmsg.FetchRequestTopicPartition
}

func fetchOf(topic string, partition int32, offset int64) asked {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = partition, offset, 1<<20, -1
	return asked{topic, p}
}

func fetchRequest(version int16, partitions ...asked) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, -1, 0, 1, 1<<20, -1
	for _, p := range partitions {
		t := kmsg.NewFetchRequestTopic()
		if version >= 13 {
			t.TopicID = idOf(p.topic)
		} else {
			t.Topic = p.topic
		}
		t.Partitions = append(t.Partitions, p.FetchRequestTopicPartition)
		req.Topics = append(req.Topics, t)
	}
	return req
}

func fetched(t *testing.T, resp *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
	t.Helper()
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("answer %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

// fill appends n batches of two records each and commits them; it returns the bytes as they are stored.
func (p *fakePartition) fill(t testing.TB, n int) []byte {
	t.Helper()
	var all []byte
	var info log.AppendInfo
	for range n {
		b := records(2)
		if err := p.Append(b, 1, log.AppendOptions{}, &info); err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	p.commit()
	return all
}

func TestFetchReads(t *testing.T) {
	each(t, 1, func(t *testing.T, b *broker, c *client, v int16) {
		stored := b.p0.fill(t, 3)
		resp := ask[*kmsg.FetchResponse](c, v, fetchRequest(v, fetchOf("t", 0, 2)))
		got := fetched(t, resp)
		if v >= 13 && resp.Topics[0].TopicID != idOf("t") || v < 13 && resp.Topics[0].Topic != "t" {
			t.Errorf("topic %+v", resp.Topics[0])
		}
		if !bytes.Equal(got.RecordBatches, stored[len(stored)/3:]) || got.HighWatermark != 6 || got.LastStableOffset != 6 || got.AbortedTransactions != nil || got.PreferredReadReplica != -1 {
			t.Errorf("got %+v", got)
		}
		end := fetched(t, ask[*kmsg.FetchResponse](c, v, fetchRequest(v, fetchOf("t", 0, 6))))
		if len(end.RecordBatches) != 0 || end.ErrorCode != 0 {
			t.Errorf("at the end: %+v", end)
		}
	})
}

func TestFetchErrors(t *testing.T) {
	withEpoch := func(e int32) asked {
		p := fetchOf("t", 0, 0)
		p.CurrentLeaderEpoch = e
		return p
	}
	for _, tt := range []struct {
		name    string
		version int16
		change  func(*broker, *kmsg.FetchRequest)
		ask     asked
		want    *kerr.Error
	}{
		{"unknown topic", 12, nil, fetchOf("nope", 0, 0), kerr.UnknownTopicOrPartition},
		{"unknown topic id", 13, nil, fetchOf("nope", 0, 0), kerr.UnknownTopicID},
		{"unknown partition", 13, nil, fetchOf("t", 4, 0), kerr.UnknownTopicOrPartition},
		{"led elsewhere", 11, nil, fetchOf("t", 2, 0), kerr.NotLeaderForPartition},
		{"out of range", 11, nil, fetchOf("t", 0, 1), kerr.OffsetOutOfRange},
		{"fenced", 11, nil, withEpoch(4), kerr.FencedLeaderEpoch},
		{"unknown epoch", 11, nil, withEpoch(6), kerr.UnknownLeaderEpoch},
		{"denied", 11, func(b *broker, _ *kmsg.FetchRequest) { b.authorizer.deny(protocol.OpRead, protocol.ResourceTopic, "t") }, fetchOf("t", 0, 0), kerr.TopicAuthorizationFailed},
		{"denied by id", 17, func(b *broker, _ *kmsg.FetchRequest) { b.authorizer.deny(protocol.OpRead, protocol.ResourceTopic, "t") }, fetchOf("t", 9, 0), kerr.TopicAuthorizationFailed},
		{"denied and unknown", 11, func(b *broker, _ *kmsg.FetchRequest) { with(func() { b.authorizer.denyAll = true }) }, fetchOf("nope", 0, 0), kerr.TopicAuthorizationFailed},
		{"a replica", 11, func(_ *broker, r *kmsg.FetchRequest) { r.ReplicaID = 2 }, fetchOf("t", 0, 0), kerr.TopicAuthorizationFailed},
		{"a replica by its state", 16, func(_ *broker, r *kmsg.FetchRequest) { r.ReplicaState.ID = 2 }, fetchOf("t", 0, 0), kerr.TopicAuthorizationFailed},
		{"isolation level", 4, func(_ *broker, r *kmsg.FetchRequest) { r.IsolationLevel = 2 }, fetchOf("t", 0, 0), kerr.InvalidRequest},
		{"a broken disk", 4, func(b *broker, _ *kmsg.FetchRequest) { with(func() { b.p0.err = kerr.KafkaStorageError }) }, fetchOf("t", 0, 0), kerr.KafkaStorageError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBroker(t)
			req := fetchRequest(tt.version, tt.ask)
			req.MaxWaitMillis = 60_000 // an error never waits
			if tt.change != nil {
				tt.change(b, req)
			}
			got := fetched(t, ask[*kmsg.FetchResponse](b.dial(t), tt.version, req))
			if got.ErrorCode != tt.want.Code || got.HighWatermark != -1 || got.LastStableOffset != -1 || got.LogStartOffset != -1 || len(got.RecordBatches) != 0 {
				t.Errorf("got %+v, want code %d", got, tt.want.Code)
			}
		})
	}
}

func TestFetchTellsTheLeader(t *testing.T) {
	each(t, 1, func(t *testing.T, b *broker, c *client, v int16) {
		resp := ask[*kmsg.FetchResponse](c, v, fetchRequest(v, fetchOf("t", 2, 0)))
		got := fetched(t, resp)
		if told := got.CurrentLeader.LeaderID == 3 && len(resp.Brokers) == 1 && resp.Brokers[0].Host == "h3"; told != (v >= 16) {
			t.Errorf("told %+v %+v", got.CurrentLeader, resp.Brokers)
		}
	})
}

func TestFetchDiverging(t *testing.T) {
	b := newBroker(t)
	b.p0.fill(t, 1)
	p := fetchOf("t", 0, 2)
	p.LastFetchedEpoch = 9
	req := fetchRequest(12, p)
	req.MaxWaitMillis = 60_000
	got := fetched(t, ask[*kmsg.FetchResponse](b.dial(t), 12, req))
	if got.DivergingEpoch.Epoch != 5 || got.DivergingEpoch.EndOffset != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestFetchReadCommitted(t *testing.T) {
	b := newBroker(t)
	b.p0.fill(t, 1)
	req := fetchRequest(11, fetchOf("t", 0, 0))
	req.IsolationLevel = 1
	if got := fetched(t, ask[*kmsg.FetchResponse](b.dial(t), 11, req)); got.AbortedTransactions == nil || len(got.AbortedTransactions) != 0 {
		t.Errorf("aborted transactions %v, want none", got.AbortedTransactions)
	}
}

func TestFetchLimits(t *testing.T) {
	b := newBroker(t)
	size := len(b.p0.fill(t, 4)) / 4
	b.p1.fill(t, 4)
	c := b.dial(t)
	sizes := func(max int32, partitionMax int32) (got [2]int) {
		one, two := fetchOf("t", 0, 0), fetchOf("t", 1, 0)
		one.PartitionMaxBytes, two.PartitionMaxBytes = partitionMax, partitionMax
		req := fetchRequest(11, one, two)
		req.MaxBytes = max
		resp := ask[*kmsg.FetchResponse](c, 11, req)
		if len(resp.Topics) != 1 { // one run of partitions of the same topic
			t.Fatalf("answer %+v", resp)
		}
		for i, p := range resp.Topics[0].Partitions {
			got[i] = len(p.RecordBatches) / size
		}
		return got
	}
	for _, tt := range []struct {
		max, partitionMax int32
		want              [2]int
	}{
		{1 << 20, 1 << 20, [2]int{4, 4}},
		{int32(5 * size), 1 << 20, [2]int{4, 1}},
		{1 << 20, int32(2*size + 1), [2]int{2, 2}},
		{1, 1, [2]int{1, 0}}, // always one batch, of the first partition that has any
		{0, 0, [2]int{1, 0}},
		{-5, -5, [2]int{1, 0}},
	} {
		if got := sizes(tt.max, tt.partitionMax); got != tt.want {
			t.Errorf("max %d, partition max %d: %v batches, want %v", tt.max, tt.partitionMax, got, tt.want)
		}
	}
	with(func() { b.settings.Static = map[string]string{"fetch.max.bytes": "1024"} })
	b.limits.Store(nil)
	if got := sizes(1<<20, 1<<20); got[0]+got[1] > 1024/size {
		t.Errorf("fetch.max.bytes does not bound: %v batches of %d bytes", got, size)
	}
}

func TestFetchWaits(t *testing.T) {
	each(t, 1, func(t *testing.T, b *broker, c *client, v int16) {
		req := fetchRequest(v, fetchOf("t", 0, 0), fetchOf("t", 1, 0))
		req.MaxWaitMillis, req.MinBytes = 60_000, 100
		c.send(v, req)
		waitFor(t, func() bool { _, bytes := b.p1.waiters.Waiting(); return bytes })
		stored := b.p1.fill(t, 1)
		if len(stored) >= 100 {
			t.Fatalf("%d bytes are no test", len(stored))
		}
		stored = append(stored, b.p1.fill(t, 1)...)
		resp := answerTo[*kmsg.FetchResponse](c, v, req)
		if got := resp.Topics[0].Partitions; len(got) != 2 || len(got[0].RecordBatches) != 0 || !bytes.Equal(got[1].RecordBatches, stored) {
			t.Errorf("got %+v", resp)
		}
	})
}

// A topic that was deleted is told with what there is to tell of the others, and not at once, for ever again.
func TestFetchWaitsBesideWhatIsNotThere(t *testing.T) {
	for _, version := range []int16{12, 18} {
		b := newBroker(t)
		c := b.dial(t)
		req := fetchRequest(version, fetchOf("nope", 0, 0), fetchOf("t", 0, 0), fetchOf("t", 9, 0))
		req.MaxWaitMillis = 60_000
		c.send(version, req)
		waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
		stored := b.p0.fill(t, 1)
		var codes []int16
		for _, topic := range answerTo[*kmsg.FetchResponse](c, version, req).Topics {
			for _, p := range topic.Partitions {
				if codes = append(codes, p.ErrorCode); p.ErrorCode == 0 && !bytes.Equal(p.RecordBatches, stored) {
					t.Errorf("got %+v", p)
				}
			}
		}
		want := []int16{kerr.UnknownTopicOrPartition.Code, 0, kerr.UnknownTopicOrPartition.Code}
		if version >= 13 {
			want[0] = kerr.UnknownTopicID.Code
		}
		if !slices.Equal(codes, want) {
			t.Errorf("version %d: codes %v, want %v", version, codes, want)
		}
	}
}

func TestFetchWaitEnds(t *testing.T) {
	b := newBroker(t)
	b.p0.fill(t, 1)
	c := b.dial(t)
	req := fetchRequest(11, fetchOf("t", 0, 0))
	req.MaxWaitMillis, req.MinBytes = 30, 1<<19
	began := time.Now()
	if got := fetched(t, ask[*kmsg.FetchResponse](c, 11, req)); len(got.RecordBatches) == 0 {
		t.Error("what was there is not sent at the deadline")
	}
	if waited := time.Since(began); waited < 30*time.Millisecond {
		t.Errorf("waited %v", waited)
	}

	req.MaxWaitMillis = 60_000
	c.send(11, req)
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
	with(func() { b.p0.err = kerr.NotLeaderForPartition })
	b.p0.waiters.Fail()
	if got := fetched(t, answerTo[*kmsg.FetchResponse](c, 11, req)); got.ErrorCode != kerr.NotLeaderForPartition.Code {
		t.Errorf("got %+v", got)
	}
}

func TestFetchEndsWithTheConnection(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := fetchRequest(11, fetchOf("t", 0, 0))
	req.MaxWaitMillis = 60_000
	c.send(11, req)
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
	_ = c.conn.Close()
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return !bytes })
}

func TestFetchSession(t *testing.T) {
	for _, v := range []int16{7, 12, 13, 18} {
		b := newBroker(t)
		b.p0.fill(t, 1)
		c := b.dial(t)
		req := fetchRequest(v, fetchOf("t", 0, 0), fetchOf("t", 1, 0))
		req.SessionEpoch = 0
		full := ask[*kmsg.FetchResponse](c, v, req)
		if full.SessionID == 0 || len(full.Topics) != 1 || len(full.Topics[0].Partitions) != 2 {
			t.Fatalf("v%d: full answer %+v", v, full)
		}
		incremental := func(epoch int32, partitions ...asked) *kmsg.FetchResponse {
			req := fetchRequest(v, partitions...)
			req.SessionID, req.SessionEpoch = full.SessionID, epoch
			return ask[*kmsg.FetchResponse](c, v, req)
		}
		if resp := incremental(1, fetchOf("t", 0, 2)); resp.ErrorCode != 0 || len(resp.Topics) != 0 {
			t.Errorf("v%d: nothing new, but %+v", v, resp)
		}
		b.p1.fill(t, 1)
		if resp := incremental(2); len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != 1 || len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
			t.Errorf("v%d: got %+v, want partition 1", v, resp)
		}
		if resp := incremental(9); resp.ErrorCode != kerr.InvalidFetchSessionEpoch.Code || resp.SessionID != 0 {
			t.Errorf("v%d: wrong epoch: %+v", v, resp)
		}
		req = fetchRequest(v)
		req.SessionID, req.SessionEpoch = 12345, 1
		if resp := ask[*kmsg.FetchResponse](c, v, req); resp.ErrorCode != kerr.FetchSessionIDNotFound.Code {
			t.Errorf("v%d: unknown session: %+v", v, resp)
		}
	}
}

// A waiting fetch of a session may be followed by the session's next request, whose answer comes after.
func TestFetchSessionWaits(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := fetchRequest(11, fetchOf("t", 0, 0))
	req.SessionEpoch = 0
	full := ask[*kmsg.FetchResponse](c, 11, req)
	next := fetchRequest(11)
	next.SessionID, next.SessionEpoch, next.MaxWaitMillis = full.SessionID, 1, 60_000
	c.send(11, next)
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
	b.p0.fill(t, 1)
	if resp := answerTo[*kmsg.FetchResponse](c, 11, next); len(resp.Topics) != 1 {
		t.Errorf("got %+v", resp)
	}
	next.SessionEpoch, next.MaxWaitMillis = 2, 0
	if resp := ask[*kmsg.FetchResponse](c, 11, next); resp.ErrorCode != 0 {
		t.Errorf("got %+v", resp)
	}
}

func TestBatchSizeOfTheTests(t *testing.T) {
	var h batch.Header
	if b := records(2); batch.ParseHeader(b, &h) != nil || h.Size() != len(b) || h.Count != 2 {
		t.Errorf("header %+v", h)
	}
}
