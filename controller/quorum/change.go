package quorum

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/sabotage"
	"ottla/protocol"
)

// Role is what a node is in the quorum.
type Role int8

const (
	NoMember Role = iota
	Learner       // has the log, has no vote
	Voter
)

// Change is what one node is to become.
type Change struct {
	RaftID uint64
	To     Role
}

// ErrChanging says that a change of the members is under way already, or was when this one came to the log. It may be asked for again.
var ErrChanging = errors.New("a change of the quorum's members is under way")

// ChangeMembers makes nodes what they are to be, all at once: several of them by a joint configuration, which the leader ends as soon as it is entered. It is for the leader, which
// hands over before it changes itself away: then done gets ErrNotController. done is called once, when the
// change (of several: its beginning) is applied here, or with an error; by this call itself if nothing was proposed.
//
// Errors: ErrNotController, and then it is not known whether the change will be made if it was proposed; ErrChanging; others for changes that make no sense.
func (q *Machine) ChangeMembers(changes []Change, done func(error)) {
	if err := q.proposeChange(changes, done); err != nil {
		done(err)
	}
}

func (q *Machine) proposeChange(changes []Change, done func(error)) error {
	switch {
	case !q.mayDecide():
		return ErrNotController
	case q.changing():
		return ErrChanging
	}
	if err := checkChanges(q.conf, changes); err != nil {
		return err
	}
	if q.leavesBy(changes) {
		q.handOver(func(id uint64) bool { return stays(q.conf, changes, id) })
		return ErrNotController
	}
	entry := &pb.ConfChangeV2{Transition: pb.ConfChangeTransitionAuto.Enum()}
	if len(changes) > 1 {
		entry.Transition = pb.ConfChangeTransitionJointExplicit.Enum()
	}
	for _, c := range changes {
		entry.Changes = append(entry.Changes, &pb.ConfChangeSingle{Type: c.kind().Enum(), NodeId: new(c.RaftID)})
	}
	if sabotage.On(sabotage.TwoVotersAtOnce) {
		entry.Changes = entry.Changes[:1] // the others later: without a joint configuration
	}
	if err := q.appendChange(entry, func(_ kmsg.Response, err error) { done(err) }); err != nil {
		return err
	}
	q.o.Logger.Info("changing the members of the quorum", "changes", changes, "offset", q.changeIndex)
	return nil
}

// appendChange puts a change into the log, and parks done behind it.
func (q *Machine) appendChange(entry *pb.ConfChangeV2, done func(kmsg.Response, error)) error {
	if err := q.node.ProposeConfChange(entry); err != nil {
		return ErrNotController // raft.ErrProposalDropped is the only one
	}
	q.lastIndex++
	q.changeIndex = q.lastIndex
	p := pending{index: q.lastIndex, change: true, before: q.speculative, proposed: q.now, done: done}
	p.after, p.delta = q.speculative.Apply(protocol.Offset(p.index), protocol.Term(q.term), nil)
	q.speculative = p.after
	q.pending = append(q.pending, p)
	return nil
}

// endJoint ends a joint configuration. Only a leader does that which stays a voter: one that does not steps down when it knows the end committed, and those who stay may never learn of
// that, because they need the vote of those who left, whose logs may be longer. It hands over first. Nothing else is proposed until the end is applied, for the same reason.
func (q *Machine) endJoint() {
	switch {
	case !q.mayDecide() || len(q.conf.GetVotersOutgoing()) == 0 || q.changeIndex > q.applied:
	case !slices.Contains(q.conf.GetVoters(), q.storage.RaftID()):
		q.handOver(func(id uint64) bool { return slices.Contains(q.conf.GetVoters(), id) })
	default:
		if err := q.appendChange(&pb.ConfChangeV2{}, nil); err != nil {
			q.o.Logger.Debug("joint configuration not ended", "error", err)
		}
	}
}

// ending tells whether the end of a joint configuration is in the log and not applied.
func (q *Machine) ending() bool {
	return q.changeIndex > q.applied && len(q.conf.GetVotersOutgoing()) > 0
}

// leavesBy tells whether we would not be a voter after changes, but are one now.
func (q *Machine) leavesBy(changes []Change) bool {
	self := q.storage.RaftID()
	return slices.Contains(q.conf.GetVoters(), self) && !stays(q.conf, changes, self)
}

// stays tells whether a voter is one after changes too.
func stays(conf *pb.ConfState, changes []Change, id uint64) bool {
	return slices.Contains(conf.GetVoters(), id) && !slices.ContainsFunc(changes, func(c Change) bool { return c.RaftID == id && c.To != Voter })
}

// handOver gives the leadership to the member that has most of the log among those that may have it. Raft gives up after an election timeout; then it is tried again.
func (q *Machine) handOver(may func(raftID uint64) bool) {
	status := q.node.Status()
	best, match := uint64(raft.None), uint64(0)
	for _, id := range slices.Sorted(maps.Keys(status.Progress)) {
		if p := status.Progress[id]; id != status.ID && may(id) && p.RecentActive && (best == raft.None || p.Match > match) {
			best, match = id, p.Match
		}
	}
	if best != raft.None && status.LeadTransferee == raft.None {
		q.o.Logger.Info("handing over the metadata leadership", "to", best)
		q.node.TransferLeader(best)
	}
}

// Resign has a leader hand over to another voter that is heard of, if there is one.
func (q *Machine) Resign() {
	if q.leads {
		q.handOver(func(id uint64) bool { return slices.Contains(q.conf.GetVoters(), id) })
	}
}

// checkChange notes that raft took an empty entry instead of the change: it had one under way that we knew nothing of.
func (q *Machine) checkChange(e *pb.Entry) {
	if len(q.pending) == 0 || e.GetType() != pb.EntryNormal {
		return
	}
	if p := &q.pending[0]; p.change && p.index == e.GetIndex() {
		p.err = ErrChanging
	}
}

func (c Change) kind() pb.ConfChangeType {
	switch c.To {
	case Voter:
		return pb.ConfChangeAddNode
	case Learner:
		return pb.ConfChangeAddLearnerNode
	}
	return pb.ConfChangeRemoveNode
}

func (c Change) String() string { return fmt.Sprintf("%x: %s", c.RaftID, c.To) }

func (r Role) String() string { return [...]string{"none", "learner", "voter"}[r] }

// changing tells whether members are being changed: the change is not applied, or its joint configuration lasts.
func (q *Machine) changing() bool {
	return q.changeIndex > q.applied || len(q.conf.GetVotersOutgoing()) > 0
}

// checkChanges refuses what raft would answer with a panic when it is applied, on all nodes.
func checkChanges(conf *pb.ConfState, changes []Change) error {
	voters := slices.Clone(conf.GetVoters())
	for n, c := range changes {
		switch {
		case c.RaftID == 0:
			return errors.New("change of members: no raft id")
		case slices.ContainsFunc(changes[:n], func(other Change) bool { return other.RaftID == c.RaftID }):
			return fmt.Errorf("change of members: %x twice", c.RaftID)
		}
		voters = slices.DeleteFunc(voters, func(id uint64) bool { return id == c.RaftID })
		if c.To == Voter {
			voters = append(voters, c.RaftID)
		}
	}
	switch {
	case len(changes) == 0:
		return errors.New("change of members: nothing to change")
	case len(voters) == 0:
		return errors.New("change of members: no voter would be left")
	}
	return nil
}
