package decide

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// heartbeat decides key 63. A heartbeat that changes nothing writes nothing.
//
// A fenced broker comes into service once it has applied its own registration: then it has also applied what it is to lead. One that wants to stop hands over
// what it leads, and may go when it leads nothing and the others know.
func (d *decision) heartbeat(req *kmsg.BrokerHeartbeatRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	if err := d.checkBrokerEpoch(req.BrokerID, req.BrokerEpoch); err != nil {
		resp.ErrorCode = protocol.ErrorCode(err)
		return d.outcome(resp, false)
	}
	b := d.view.Broker(protocol.BrokerID(req.BrokerID))
	resp.IsCaughtUp = req.CurrentMetadataOffset >= int64(b.Epoch)
	resp.IsFenced = b.Fenced
	switch {
	case req.WantShutdown:
		resp.ShouldShutdown = d.mayStop(b, req.WantFence)
		resp.IsFenced = b.Fenced || resp.ShouldShutdown
	case req.WantFence:
		if !b.Fenced {
			d.fence(b)
		}
		resp.IsFenced = true
	case b.Fenced && resp.IsCaughtUp:
		d.unfence(b)
		resp.IsFenced = false
	}
	if len(d.records) == 0 {
		d.loseDirectories(b, req.OfflineLogDirs)
	}
	return d.divisible(resp)
}

// mayStop answers a broker that wants to stop, and moves what it leads. At once goes who is fenced, who insists, and who is the only broker: nobody could lead in
// its place, and it takes everything back when it returns.
func (d *decision) mayStop(b *image.Broker, insists bool) bool {
	switch {
	case b.Fenced, len(d.view.Brokers()) == 1:
		return true
	case insists, d.view.MetadataLevel() < 2: // there the others could not be told that it is to stop
		d.fence(b)
		return true
	case d.leadsAny(b.ID):
		d.shutDown(b)
		return false
	case b.InControlledShutdown && !d.sessions().Followed(b.ID):
		return false
	}
	d.fence(b)
	return true
}

// loseDirectories takes the log directories out of a registration that the broker has lost since (KIP-858), and moves what was led from them.
func (d *decision) loseDirectories(b *image.Broker, offline [][16]byte) {
	gone := func(id protocol.DirectoryID) bool { return slices.Contains(offline, [16]byte(id)) }
	if !slices.ContainsFunc(b.Dirs, gone) {
		return
	}
	left := slices.DeleteFunc(slices.Clone(b.Dirs), gone)
	k := b.Registration()
	k.Directories = nil
	for _, id := range left {
		k.Directories = append(k.Directories, id[:]...)
	}
	(&standing{decision: d, broker: b.ID, leads: b.Active(), online: left}).settle()
	d.records = append(d.records, record.Of(k))
}

// checkBrokerEpoch tells whether a call comes from the incarnation of the broker that is registered.
func (d *decision) checkBrokerEpoch(id int32, epoch int64) error {
	b := d.view.Broker(protocol.BrokerID(id))
	switch {
	case b == nil:
		return protocol.Errorf(kerr.BrokerIDNotRegistered, "No broker registration found for broker id %d", id)
	case int64(b.Epoch) != epoch:
		return protocol.Errorf(kerr.StaleBrokerEpoch, "Expected broker epoch %d, but got broker epoch %d", b.Epoch, epoch)
	}
	return nil
}

// Sessions is what the leader of the quorum knows of brokers and no record says.
type Sessions interface {
	// Alive tells whether the registered incarnation of a broker has been heard of within its session.
	Alive(id protocol.BrokerID) bool
	// Followed tells whether the other brokers in service have applied the records that moved the leaderships of a broker in controlled shutdown.
	Followed(id protocol.BrokerID) bool
}

func (d *decision) sessions() Sessions {
	if d.Sessions == nil {
		return strangers{}
	}
	return d.Sessions
}

// strangers is the knowledge of a leader that keeps no sessions: nobody is known to be alive, and nobody is waited for.
type strangers struct{}

func (strangers) Alive(protocol.BrokerID) bool    { return false }
func (strangers) Followed(protocol.BrokerID) bool { return true }
