package quorum

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/protocol"
)

func (c *cluster) describe() (*kmsg.DescribeQuorumResponse, *kmsg.DescribeQuorumResponseTopicPartition) {
	c.t.Helper()
	resp := c.request(kmsg.NewPtrDescribeQuorumRequest()).(*kmsg.DescribeQuorumResponse)
	return resp, &resp.Topics[0].Partitions[0]
}

// rough is a description in words, without what differs from run to run: "fresh" is within three heartbeats, "stale" more than a second ago, "-" not known.
func (c *cluster) rough(p *kmsg.DescribeQuorumResponseTopicPartition) string {
	ago := func(ms int64) string {
		switch age := c.now.UnixMilli() - ms; {
		case ms == -1:
			return "-"
		case age < 0:
			return "in the future"
		case age <= 3*heartbeatTicks*Tick.Milliseconds():
			return "fresh"
		case age >= 1000:
			return "stale"
		default:
			return fmt.Sprint(age, " ms")
		}
	}
	var words []string
	for _, list := range []struct {
		role string
		of   []kmsg.DescribeQuorumResponseTopicPartitionReplicaState
	}{{"voter", p.CurrentVoters}, {"observer", p.Observers}} {
		for _, r := range list.of {
			end := "behind"
			switch {
			case r.ReplicaID == p.LeaderID:
				end = "leads"
			case r.LogEndOffset == -1:
				end = "-"
			case r.LogEndOffset == p.HighWatermark:
				end = "level"
			}
			words = append(words, fmt.Sprintf("%d %s %s %s %s", r.ReplicaID, list.role, end, ago(r.LastFetchTimestamp), ago(r.LastCaughtUpTimestamp)))
		}
	}
	return strings.Join(words, "; ")
}

func (c *cluster) expectDescribed(want string) {
	c.t.Helper()
	_, p := c.describe()
	got := c.rough(p)
	want = strings.Replace(want, fmt.Sprintf("%d voter level", p.LeaderID), fmt.Sprintf("%d voter leads", p.LeaderID), 1)
	if got != want {
		c.t.Errorf("described as %s\nwant %s", got, want)
	}
}

// TestDescribeAlone: a node that is alone describes itself, whether it has registered as a controller or not; its directory and listeners are those of its broker until then.
func TestDescribeAlone(t *testing.T) {
	c := of(t, 31, 1)
	resp, p := c.describe()
	if r := p.CurrentVoters[0]; len(p.CurrentVoters) != 1 || r.ReplicaID != 1 || r.LogEndOffset != p.HighWatermark || r.ReplicaDirectoryID != [16]byte{} || len(resp.Nodes[0].Listeners) != 0 {
		t.Errorf("%+v", resp)
	}
	c.expectDescribed("1 voter leads fresh fresh")
	c.registerBroker(c.nodes[0])
	resp, p = c.describe()
	if p.CurrentVoters[0].ReplicaDirectoryID == [16]byte{} || len(resp.Nodes) != 1 || resp.Nodes[0].NodeID != 1 || resp.Nodes[0].Listeners[0].Host != "localhost" {
		t.Errorf("as a broker: %+v", resp)
	}
	c.register(c.nodes[0])
	_, p = c.describe()
	if got := protocol.DirectoryID(p.CurrentVoters[0].ReplicaDirectoryID); got != c.nodes[0].directory() {
		t.Errorf("directory %v of the registered controller, want %v", got, c.nodes[0].directory())
	}
	if l := c.leader(); p.LeaderID != 1 || p.LeaderEpoch != int32(l.term) || p.HighWatermark != int64(l.applied)+1 {
		t.Errorf("%+v", p)
	}
}

func TestDescribeMembers(t *testing.T) {
	c := governed(t, 4)
	c.awaitVoters(1, 2, 3)
	c.until("the fourth learns", func() bool { return c.leader() != nil && len(c.leader().conf.GetLearners()) == 1 && c.level() })
	c.expectDescribed("1 voter level fresh fresh; 2 voter level fresh fresh; 3 voter level fresh fresh; 4 observer level fresh fresh")

	// One that answers heartbeats, and gets no entries, is heard of and not caught up; one that is gone is neither.
	l := c.leader()
	var deaf *node
	for _, n := range c.nodes[:3] {
		if n != l {
			deaf = n
		}
	}
	c.lose = func(_, to *node, m *Message) bool { return to == deaf && m.GetType() == pb.MsgApp }
	c.nodes[3].kill()
	c.set("log.retention.ms", "1234567")
	c.run(50)
	want := "1 voter level fresh fresh; 2 voter level fresh fresh; 3 voter level fresh fresh; 4 observer behind stale stale"
	c.expectDescribed(strings.Replace(want, fmt.Sprintf("%d voter level fresh fresh", deaf.id), fmt.Sprintf("%d voter behind fresh stale", deaf.id), 1))
	c.lose = nil
	c.until("it has the log", func() bool { return deaf.applied == c.leader().applied })
	c.run(2 * heartbeatTicks)
	c.expectDescribed(want)

	// A new leader does not know what it has not heard.
	gone := c.leader()
	gone.kill()
	c.until("another leads", func() bool { return c.leader() != nil })
	c.run(2 * heartbeatTicks)
	c.expectDescribed(strings.Replace("1 voter level fresh fresh; 2 voter level fresh fresh; 3 voter level fresh fresh; 4 observer - - -",
		fmt.Sprintf("%d voter level fresh fresh", gone.id), fmt.Sprintf("%d voter - - -", gone.id), 1))
}

// TestDescribeLostVoter: one whose disk is gone, and whose node is back with another, is nobody's any more, and still counts.
func TestDescribeLostVoter(t *testing.T) {
	c := governed(t, 3)
	c.awaitVoters(1, 2, 3)
	wiped := c.nodes[2]
	if wiped == c.leader() {
		wiped = c.nodes[1]
	}
	wiped.wipe()
	c.lose = func(from, to *node, _ *Message) bool { return from == wiped || to == wiped } // so that it does not take its own place
	c.register(wiped)
	c.run(10)
	resp, p := c.describe()
	if len(p.CurrentVoters) != 3 || p.CurrentVoters[2].ReplicaID != -1 || len(resp.Nodes) != 2 || len(p.Observers) != 1 || p.Observers[0].ReplicaID != int32(wiped.id) {
		t.Errorf("%+v", p)
	}
}

// TestDescribeIsConfirmed: a leader that is cut off, and has a successor, tells nobody that it leads.
func TestDescribeIsConfirmed(t *testing.T) {
	c := of(t, 32, 3)
	cut := c.leader()
	c.lose = func(from, to *node, _ *Message) bool { return from == cut || to == cut }
	a := cut.ask(kmsg.NewPtrDescribeQuorumRequest())
	c.until("answered", a.given)
	if !errors.Is(a.err, kerr.NotController) {
		t.Errorf("%+v, %v", a.resp, a.err)
	}
}
