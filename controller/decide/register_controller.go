package decide

import (
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// memberTag is the tagged field of ControllerRegistration in which a node of ours says which member of the quorum it is:
//
//	0  raft id        8  big-endian
//	8  directory id  16
const (
	memberTag  = 10_000
	memberSize = 24
)

// SetMember makes a request for ControllerRegistration say which member of the quorum its node is.
func SetMember(req *kmsg.ControllerRegistrationRequest, raftID uint64, directory protocol.DirectoryID) {
	req.UnknownTags.Set(memberTag, append(binary.BigEndian.AppendUint64(nil, raftID), directory[:]...))
}

// member reads what SetMember wrote; false if there is nothing of it.
func member(req *kmsg.ControllerRegistrationRequest) (raftID uint64, directory protocol.DirectoryID, ok bool) {
	req.UnknownTags.Each(func(tag uint32, b []byte) {
		if tag == memberTag && len(b) == memberSize {
			raftID, directory, ok = binary.BigEndian.Uint64(b), protocol.DirectoryID(b[8:]), true
		}
	})
	return raftID, directory, ok && raftID != 0 && !directory.IsZero()
}

// registerController decides key 70. A process registers its broker and its controller under one incarnation id: while the broker's session lasts, no other process takes its place. Who registers as it is registered writes nothing. A node that comes with another directory, and so with another raft id, takes
// the place of the one before: that one's disk is gone, and the quorum removes its raft id.
func (d *decision) registerController(req *kmsg.ControllerRegistrationRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.ControllerRegistrationResponse)
	k, err := d.controllerRegistration(req)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		return d.outcome(resp, false)
	}
	r := record.Of(k)
	next, _ := d.view.Apply(d.At, 0, []*record.Record{r})
	if was := d.view.Controller(protocol.BrokerID(k.NodeId)); was == nil || !reflect.DeepEqual(was, next.Controller(was.ID)) {
		d.records = append(d.records, r)
	}
	return d.outcome(resp, false)
}

func (d *decision) controllerRegistration(req *kmsg.ControllerRegistrationRequest) (*record.ControllerRegistration, error) {
	raftID, directory, ok := member(req)
	switch {
	case !ok:
		return nil, protocol.Errorf(kerr.InvalidRequest, "Controller %d does not say which member of the quorum it is.", req.ControllerID)
	case req.ControllerID < 0 || len(req.Listeners) > maxEndpoints || len(req.Features) > maxFeatures:
		return nil, kerr.InvalidRequest
	}
	if err := d.checkAssigned(protocol.BrokerID(req.ControllerID), []protocol.DirectoryID{directory}); err != nil {
		return nil, err
	}
	if b := d.view.Broker(protocol.BrokerID(req.ControllerID)); b != nil && b.Incarnation != protocol.ID(req.IncarnationID) && d.sessions().Alive(b.ID) {
		return nil, protocol.Errorf(kerr.DuplicateBrokerRegistration, "Another process is registered as node %d.", b.ID)
	}
	for _, c := range d.view.Controllers() {
		if int32(c.ID) != req.ControllerID && (c.RaftID == raftID || c.Directory == directory) {
			return nil, protocol.Errorf(kerr.InvalidRequest, "Controller %d is already registered with directory %v", c.ID, c.Directory)
		}
	}
	k := &record.ControllerRegistration{NodeId: req.ControllerID, RaftId: raftID, DirectoryId: slices.Clone(directory[:])}
	for _, l := range req.Listeners {
		k.Endpoints = append(k.Endpoints, endpoint(l.Name, l.Host, l.Port, l.SecurityProtocol))
	}
	ranges := make([]featureRange, len(req.Features))
	for n, f := range req.Features {
		ranges[n] = featureRange{f.Name, image.FeatureRange{Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion}}
		k.Features = append(k.Features, feature(f.Name, f.MinSupportedVersion, f.MaxSupportedVersion))
	}
	sortFeatures(k.Features)
	return k, d.checkNode("controller", k.Endpoints, ranges)
}

// unregisterController decides key 94 (KIP-1312): forgets a controller that is no voter.
func (d *decision) unregisterController(req *kmsg.UnregisterControllerRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.UnregisterControllerResponse)
	var err error
	id := protocol.BrokerID(req.ControllerID)
	c := d.view.Controller(id)
	switch {
	case d.Voter != nil && d.Voter(id):
		err = protocol.Errorf(kerr.InvalidRequest, "Cannot unregister controller %d because it is part of the voter set.", id)
	case c == nil:
		err = protocol.Errorf(kerr.ControllerIDNotRegistered, "Controller ID %d is not currently registered.", id)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		return d.outcome(resp, false)
	}
	none := ""
	resp.ErrorMessage = &none
	d.retire(id, c.Directory)
	d.records = append(d.records, record.Of(&record.ControllerUnregistration{NodeId: req.ControllerID}))
	return d.outcome(resp, false)
}
