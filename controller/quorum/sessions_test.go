package quorum

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// registerBroker has a node's broker registered.
func (c *cluster) registerBroker(n *node) protocol.BrokerEpoch {
	c.t.Helper()
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, int32(n.id), "the-cluster", [16]byte{1, byte(n.id)}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "localhost", 9092
	req.Listeners, req.LogDirs = append(req.Listeners, l), append(req.LogDirs, [16]byte{2, byte(n.id)})
	f := kmsg.NewBrokerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, record.MinLevel, record.MaxLevel
	req.Features = append(req.Features, f)
	r := c.request(req).(*kmsg.BrokerRegistrationResponse)
	if r.ErrorCode != 0 {
		c.t.Fatalf("broker %d is not registered: %d", n.id, r.ErrorCode)
	}
	return protocol.BrokerEpoch(r.BrokerEpoch)
}

func (c *cluster) beat(n *node, epoch protocol.BrokerEpoch) {
	c.t.Helper()
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = int32(n.id), int64(epoch), int64(n.shown.Offset())
	if r := c.request(req).(*kmsg.BrokerHeartbeatResponse); r.ErrorCode != 0 {
		c.t.Fatalf("heartbeat of broker %d: %d", n.id, r.ErrorCode)
	}
}

func (c *cluster) fenced(n *node) bool { return c.awaitLeader().shown.Broker(n.id).Fenced }

// TestSilentBrokersAreFenced: who is heard of stays in service, who is not is fenced after a session, and a new leader gives everybody one of its own.
func TestSilentBrokersAreFenced(t *testing.T) {
	const session = 2 * time.Second
	c := newCluster(t, 11)
	c.session = session
	for n := range 3 {
		c.add(n > 0)
	}
	c.run(1)
	c.grow(1)
	first, epochs := c.leader(), map[*node]protocol.BrokerEpoch{}
	for _, n := range c.nodes {
		epochs[n] = c.registerBroker(n)
	}
	pass := func(d time.Duration, beating ...*node) {
		for range int(d / (session / 4)) {
			for _, n := range beating {
				c.beat(n, epochs[n])
			}
			c.run(int(session / 4 / Tick))
		}
	}
	two, three := c.nodes[1], c.nodes[2]
	pass(session, two, three)
	if c.fenced(two) || c.fenced(three) {
		t.Fatal("who is heard of is fenced")
	}
	pass(session+session/2, three)
	if !c.fenced(two) || c.fenced(three) {
		t.Fatalf("broker 2 is fenced: %v; broker 3: %v", c.fenced(two), c.fenced(three))
	}
	pass(session/2, two, three)
	if c.fenced(two) {
		t.Fatal("broker 2 is heard of again, and fenced")
	}

	// The leader dies, and its broker with it.
	first.kill()
	c.until("another one leads", func() bool { return c.leader() != nil && c.leader() != first })
	pass(session/2, two, three)
	if c.fenced(first) {
		t.Fatal("a new leader fences before a session is over")
	}
	pass(session, two, three)
	if !c.fenced(first) || c.fenced(two) || c.fenced(three) {
		t.Fatalf("fenced: %v, %v, %v", c.fenced(first), c.fenced(two), c.fenced(three))
	}
	if !c.leader().soleVoter() && c.leader().Deadline().IsZero() {
		t.Error("nothing is timed")
	}
}

// TestASoleVoterWatchesBrokers: it does not tick, but sessions end.
func TestASoleVoterWatchesBrokers(t *testing.T) {
	c := newCluster(t, 12)
	c.session = 2 * time.Second
	n := c.add(false)
	c.registerBroker(n)
	if !n.Deadline().IsZero() {
		t.Fatal("its own broker is waited for")
	}
	other := &node{id: 2, shown: n.shown}
	c.registerBroker(other)
	at := n.Deadline()
	if at.IsZero() || at.After(c.now.Add(c.session)) {
		t.Fatalf("deadline %v, now is %v", at, c.now)
	}
	n.Expire(at)
	if len(n.sessions.fence) != 0 {
		t.Fatal("who was never in service is fenced")
	}
	if !n.Deadline().IsZero() {
		t.Fatal("who is fenced is waited for")
	}
}
