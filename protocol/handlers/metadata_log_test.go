package handlers

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	peers "ottla/protocol/client"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// fakeMetadata is a log of the metadata that is a fake partition, and a snapshot. The fakes' lock guards it.
type fakeMetadata struct {
	*fakePartition
	failed    error // of ReadCommitted
	end       protocol.Offset
	snapshot  []byte
	committed func() (protocol.Offset, error) // nil never answers
}

func (m *fakeMetadata) ReadCommitted(from protocol.Offset, maxBytes int, out *log.ReadResult) error {
	offsets := m.Offsets()
	var failed error
	with(func() { failed = m.failed })
	if failed != nil {
		*out = log.ReadResult{}
		return failed
	}
	if from >= offsets.HighWatermark {
		*out = log.ReadResult{Offsets: offsets}
		return nil
	}
	return m.Read(log.ReadOptions{From: from, MaxBytes: maxBytes, AtLeastOne: true, CurrentEpoch: -1, LastFetchedEpoch: -1}, out)
}

func (m *fakeMetadata) CommittedWaiters() *purgatory.List { return m.Waiters() }

func (m *fakeMetadata) NewestSnapshot() (protocol.Offset, protocol.Term, bool) {
	fakes.Lock()
	defer fakes.Unlock()
	return m.end, 3, m.snapshot != nil
}

func (m *fakeMetadata) ReadSnapshot(end protocol.Offset, term protocol.Term, position int64, maxBytes int) ([]byte, int64, error) {
	fakes.Lock()
	defer fakes.Unlock()
	size := int64(len(m.snapshot))
	switch {
	case end != m.end || term != 3:
		return nil, 0, kerr.SnapshotNotFound
	case position < 0 || position >= size:
		return nil, size, kerr.PositionOutOfRange
	}
	return m.snapshot[position:min(size, position+int64(max(maxBytes, 0)))], size, nil
}

func (m *fakeMetadata) Committed(done func(protocol.Offset, error)) {
	if m.committed != nil {
		done(m.committed())
	}
}

// fetchMetadata asks for the metadata's log, by id where the version has ids.
func fetchMetadata(version int16, offset int64, waitMs int32) *kmsg.FetchRequest {
	req := fetchRequest(version, fetchOf(protocol.MetadataTopic, 0, offset))
	req.MaxWaitMillis = waitMs
	if version >= 13 {
		req.Topics[0].TopicID = protocol.MetadataTopicID
	}
	return req
}

// fetchedFrom is the one partition of the answer.
func fetchedFrom(t *testing.T, resp *kmsg.FetchResponse) *kmsg.FetchResponseTopicPartition {
	t.Helper()
	if resp.ErrorCode != 0 || resp.SessionID != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("%+v", resp)
	}
	return &resp.Topics[0].Partitions[0]
}

// To clients there is no such topic, as on Apache Kafka's brokers; to nodes in no version that could not name a snapshot, nor with anything beside it.
func TestMetadataIsForNodes(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		r.metadata.fill(t, 2)
		node := r.node(2)
		for v := int16(4); v <= 18; v++ {
			want := kerr.UnknownTopicOrPartition.Code
			if v >= 13 {
				want = kerr.UnknownTopicID.Code
			}
			p := fetchedFrom(t, ask[*kmsg.FetchResponse](r.client(), v, fetchMetadata(v, 0, 0)))
			if p.ErrorCode != want || len(p.RecordBatches) != 0 {
				t.Errorf("version %d of a client: error %d, %d bytes", v, p.ErrorCode, len(p.RecordBatches))
			}
			p = fetchedFrom(t, askAs[*kmsg.FetchResponse](t, node, v, fetchMetadata(v, 0, 0)))
			if served := p.ErrorCode == 0 && len(p.RecordBatches) > 0; served != (v >= snapshotsSince) {
				t.Errorf("version %d of a node: error %d, %d bytes", v, p.ErrorCode, len(p.RecordBatches))
			}
		}
		for name, change := range map[string]func(*kmsg.FetchRequest){
			"another partition": func(req *kmsg.FetchRequest) { req.Topics[0].Partitions[0].Partition = 1 },
			"twice": func(req *kmsg.FetchRequest) {
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
			},
			"with another topic": func(req *kmsg.FetchRequest) {
				req.Topics = append(req.Topics, fetchRequest(17, fetchOf("t", 0, 0)).Topics...)
			},
		} {
			req := fetchMetadata(17, 0, 0)
			change(req)
			if code := askAs[*kmsg.FetchResponse](t, node, 17, req).Topics[0].Partitions[0].ErrorCode; code != kerr.UnknownTopicID.Code {
				t.Errorf("%s: error %d", name, code)
			}
		}
		req := fetchMetadata(17, 0, 0)
		req.ReplicaState.ID = 3
		if p := fetchedFrom(t, askAs[*kmsg.FetchResponse](t, node, 17, req)); p.ErrorCode != kerr.TopicAuthorizationFailed.Code {
			t.Errorf("for another node: %d", p.ErrorCode)
		}
		req = fetchMetadata(17, 0, 0)
		req.SessionEpoch, req.SessionID = 3, 5
		if resp := askAs[*kmsg.FetchResponse](t, node, 17, req); resp.ErrorCode != kerr.FetchSessionIDNotFound.Code {
			t.Errorf("in a session: %d", resp.ErrorCode)
		}
	})
}

