package liveness

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

const length = 2 * time.Second

// at is so many milliseconds after the beginning.
func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

// registered adds a new incarnation of a broker: its epoch is the offset.
func registered(img *image.Image, id int32) *image.Image {
	incarnation := make([]byte, 16)
	incarnation[14], incarnation[15] = byte((img.Offset()+1)>>8), byte(img.Offset()+1)
	next, _ := img.Apply(img.Offset()+1, 1, []*record.Record{record.Of(&record.BrokerRegistration{Id: id, IncarnationId: incarnation})})
	return next
}

// fencing takes a broker out of service, or begins its shutdown, or ends both.
func fencing(img *image.Image, id int32, fenced, stopping bool) *image.Image {
	epoch := int64(img.Broker(protocol.BrokerID(id)).Epoch)
	next, _ := img.Apply(img.Offset()+1, 1, []*record.Record{record.Of(&record.BrokerFencing{Id: id, Epoch: epoch, Fenced: fenced, InControlledShutdown: stopping})})
	return next
}

// ownIncarnation is that of the process of broker 1 in the cluster of three, which would be the next to register.
var ownIncarnation = protocol.ID{15: 3}

// three is a cluster of brokers 1, 2 and 3 with the epochs 0, 1 and 2; 1 is the controller's.
func three() (*Machine, *image.Image) {
	img := image.Empty()
	for id := range int32(3) {
		img = registered(img, id+1)
	}
	m := New(length, Self{ID: 1, Incarnation: ownIncarnation})
	m.Took(at(0), img)
	return m, img
}

func expect(t *testing.T, m *Machine, ms int, want ...Broker) {
	t.Helper()
	if got := m.Expire(at(ms)); !slices.Equal(got, want) {
		t.Fatalf("at %d ms: fence %v, want %v", ms, got, want)
	}
}

func deadline(t *testing.T, m *Machine, ms int) {
	t.Helper()
	if got := m.Deadline(); !got.Equal(at(ms)) {
		t.Fatalf("deadline %v, want %v", got, at(ms))
	}
}

func alive(t *testing.T, m *Machine, want ...protocol.BrokerID) {
	t.Helper()
	var got []protocol.BrokerID
	for id := range protocol.BrokerID(5) {
		if m.Alive(id) {
			got = append(got, id)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("alive %v, want %v", got, want)
	}
}

func TestNobodyIsKnownBeforeTook(t *testing.T) {
	m := New(length, Self{ID: 1})
	if !m.Deadline().IsZero() || m.Expire(at(0)) != nil || m.Alive(1) || m.Followed(1) {
		t.Fatal("somebody is")
	}
}

func TestANewLeaderGivesOneFullSession(t *testing.T) {
	m, img := three()
	alive(t, m, 2, 3)
	m.Heard(at(1500), Broker{2, 1}, 0)
	deadline(t, m, 2000)
	expect(t, m, 1999)
	m.Took(at(1999), img)
	deadline(t, m, 3999)
	expect(t, m, 3999, Broker{2, 1}, Broker{3, 2})
	alive(t, m)
}

func TestTheControllersOwnBrokerDoesNotExpire(t *testing.T) {
	m, img := three()
	reg, done := kmsg.NewPtrBrokerRegistrationRequest(), kmsg.NewPtrBrokerRegistrationResponse()
	reg.BrokerID, reg.IncarnationID, done.BrokerEpoch = 1, ownIncarnation, 3
	m.Decided(at(10), 3, reg, done)
	img = registered(img, 1)
	alive(t, m, 1, 2, 3)
	m.Lost(at(20), Broker{1, 3})
	expect(t, m, 2000, Broker{2, 1}, Broker{3, 2})
	img = fencing(fencing(img, 2, true, false), 3, true, false)
	m.Published(at(2001), img)
	if !m.Deadline().IsZero() {
		t.Fatal("it would")
	}
	expect(t, m, 100_000)
	alive(t, m, 1)
}

// TestACallOfAnEarlierProcessIsNoSignOfLife: a node leads that was started anew, and what its earlier process asked for comes late, by way of another node.
func TestACallOfAnEarlierProcessIsNoSignOfLife(t *testing.T) {
	m, _ := three()
	reg, done := kmsg.NewPtrBrokerRegistrationRequest(), kmsg.NewPtrBrokerRegistrationResponse()
	reg.BrokerID, reg.IncarnationID, done.BrokerEpoch = 1, protocol.ID{15: 100}, 3
	m.Decided(at(10), 3, reg, done)
	alive(t, m, 2, 3)
	m.Decided(at(20), protocol.NoOffset, heartbeat(Broker{1, 3}, 3, false), kmsg.NewPtrBrokerHeartbeatResponse())
	alive(t, m, 2, 3)
}

func TestFencingThatDidNotComeAboutIsAskedForAgain(t *testing.T) {
	m, img := three()
	m.Heard(at(1900), Broker{3, 2}, 0)
	expect(t, m, 2000, Broker{2, 1})
	m.Heard(at(3500), Broker{3, 2}, 0)
	deadline(t, m, 4000)
	expect(t, m, 4000, Broker{2, 1})
	m.Published(at(4001), fencing(img, 2, true, false))
	deadline(t, m, 5500)
	m.Heard(at(4002), Broker{2, 1}, 0)
	alive(t, m, 2, 3)
}

func TestLostIsAboutOneIncarnationAndNotTooOften(t *testing.T) {
	m, img := three()
	m.Lost(at(10), Broker{2, 1})
	expect(t, m, 10, Broker{2, 1})
	img = registered(fencing(img, 2, true, false), 2)
	epoch := img.Broker(2).Epoch
	m.Published(at(20), img)
	m.Lost(at(30), Broker{2, 1}) // late: of the one before
	expect(t, m, 30)
	m.Lost(at(40), Broker{2, epoch}) // too soon
	expect(t, m, 40)
	m.Heard(at(9000), Broker{2, epoch}, 0)
	m.Heard(at(9000), Broker{3, 2}, 0)
	m.Lost(at(10_010), Broker{2, epoch})
	expect(t, m, 10_010, Broker{2, epoch})
}

func TestWhoSleptKnowsNothing(t *testing.T) {
	m, _ := three()
	expect(t, m, 3001)
	alive(t, m, 2, 3)
	deadline(t, m, 5001)
	expect(t, m, 6001, Broker{2, 1}, Broker{3, 2}) // half a session late, not more
}

func heartbeat(b Broker, applied int64, stop bool) *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset, req.WantShutdown = int32(b.ID), int64(b.Epoch), applied, stop
	return req
}

