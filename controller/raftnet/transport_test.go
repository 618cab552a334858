package raftnet

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/protocol"
	"ottla/protocol/peer"
)

func TestMessagesArriveWholeAndInOrder(t *testing.T) {
	inRig(t, 3, func(t *testing.T, r *rig) {
		one := r.members[1]
		var sent []*pb.Message
		for i := range uint64(500) {
			sent = append(sent, entriesOf(1, 2, i, int(i)*7), msg(pb.MsgHeartbeat, 1, 3, i))
		}
		r.connect(1, 2)
		r.connect(1, 3)
		one.transport.Send(sent)
		synctest.Wait()
		for id, of := range map[protocol.BrokerID]int{2: 0, 3: 1} {
			got := r.members[id].took()
			if len(got) != 500 {
				t.Fatalf("%d messages came to %d", len(got), id)
			}
			for i, m := range got {
				if want := sent[2*i+of]; !proto.Equal(m, want) {
					t.Fatalf("message %d to %d is %v, want %v", i, id, m.GetIndex(), want.GetIndex())
				}
			}
		}
		one.wantEvents("all is well")
	})
}

// The first messages, which an election is made of, wait for the first connection.
func TestFirstMessagesWaitForTheConnection(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		r.network.SetLatency(20 * time.Millisecond)
		r.members[1].transport.Send([]*pb.Message{msg(pb.MsgPreVote, 1, 2, 1)})
		r.members[1].transport.Send([]*pb.Message{msg(pb.MsgVote, 1, 2, 2)})
		time.Sleep(time.Second)
		if got := r.members[2].took(); len(got) != 2 || got[0].GetType() != pb.MsgPreVote || got[1].GetType() != pb.MsgVote {
			t.Errorf("%v", got)
		}
	})
}

// Send never blocks, and holds no more than it may, whatever does not get through: entries are dropped first, old ones before new ones, and raft is told.
func TestNothingBlocksOnAMemberThatTakesNothing(t *testing.T) {
	inRig(t, 1, func(t *testing.T, r *rig) {
		r.members[1].stop()
		delete(r.members, 1)
		one := r.start(1, Options{MaxQueued: 1 << 20})
		r.start(2, Options{})
		r.connect(1, 2)
		r.network.Cut("10.0.0.1", "10.0.0.2")
		for i := range uint64(5000) {
			one.transport.Send([]*pb.Message{entriesOf(1, 2, i, 10_000)})
			if i%100 == 0 {
				one.transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 1, 2, i)})
				synctest.Wait()
			}
		}
		l := one.transport.links[raftID(2)]
		l.mu.Lock()
		heartbeats, last, queued := 0, uint64(0), l.queued
		for _, e := range l.small {
			var m pb.Message
			if err := proto.Unmarshal(e.bytes, &m); err != nil {
				t.Fatal(err)
			}
			if m.GetType() == pb.MsgHeartbeat {
				heartbeats++
			}
			last = m.GetIndex()
		}
		l.mu.Unlock()
		if queued > 1<<20 || heartbeats < 45 || last != 4999 {
			t.Errorf("%d bytes are queued, %d heartbeats, up to %d", queued, heartbeats, last)
		}
		one.wantEvents("dropped", "unreachable 102")
		r.network.Heal("10.0.0.1", "10.0.0.2")
		time.Sleep(time.Minute)
		got := r.members[2].took()
		if len(got) == 0 || got[len(got)-1].GetIndex() != 4999 {
			t.Errorf("%d messages came", len(got))
		}
	})
}

func TestSnapshotsComeInChunks(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		one, two := r.members[1], r.members[2]
		r.connect(1, 2)
		random := rand.NewChaCha8([32]byte{})
		for _, size := range []int{0, 1, chunkSize - 100, chunkSize, 10<<20 + 7} {
			var data []byte
			if size > 0 {
				data = make([]byte, size)
				_, _ = random.Read(data)
			}
			sent := snapshotOf(1, 2, data)
			keep := proto.CloneOf(sent)
			one.transport.Send([]*pb.Message{sent})
			synctest.Wait()
			got := two.took()
			if len(got) != 1 || !proto.Equal(got[0], keep) || !proto.Equal(sent, keep) {
				t.Fatalf("a snapshot of %d bytes came as %d messages", size, len(got))
			}
			one.wantEvents("sent", "snapshot 102 true")
		}
	})
}