// A fetch at the high watermark, or from beyond it, waits for the next entry, as long as it may, and hears of it if this node falls out of the quorum.
func TestMetadataFetchWaits(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		r.metadata.fill(t, 2)
		high := int64(r.metadata.Offsets().HighWatermark)
		poll := func(from int64, waitMs int32) chan *kmsg.FetchResponseTopicPartition {
			node, got := r.node(2), make(chan *kmsg.FetchResponseTopicPartition, 1)
			go func() {
				got <- fetchedFrom(t, askAs[*kmsg.FetchResponse](t, node, 17, fetchMetadata(17, from, waitMs)))
			}()
			synctest.Wait()
			return got
		}
		began := time.Now()
		if p := <-poll(high, 3000); p.ErrorCode != 0 || len(p.RecordBatches) != 0 || p.HighWatermark != high || time.Since(began) != 3*time.Second {
			t.Errorf("%+v after %v", p, time.Since(began))
		}
		began = time.Now()
		if p := <-poll(high+100, 2000); p.ErrorCode != 0 || p.HighWatermark != high || time.Since(began) != 2*time.Second {
			t.Errorf("from beyond: %+v after %v", p, time.Since(began))
		}
		at, next := poll(high, 60_000), poll(high+2, 60_000) // a batch here has two records
		began = time.Now()
		r.metadata.fill(t, 1)
		if p := <-at; len(p.RecordBatches) == 0 || p.HighWatermark != high+2 || time.Since(began) != 0 {
			t.Errorf("%+v after %v", p, time.Since(began))
		}
		synctest.Wait()
		if len(next) != 0 {
			t.Error("who waited for the entry after that was answered")
		}
		with(func() { r.metadata.failed = kerr.NotLeaderForPartition })
		r.metadata.Waiters().Fail()
		if p := <-next; p.ErrorCode != kerr.NotLeaderForPartition.Code || p.HighWatermark != -1 || time.Since(began) != 0 {
			t.Errorf("%+v after %v", p, time.Since(began))
		}
		if p := <-poll(0, 60_000); p.ErrorCode != kerr.NotLeaderForPartition.Code || time.Since(began) != 0 {
			t.Errorf("%+v after %v", p, time.Since(began))
		}
		// Who has gone is not answered, and unlinked.
		with(func() { r.metadata.failed = nil })
		r.metadata.Waiters().Advance(protocol.Offset(high+2), 0)
		node := r.node(2)
		node.Go(t.Context(), 1, 17, fetchMetadata(17, high+2, 60_000).AppendTo(nil), func([]byte, error) {})
		synctest.Wait()
		node.Close()
		synctest.Wait()
		if waiting, _ := r.metadata.Waiters().Waiting(); waiting {
			t.Error("a poll whose connection has gone still waits")
		}
	})
}

