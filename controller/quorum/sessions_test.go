package quorum

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// broker registers one that runs nowhere, and brings it into service.
func (c *cluster) broker(id int32) (epoch int64) {
	c.t.Helper()
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, id, "the-cluster", protocol.NewID()
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "host", 9092
	req.Listeners = append(req.Listeners, l)
	f := kmsg.NewBrokerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, 1, 2
	req.Features, req.LogDirs = append(req.Features, f), [][16]byte{protocol.NewID()}
	r := c.request(req).(*kmsg.BrokerRegistrationResponse)
	if r.ErrorCode != 0 {
		c.t.Fatalf("broker %d is not registered: %d", id, r.ErrorCode)
	}
	c.heartbeat(id, r.BrokerEpoch)
	return r.BrokerEpoch
}

func (c *cluster) heartbeat(id int32, epoch int64) {
	c.t.Helper()
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = id, epoch, int64(c.leader().shown.Offset())
	if r := c.request(req).(*kmsg.BrokerHeartbeatResponse); r.ErrorCode != 0 {
		c.t.Fatalf("heartbeat of broker %d: %d", id, r.ErrorCode)
	}
}

func (c *cluster) inService(id protocol.BrokerID) bool {
	b := c.awaitLeader().shown.Broker(id)
	return b != nil && !b.Fenced
}

// Sessions outlive a leader, end when nobody is heard, and at once when a process is gone.
func TestSessionsOfBrokers(t *testing.T) {
	const session = 2 * time.Second
	c := newCluster(t, 3)
	c.session = session
	c.add(false)
	c.add(true)
	c.add(true)
	c.run(1)
	c.grow(1)

	silent, heard, gone := c.broker(11), c.broker(12), c.broker(13)
	for range 3 {
		c.run(int(session / Tick / 2))
		c.heartbeat(12, heard)
		c.heartbeat(13, gone)
	}
	if c.inService(11) || !c.inService(12) || !c.inService(13) {
		t.Fatalf("in service: the silent one %v, the others %v %v", c.inService(11), c.inService(12), c.inService(13))
	}
	c.heartbeat(11, silent)
	if !c.inService(11) {
		t.Fatal("not back in service after a heartbeat")
	}

	c.leader().Lost(c.now, 13, protocol.BrokerEpoch(gone))
	c.run(2)
	if c.inService(13) || !c.inService(12) {
		t.Fatalf("in service: the one that is gone %v, the other %v", c.inService(13), c.inService(12))
	}

	old := c.leader()
	old.kill()
	took := c.awaitLeader()
	c.until("it decides", took.mayDecide)
	c.run(int(session/Tick) - 4)
	if !c.inService(11) || !c.inService(12) {
		t.Fatal("a new leader has to give everybody a whole session")
	}
	c.run(8)
	if c.inService(11) || c.inService(12) {
		t.Fatal("sessions do not end under a new leader")
	}
}