// Heartbeats do not wait behind a snapshot, and a large message of another kind comes through whole as well.
func TestHeartbeatsPassASnapshot(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		one, two := r.members[1], r.members[2]
		r.connect(1, 2)
		one.transport.Send([]*pb.Message{snapshotOf(1, 2, make([]byte, 20<<20)), entriesOf(1, 2, 7, 3<<20), msg(pb.MsgHeartbeat, 1, 2, 9)})
		synctest.Wait()
		got := two.took()
		if len(got) != 3 || got[0].GetType() != pb.MsgHeartbeat || got[1].GetType() != pb.MsgSnap || got[2].GetType() != pb.MsgApp || len(got[2].GetEntries()[0].GetData()) != 3<<20 {
			t.Fatalf("%d messages, first %v", len(got), got[0].GetType())
		}
		if held := one.transport.links[raftID(2)].queued; held != 0 {
			t.Errorf("%d bytes are queued", held)
		}
	})
}

// A snapshot that cannot be sent, or not to its end, is reported: raft would else wait for it for ever.
func TestSnapshotsThatFail(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		one := r.members[1]
		r.network.SetLatency(time.Millisecond)
		one.transport.Send([]*pb.Message{snapshotOf(1, 2, nil)})
		one.wantEvents("not connected yet", "snapshot 102 false", "unreachable 102")
		time.Sleep(time.Second)
		r.network.SetLatency(0)
		one.transport.Send([]*pb.Message{msg(pb.MsgSnap, 1, 50, 0)})
		one.wantEvents("to nobody known", "snapshot 150 false", "unreachable 150")
		r.connect(1, 2)
		r.network.Cut("10.0.0.1", "10.0.0.2")
		one.transport.Send([]*pb.Message{snapshotOf(1, 2, make([]byte, 50<<20))})
		time.Sleep(time.Minute)
		one.wantEvents("cut off in the middle", "snapshot 102 false", "unreachable 102")
		r.network.Heal("10.0.0.1", "10.0.0.2")
		time.Sleep(time.Minute)
		r.members[2].took()
		one.transport.Send([]*pb.Message{snapshotOf(1, 2, make([]byte, 5<<20))})
		synctest.Wait()
		if got := r.members[2].took(); len(got) != 1 || len(got[0].GetSnapshot().GetData()) != 5<<20 {
			t.Errorf("%d messages after it healed", len(got))
		}
	})
}

func TestAMemberThatDies(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		one := r.members[1]
		r.connect(1, 2)
		r.members[2].stop()
		time.Sleep(100 * time.Millisecond)
		one.wantEvents("died", "unreachable 102", "gone 102")
		for range 100 {
			one.transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 1, 2, 1)})
		}
		if n := len(one.transport.links[raftID(2)].small); n > keptWhileDown {
			t.Errorf("%d messages wait for a member that is down", n)
		}
		r.start(2, Options{})
		time.Sleep(5 * time.Second)
		r.members[2].took()
		r.connect(1, 2)
	})
}

// A member of old is not kept, and one that is at another node's address is not believed.
func TestKeepAndBelieve(t *testing.T) {
	inRig(t, 3, func(t *testing.T, r *rig) {
		one := r.members[1]
		r.connect(1, 2)
		r.connect(1, 3)
		one.transport.Keep([]uint64{raftID(3)})
		synctest.Wait()
		if n := len(one.transport.links); n != 1 {
			t.Errorf("%d links", n)
		}
		one.transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 2, 3, 1), msg(pb.MsgHeartbeat, 50, 3, 2), msg(pb.MsgHeartbeat, 1, 3, 3)})
		synctest.Wait()
		var from []uint64
		for _, m := range r.members[3].took() {
			from = append(from, m.GetFrom())
		}
		if len(from) != 2 || from[0] != 150 || from[1] != 101 {
			t.Errorf("messages from %v were believed", from)
		}
	})
}

