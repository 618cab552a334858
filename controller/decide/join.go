package decide

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// keyJoin is protocol/peer.KeyJoin.
const keyJoin = 10_003

// JoinRequest asks for a node id (protocol/peer.Join): ID, or the smallest that nobody has had if that is NoBroker, for Directory. It is decided where it arrives and never encoded.
type JoinRequest struct{ protocol.Node }

// JoinResponse is what comes of it.
type JoinResponse struct {
	ID  protocol.BrokerID
	Err error // DUPLICATE_BROKER_REGISTRATION: the id is another directory's
}

var (
	_ kmsg.Request  = (*JoinRequest)(nil)
	_ kmsg.Response = (*JoinResponse)(nil)
)

func (*JoinRequest) Key() int16                  { return keyJoin }
func (*JoinRequest) MaxVersion() int16           { return 0 }
func (*JoinRequest) SetVersion(int16)            {}
func (*JoinRequest) GetVersion() int16           { return 0 }
func (*JoinRequest) IsFlexible() bool            { return false }
func (*JoinRequest) AppendTo(b []byte) []byte    { return b }
func (*JoinRequest) ReadFrom([]byte) error       { return kerr.UnsupportedVersion }
func (*JoinRequest) ResponseKind() kmsg.Response { return new(JoinResponse) }
func (*JoinResponse) Key() int16                 { return keyJoin }
func (*JoinResponse) MaxVersion() int16          { return 0 }
func (*JoinResponse) SetVersion(int16)           {}
func (*JoinResponse) GetVersion() int16          { return 0 }
func (*JoinResponse) IsFlexible() bool           { return false }
func (*JoinResponse) AppendTo(b []byte) []byte   { return b }
func (*JoinResponse) ReadFrom([]byte) error      { return kerr.UnsupportedVersion }
func (*JoinResponse) RequestKind() kmsg.Request  { return new(JoinRequest) }

// join binds a node id to a directory. A directory that has one keeps it. An id that was another directory's can be had by asking for it, once nothing is registered under it any more: its
// disk was replaced, and the operator has said so by unregistering it.
func (d *decision) join(req *JoinRequest) (Outcome, error) {
	if reserved(req.Directory) || req.ID < protocol.NoBroker {
		return Outcome{}, kerr.InvalidRequest
	}
	level := d.view.MetadataLevel()
	if level < 2 {
		return Outcome{}, protocol.Errorf(kerr.UnsupportedVersion, "Nodes cannot join at level %d of %s.", level, record.Feature)
	}
	id, bound := d.boundTo(req.Directory)
	switch {
	case bound && (req.ID == protocol.NoBroker || req.ID == id):
		return d.outcome(&JoinResponse{ID: id}, false)
	case bound:
		return d.outcome(&JoinResponse{Err: protocol.Errorf(kerr.DuplicateBrokerRegistration, "Directory %v belongs to node %d, and cannot be node %d as well.", req.Directory, id, req.ID)}, false)
	}
	if id = req.ID; id == protocol.NoBroker {
		id = d.unusedID()
	}
	if was, taken := d.directoryOf(id); taken {
		return d.outcome(&JoinResponse{Err: protocol.Errorf(kerr.DuplicateBrokerRegistration,
			"Node id %d belongs to directory %v. If that disk is lost, unregister the broker and the controller %d first, or join without a node id.", id, was, id)}, false)
	}
	d.records = append(d.records, record.Of(&record.NodeAssignment{NodeId: int32(id), DirectoryId: req.Directory[:]}))
	return d.outcome(&JoinResponse{ID: id}, false)
}

// directoryOf is the directory that an id cannot be taken from: its node is registered, or has joined and will be. Nodes that came before there were assignments are found by what they
// have registered.
func (d *decision) directoryOf(id protocol.BrokerID) (directory protocol.DirectoryID, taken bool) {
	b, c := d.view.Broker(id), d.view.Controller(id)
	assigned, bound := d.view.Assigned(id)
	switch {
	case c != nil:
		return c.Directory, true
	case b != nil && bound:
		return assigned, true
	case b != nil && len(b.Dirs) > 0:
		return b.Dirs[0], true
	}
	return directory, b != nil
}

func (d *decision) boundTo(directory protocol.DirectoryID) (protocol.BrokerID, bool) {
	if id, ok := d.view.AssignedTo(directory); ok {
		return id, true
	}
	for _, c := range d.view.Controllers() {
		if c.Directory == directory {
			return c.ID, true
		}
	}
	for _, b := range d.view.Brokers() {
		if len(b.Dirs) > 0 && b.Dirs[0] == directory {
			return b.ID, true
		}
	}
	return protocol.NoBroker, false
}

// checkAssigned refuses a node with other directories than the one that its id is bound to: a disk that was replaced, or a copy of another node's settings.
func (d *decision) checkAssigned(id protocol.BrokerID, directories []protocol.DirectoryID) error {
	if bound, ok := d.view.Assigned(id); ok && !slices.Contains(directories, bound) {
		return protocol.Errorf(kerr.DuplicateBrokerRegistration, "Node id %d belongs to directory %v.", id, bound)
	}
	return nil
}

// unusedID is the smallest id from 1 on that nobody has had.
func (d *decision) unusedID() protocol.BrokerID {
	for id := protocol.BrokerID(1); ; id++ {
		if _, bound := d.view.Assigned(id); !bound && d.view.Broker(id) == nil && d.view.Controller(id) == nil {
			return id
		}
	}
}

// retire keeps the id of a node that is unregistered from being given away, if it has joined before there were assignments.
func (d *decision) retire(id protocol.BrokerID, directory protocol.DirectoryID) {
	if _, bound := d.view.Assigned(id); !bound && d.view.MetadataLevel() >= 2 {
		d.records = append(d.records, record.Of(&record.NodeAssignment{NodeId: int32(id), DirectoryId: directory[:]}))
	}
}
