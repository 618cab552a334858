package raftnet

import (
	"io"
	"log"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/protocol"
)

// voter is a node of raft's own, with its memory storage, behind a transport.
type voter struct {
	mu        sync.Mutex
	node      *raft.RawNode
	storage   *raft.MemoryStorage
	transport *Transport
	committed []string
	restored  int // snapshots installed
}

func newVoter(t *testing.T, id protocol.BrokerID) *voter {
	v := &voter{storage: raft.NewMemoryStorage()}
	if err := v.storage.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: proto.Uint64(1), Term: proto.Uint64(1), ConfState: &pb.ConfState{Voters: []uint64{101, 102, 103}}}}); err != nil {
		t.Fatal(err)
	}
	var err error
	v.node, err = raft.NewRawNode(&raft.Config{ID: raftID(id), Storage: v.storage, Applied: 1, ElectionTick: 10, HeartbeatTick: 1, PreVote: true, CheckQuorum: true, MaxSizePerMsg: 1 << 20,
		MaxInflightMsgs: 16, Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// do runs f on the node and then whatever has become ready.
func (v *voter) do(t *testing.T, f func(*raft.RawNode)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(v.node)
	for v.node.HasReady() {
		rd := v.node.Ready()
		if !raft.IsEmptySnap(rd.Snapshot) {
			if err := v.storage.ApplySnapshot(rd.Snapshot); err != nil {
				t.Error(err)
			}
			v.restored++
			v.committed = append(v.committed[:0], string(rd.Snapshot.GetData()[:5]))
		}
		if err := v.storage.Append(rd.Entries); err != nil {
			t.Error(err)
		}
		v.transport.Send(rd.Messages)
		for _, e := range rd.CommittedEntries {
			if len(e.GetData()) > 0 {
				v.committed = append(v.committed, string(e.GetData()))
			}
		}
		v.node.Advance(rd)
	}
}

func (v *voter) leads() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.node.BasicStatus().RaftState == raft.StateLeader
}

func (v *voter) state() (committed []string, restored int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.committed...), v.restored
}

// Raft itself over the transport: a leader is elected, entries are committed everywhere, and a member that was away gets a large snapshot while the others go on.
func TestRaftOverTheTransport(t *testing.T) {
	inRig(t, 0, func(t *testing.T, r *rig) {
		r.network.SetLatency(time.Millisecond)
		voters := map[protocol.BrokerID]*voter{}
		reports := make(chan func(), 1000) // for the driver, as the transport must not be called back from within it
		start := func(id protocol.BrokerID) {
			v := voters[id]
			o := Options{Receive: func(_ protocol.Node, m *pb.Message) { v.do(t, func(n *raft.RawNode) { _ = n.Step(m) }) }}
			o.Unreachable = func(id uint64) {
				reports <- func() { v.do(t, func(n *raft.RawNode) { n.ReportUnreachable(id) }) }
			}
			o.SnapshotSent = func(id uint64, sent bool) {
				status := raft.SnapshotFinish
				if !sent {
					status = raft.SnapshotFailure
				}
				reports <- func() { v.do(t, func(n *raft.RawNode) { n.ReportSnapshot(id, status) }) }
			}
			v.transport = r.start(id, o).transport
		}
		for id := protocol.BrokerID(1); id <= 3; id++ {
			voters[id] = newVoter(t, id)
			start(id)
		}
		pass := func(d time.Duration) {
			for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
				for len(reports) > 0 {
					(<-reports)()
				}
				for _, v := range voters {
					v.do(t, (*raft.RawNode).Tick)
				}
			}
			synctest.Wait()
		}
		pass(3 * time.Second)
		leader := protocol.BrokerID(0)
		for id, v := range voters {
			if v.leads() {
				leader = id
			}
		}
		if leader == 0 {
			t.Fatal("nobody leads after three seconds")
		}
		propose := func(s string) {
			voters[leader].do(t, func(n *raft.RawNode) {
				if err := n.Propose([]byte(s)); err != nil {
					t.Errorf("propose %.10s: %v", s, err)
				}
			})
		}
		propose("first")
		pass(time.Second)
		away := leader%3 + 1
		r.members[away].stop()
		propose("second")
		pass(time.Second)
		lead := voters[leader]
		lead.mu.Lock()
		index := lead.node.BasicStatus().GetCommit()
		if _, err := lead.storage.CreateSnapshot(index, &pb.ConfState{Voters: []uint64{101, 102, 103}}, append([]byte("state"), make([]byte, 5<<20)...)); err != nil {
			t.Error(err)
		}
		if err := lead.storage.Compact(index); err != nil {
			t.Error(err)
		}
		lead.mu.Unlock()
		start(away)
		pass(20 * time.Second)
		propose("third")
		pass(2 * time.Second)
		for id, v := range voters {
			got, restored := v.state()
			if got[len(got)-1] != "third" || (restored > 0) != (id == away) {
				t.Errorf("member %d, of which %d was away: %q, %d snapshots", id, away, got, restored)
			}
		}
	})
}