func TestDeliverOfNonsense(t *testing.T) {
	tr := New(Options{Receive: func(protocol.Node, *pb.Message) { t.Error("received") }, Locate: (&rig{}).locate, MaxMessage: 1 << 20})
	many := peer.BeginRaft(nil, 0)
	for range maxMessages + 1 {
		many = peer.AppendWhole(many, nil)
	}
	entries := peer.AppendWhole(peer.BeginRaft(nil, 0), bytes.Repeat([]byte{byte(entriesField)<<3 | 2, 0}, maxEntries+1))
	quiet := New(Options{Receive: func(protocol.Node, *pb.Message) {}, Locate: (&rig{}).locate})
	if err := quiet.Deliver(protocol.Node{}, many); !errors.Is(err, peer.ErrMalformed) {
		t.Errorf("too many messages: %v", err)
	}
	short := func(b ...byte) []byte {
		return peer.AppendChunk(peer.BeginRaft(nil, 0), peer.Chunk{ID: 1, Total: int64(len(b)), Bytes: b})
	}
	for name, body := range map[string][]byte{"empty": nil, "no message of raft's": peer.AppendWhole(peer.BeginRaft(nil, 0), []byte{0xff}), "too many entries": entries,
		"a stream without its size": short(1), "a size beyond the end": short(0xff, 0xff, 0xff, 0xff, 1), "data without a snapshot": short(0, 0, 0, 0, 1)} {
		if err := tr.Deliver(protocol.Node{}, body); !errors.Is(err, peer.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, body := range map[string][]byte{"another group": peer.AppendWhole(peer.BeginRaft(nil, 9), []byte{0xff}),
		"larger than it may be": peer.AppendChunk(peer.BeginRaft(nil, 0), peer.Chunk{ID: 1, Total: 1<<20 + 1, Bytes: []byte{1}}),
		"the middle of one":     peer.AppendChunk(peer.BeginRaft(nil, 0), peer.Chunk{ID: 1, Offset: 5, Total: 10, Bytes: []byte{1}})} {
		if err := tr.Deliver(protocol.Node{}, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(tr.incoming.of); n != 0 {
		t.Errorf("%d beginnings are held", n)
	}
}

// Beginnings that have no end are forgotten, and there are few at a time.
func TestAssembliesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := incoming{max: 1 << 20}
		begin := peer.Chunk{ID: 1, Total: 10, Bytes: []byte{1}}
		for id := range protocol.BrokerID(maxAssemblies + 1) {
			if _, err := in.add(id, begin); (err != nil) != (id == maxAssemblies) {
				t.Errorf("%d: %v", id, err)
			}
		}
		time.Sleep(assemblyTime + 1)
		if _, err := in.add(99, begin); err != nil || len(in.of) != 1 {
			t.Errorf("%v, %d held", err, len(in.of))
		}
	})
}

func FuzzDeliver(f *testing.F) {
	whole, err := proto.Marshal(entriesOf(1, 2, 3, 4))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(peer.AppendWhole(peer.BeginRaft(nil, 0), whole))
	f.Add(peer.AppendChunk(peer.BeginRaft(nil, 0), peer.Chunk{ID: 1, Total: 5, Bytes: []byte{0, 0, 0, 1, 9}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		tr := New(Options{Receive: func(_ protocol.Node, m *pb.Message) { _ = m.GetType() }, Locate: (&rig{}).locate, MaxMessage: 1 << 20})
		if err := tr.Deliver(protocol.Node{ID: 1}, body); err != nil && !errors.Is(err, peer.ErrMalformed) {
			t.Errorf("%x: %v", body, err)
		}
	})
}

// A member that was down for long and calls again is dialed at once, however long the pause after the last dial would be.
func TestWhoCallsIsDialedAtOnce(t *testing.T) {
	inRig(t, 2, func(t *testing.T, r *rig) {
		r.members[2].stop()
		r.members[1].transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 1, 2, 1)})
		time.Sleep(10 * time.Second) // the pauses are as long as they get
		for range 5 {
			r.start(2, Options{})
			r.members[2].transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 2, 1, 2)})
			time.Sleep(10 * time.Millisecond)
			if got := r.members[2].took(); len(got) != 1 {
				t.Fatalf("received %v", got)
			}
			r.members[2].stop()
			time.Sleep(10 * time.Second)
			r.members[1].transport.Send([]*pb.Message{msg(pb.MsgHeartbeat, 1, 2, 3)})
		}
	})
}
