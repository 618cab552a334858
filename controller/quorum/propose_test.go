package quorum

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/record"
)

func (n *voter) config(name, value string) []*record.Record {
	return []*record.Record{record.Of(&record.Config{ResourceType: 4, Name: name, Value: &value})}
}

// TestLostLeadership: another voter's message of a later term ends what is in flight. What the log had taken is applied nevertheless, once it is committed.
func TestLostLeadership(t *testing.T) {
	n := stepped(t)
	var got []error
	p := pending{done: func(_ kmsg.Response, err error) { got = append(got, err) }}
	if err := n.propose(p, n.config("a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := n.propose(p, n.config("b", "2")); err != nil {
		t.Fatal(err)
	}
	err := n.node.Step(&pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(12345)), To: new(n.storage.RaftID()), Term: new(n.term + 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.drain(); err != nil {
		t.Fatal(err)
	}
	if n.leads || len(got) != 2 || !errors.Is(got[0], kerr.NotController) || !errors.Is(got[1], kerr.NotController) {
		t.Fatalf("leads %v, answers %v", n.leads, got)
	}
	if n.speculative != n.committed {
		t.Error("speculation outlives the leadership")
	}
	n.turn(t) // a sole voter takes it back
	n.turn(t)
	if !n.mayDecide() || n.committed.Config(4, "")["b"] != "2" {
		t.Errorf("leads %v, configs %v", n.leads, n.committed.Config(4, ""))
	}
	a := n.later("topic")
	n.turn(t)
	n.turn(t)
	if a.resp == nil {
		t.Error("no answer in the new term")
	}
}

// TestMisplacedEntriesAreIgnored: an entry that is not where, or not in the term, it was decided for changes nothing, and what was decided on top of it is void.
func TestMisplacedEntriesAreIgnored(t *testing.T) {
	n := stepped(t)
	value := "1"
	rs := record.Encode([]*record.Record{record.Of(&record.Config{ResourceType: 4, Name: "stale", Value: &value})})
	if err := n.node.Propose(proposal{term: n.term - 1, id: n.lastIndex + 1, records: rs}.encode()); err != nil {
		t.Fatal(err)
	}
	if err := n.node.Propose(proposal{term: n.term, id: n.lastIndex + 7, records: rs}.encode()); err != nil {
		t.Fatal(err)
	}
	var got []error
	p := pending{done: func(_ kmsg.Response, err error) { got = append(got, err) }}
	if err := n.propose(p, n.config("a", "1")); err != nil { // decided for an offset that is taken
		t.Fatal(err)
	}
	n.turn(t)
	if len(got) != 1 || !errors.Is(got[0], kerr.NotController) {
		t.Errorf("answers %v", got)
	}
	if configs := n.committed.Config(4, ""); len(configs) != 0 {
		t.Errorf("configs %v", configs)
	}
	if n.speculative != n.committed || !n.mayDecide() {
		t.Errorf("speculation goes on: applied %d, barrier %d", n.applied, n.barrier)
	}
	if err := n.propose(p, n.config("a", "1")); err != nil {
		t.Fatal(err)
	}
	n.turn(t)
	if len(got) != 2 || got[1] != nil || n.committed.Config(4, "")["a"] != "1" {
		t.Errorf("answers %v, configs %v", got, n.committed.Config(4, ""))
	}
}

// TestOneFlushForMany: what is submitted while a flush runs is one append.
func TestOneFlushForMany(t *testing.T) {
	n := stepped(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := n.propose(pending{}, n.config(name, "1")); err != nil {
			t.Fatal(err)
		}
	}
	if rd := n.node.Ready(); len(rd.Entries) != 3 {
		t.Errorf("%d entries in one Ready", len(rd.Entries))
	}
}

func TestLargeDecisionsAreCut(t *testing.T) {
	n := stepped(t)
	var rs []*record.Record
	for range record.MaxCount + 1 {
		rs = append(rs, n.config("name", "value")...)
	}
	answered := false
	if err := n.proposeAll(pending{done: func(_ kmsg.Response, err error) { answered = err == nil }}, rs, true); err != nil {
		t.Fatal(err)
	}
	if len(n.pending) < 2 {
		t.Errorf("%d entries", len(n.pending))
	}
	n.turn(t)
	if !answered || n.committed.Config(4, "")["name"] != "value" {
		t.Errorf("answered %v, configs %v", answered, n.committed.Config(4, ""))
	}
}

func FuzzParseProposal(f *testing.F) {
	f.Add(proposal{term: 3, id: 9, records: []byte("records")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseProposal(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.encode(), b) {
			t.Errorf("%x became %x", b, p.encode())
		}
	})
}