func TestDecisionsAreSignsOfLife(t *testing.T) {
	m, img := three()
	reg := kmsg.NewPtrBrokerRegistrationRequest()
	reg.BrokerID = 4
	done := kmsg.NewPtrBrokerRegistrationResponse()
	done.ErrorCode = 101
	m.Decided(at(5), protocol.NoOffset, reg, done) // refused: DUPLICATE_BROKER_REGISTRATION
	alive(t, m, 2, 3)
	done.ErrorCode, done.BrokerEpoch = 0, 7
	m.Decided(at(10), 7, reg, done)
	alive(t, m, 2, 3, 4)
	m.Published(at(11), img) // it has not come that far
	alive(t, m, 2, 3, 4)
	ok := kmsg.NewPtrBrokerHeartbeatResponse()
	m.Decided(at(1000), protocol.NoOffset, heartbeat(Broker{2, 1}, 2, false), ok)
	expect(t, m, 2000, Broker{3, 2})
	expect(t, m, 2010, Broker{4, 7})
	alive(t, m, 2)
	ok.ShouldShutdown = true
	m.Decided(at(2100), 9, heartbeat(Broker{2, 1}, 2, true), ok)
	alive(t, m)
	m.Decided(at(2200), protocol.NoOffset, heartbeat(Broker{3, 99}, 2, false), kmsg.NewPtrBrokerHeartbeatResponse())
	alive(t, m)
}

func TestARegistrationThatWasNeverCommittedIsForgotten(t *testing.T) {
	m, img := three()
	reg, done := kmsg.NewPtrBrokerRegistrationRequest(), kmsg.NewPtrBrokerRegistrationResponse()
	reg.BrokerID, done.BrokerEpoch = 2, 3
	m.Decided(at(10), 3, reg, done)
	img = fencing(img, 3, false, false) // this took its place
	m.Published(at(20), img)
	m.Lost(at(30), Broker{2, 3})
	expect(t, m, 30)
	expect(t, m, 2000, Broker{3, 2})
	expect(t, m, 2020, Broker{2, 1})
}

func TestFollowed(t *testing.T) {
	m, img := three()
	beat := func(b Broker, applied int64, stop bool, offset protocol.Offset) {
		m.Decided(at(10), offset, heartbeat(b, applied, stop), kmsg.NewPtrBrokerHeartbeatResponse())
	}
	followed := func(want bool) {
		t.Helper()
		if m.Followed(2) != want {
			t.Fatalf("followed: %v", !want)
		}
	}
	followed(false)
	beat(Broker{2, 1}, 2, true, 3)
	img = fencing(img, 2, false, true)
	m.Published(at(11), img)
	beat(Broker{1, 0}, 3, false, protocol.NoOffset)
	followed(false)
	beat(Broker{3, 2}, 3, false, protocol.NoOffset)
	followed(true)
	beat(Broker{2, 1}, 3, true, 4) // something had come to it
	followed(false)
	beat(Broker{1, 0}, 4, false, protocol.NoOffset)
	followed(false)
	m.Published(at(12), fencing(img, 3, true, false)) // out of service: nobody waits for it
	followed(true)

	// A new leader does not know what moved what: everything up to its image did.
	m, _ = three()
	m.Took(at(0), img)
	beat(Broker{1, 0}, 2, false, protocol.NoOffset)
	beat(Broker{3, 2}, 3, false, protocol.NoOffset)
	followed(false)
	beat(Broker{1, 0}, 3, false, protocol.NoOffset)
	followed(true)
}