// Below the log's start, and at its beginning, there is a snapshot to be fetched first.
func TestMetadataFetchNamesASnapshot(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		r.metadata.fill(t, 5)
		node := r.node(2)
		fetch := func(from int64) *kmsg.FetchResponseTopicPartition {
			return fetchedFrom(t, askAs[*kmsg.FetchResponse](t, node, 17, fetchMetadata(17, from, 60_000)))
		}
		if p := fetch(0); p.ErrorCode != 0 || len(p.RecordBatches) == 0 || p.SnapshotID.EndOffset != -1 {
			t.Errorf("without a snapshot: %+v", p)
		}
		with(func() { r.metadata.end, r.metadata.snapshot = 4, []byte("snapshot") })
		if p := fetch(1); p.ErrorCode != 0 || len(p.RecordBatches) == 0 || p.SnapshotID.EndOffset != -1 {
			t.Errorf("within the log: %+v", p)
		}
		with(func() { r.metadata.offsets.LogStart = 3 })
		for _, from := range []int64{0, 1, 2} {
			if p := fetch(from); p.ErrorCode != 0 || len(p.RecordBatches) != 0 || p.SnapshotID.EndOffset != 4 || p.SnapshotID.Epoch != 3 || p.HighWatermark != 10 || p.LogStartOffset != 3 {
				t.Errorf("from %d: %+v", from, p)
			}
		}
		if p := fetch(3); p.ErrorCode != 0 || len(p.RecordBatches) == 0 || p.SnapshotID.EndOffset != -1 {
			t.Errorf("from the start: %+v", p)
		}
		if p := fetch(-1); p.ErrorCode != kerr.OffsetOutOfRange.Code {
			t.Errorf("from -1: %+v", p)
		}
		with(func() { r.metadata.snapshot = nil })
		if p := fetch(1); p.ErrorCode != kerr.OffsetOutOfRange.Code {
			t.Errorf("without a snapshot: %+v", p)
		}
	})
}

// KIP-630's rules.
func TestFetchSnapshot(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		with(func() { r.metadata.end, r.metadata.snapshot = 4, []byte("a snapshot") })
		node := r.node(2)
		request := func(position int64, most int32) *kmsg.FetchSnapshotRequest {
			req := kmsg.NewPtrFetchSnapshotRequest()
			req.ReplicaID, req.MaxBytes = 2, most
			p := kmsg.NewFetchSnapshotRequestTopicPartition()
			p.Position, p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.CurrentLeaderEpoch = position, 4, 3, -1
			req.Topics = []kmsg.FetchSnapshotRequestTopic{{Topic: protocol.MetadataTopic, Partitions: []kmsg.FetchSnapshotRequestTopicPartition{p}}}
			return req
		}
		for v := range int16(2) {
			for _, tt := range []struct {
				position int64
				most     int32
				want     string
				code     int16
			}{
				{0, 3, "a s", 0}, {3, 100, "napshot", 0}, {9, 1, "t", 0}, {0, 0, "", 0}, {0, -5, "", 0}, {10, 5, "", kerr.PositionOutOfRange.Code}, {-1, 5, "", kerr.PositionOutOfRange.Code},
			} {
				resp := askAs[*kmsg.FetchSnapshotResponse](t, node, v, request(tt.position, tt.most))
				p := resp.Topics[0].Partitions[0]
				if resp.ErrorCode != 0 || p.ErrorCode != tt.code || string(p.Bytes) != tt.want || p.Position != tt.position || p.Size != 10 && tt.code == 0 || p.SnapshotID.EndOffset != 4 || p.SnapshotID.Epoch != 3 {
					t.Errorf("version %d, %+v: %d, %+v", v, tt, resp.ErrorCode, p)
				}
			}
		}
		whole := func(change func(*kmsg.FetchSnapshotRequest)) int16 {
			req := request(0, 5)
			change(req)
			return askAs[*kmsg.FetchSnapshotResponse](t, node, 1, req).ErrorCode
		}
		other, ours := "another", clusterID
		for name, tt := range map[string]struct {
			change func(*kmsg.FetchSnapshotRequest)
			want   int16
		}{
			"our cluster":     {func(req *kmsg.FetchSnapshotRequest) { req.ClusterID = &ours }, 0},
			"another cluster": {func(req *kmsg.FetchSnapshotRequest) { req.ClusterID = &other }, kerr.InconsistentClusterID.Code},
			"another node":    {func(req *kmsg.FetchSnapshotRequest) { req.ReplicaID = 3 }, kerr.ClusterAuthorizationFailed.Code},
			"no topics":       {func(req *kmsg.FetchSnapshotRequest) { req.Topics = nil }, kerr.InvalidRequest.Code},
			"no partitions":   {func(req *kmsg.FetchSnapshotRequest) { req.Topics[0].Partitions = nil }, kerr.InvalidRequest.Code},
			"two topics":      {func(req *kmsg.FetchSnapshotRequest) { req.Topics = append(req.Topics, req.Topics[0]) }, kerr.InvalidRequest.Code},
		} {
			if code := whole(tt.change); code != tt.want {
				t.Errorf("%s: %d", name, code)
			}
		}
		for name, tt := range map[string]struct {
			change func(*kmsg.FetchSnapshotRequestTopic)
			want   *kerr.Error
		}{
			"another topic":     {func(o *kmsg.FetchSnapshotRequestTopic) { o.Topic = "t" }, kerr.UnknownTopicOrPartition},
			"another partition": {func(o *kmsg.FetchSnapshotRequestTopic) { o.Partitions[0].Partition = 1 }, kerr.UnknownTopicOrPartition},
			"another snapshot":  {func(o *kmsg.FetchSnapshotRequestTopic) { o.Partitions[0].SnapshotID.EndOffset = 5 }, kerr.SnapshotNotFound},
			"no term":           {func(o *kmsg.FetchSnapshotRequestTopic) { o.Partitions[0].SnapshotID.Epoch = -1 }, kerr.SnapshotNotFound},
		} {
			req := request(0, 5)
			tt.change(&req.Topics[0])
			if p := askAs[*kmsg.FetchSnapshotResponse](t, node, 1, req).Topics[0].Partitions[0]; p.ErrorCode != tt.want.Code || len(p.Bytes) != 0 {
				t.Errorf("%s: %+v", name, p)
			}
		}
		c := r.client()
		c.send(1, request(0, 5))
		c.closed()
	})
}

func TestCommittedIsAsked(t *testing.T) {
	inRig(t, server.Options{}, func(t *testing.T, r *rig) {
		call := func(node *peers.Conn) peer.Committed {
			t.Helper()
			reply, err := node.Call(t.Context(), peer.KeyCommitted, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := peer.ParseCommitted(reply)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		node := r.node(2)
		for _, want := range []peer.Committed{{Offset: 77}, {Offset: -1, Err: kerr.NotController}} {
			with(func() { r.metadata.committed = func() (protocol.Offset, error) { return want.Offset, want.Err } })
			if got := call(node); got.Offset != want.Offset || !errors.Is(got.Err, want.Err) {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		with(func() { r.metadata.committed = nil })
		began := time.Now()
		if got := call(node); !errors.Is(got.Err, kerr.RequestTimedOut) || time.Since(began) != defaultTimeout {
			t.Errorf("%+v after %v", got, time.Since(began))
		}
		if reply, err := node.Call(t.Context(), peer.KeyCommitted, 0, []byte{1}); !peers.Reset(err) {
			t.Errorf("with a body: %x, %v", reply, err)
		}
		r.Metadata = nil
		if got := call(r.node(2)); !errors.Is(got.Err, kerr.NotController) {
			t.Errorf("a node that has no part in the quorum: %+v", got)
		}
	})
}

// A node without a part in the quorum has no log of it for anybody, and does not say so.
func TestWithoutMetadata(t *testing.T) {
	b, _, _ := newNode(t)
	o := b.Options
	o.Metadata = nil
	h := New(o)
	if h.row(59) != nil || slices.ContainsFunc(h.index, func(r *row) bool { return r != nil && r.key == 59 }) {
		t.Error("FetchSnapshot is served")
	}
	req := fetchMetadata(17, 0, 0)
	c := &server.Call{Key: 1, Version: 17, Body: req.AppendTo(nil), Conn: &server.Conn{}, Received: time.Now()}
	c.Conn.SetPeer(protocol.Node{ID: 2})
	h.Dispatch(c)
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 17
	if err := resp.ReadFrom(c.Reply.Buf()); err != nil || fetchedFrom(t, resp).ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("%+v, %v", resp, err)
	}
}
