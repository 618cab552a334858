package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// In governed runs the leader's policy makes the members of those who are registered (controller/quorum/members.go). Operators only ask for what Kafka lets them ask for: AddRaftVoter and
// RemoveRaftVoter, and how many voters there are to be.

// wantedVoters is the property that says so.
const wantedVoters = "ottla.quorum.voters"

// directoryOf is the directory of the disk that has a raft id.
func directoryOf(raftID uint64) (id protocol.DirectoryID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], raftID)
	return id
}

// registerController has the leader told that a node is a controller.
func (l *client) registerController(n *node) {
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID, req.IncarnationID = int32(n.id), n.incarnation()
	f := kmsg.NewControllerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, record.MinLevel, record.MaxLevel
	req.Features = append(req.Features, f)
	decide.SetMember(req, n.raftID(), directoryOf(n.raftID()))
	l.submit(l.leader(), &request{kind: enlist, raftID: n.raftID(), body: req})
}

// operate asks for one change of the voters by hand.
func (s *simulation) operate() {
	controllers := s.judge.images[s.judge.end()].Controllers()
	if len(controllers) == 0 {
		return
	}
	c := controllers[s.dice.IntN(len(controllers))]
	s.client.count++
	r := &request{number: s.client.count, raftID: c.RaftID}
	switch s.dice.IntN(3) {
	case 0:
		req := kmsg.NewPtrAddRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(c.ID), c.Directory
		r.kind, r.body = promote, req
	case 1:
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(c.ID), c.Directory
		r.kind, r.body = demote, req
	default:
		r.kind, r.name = want, strconv.Itoa([]int{1, 3, 3, 5}[s.dice.IntN(4)])
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		change := kmsg.NewIncrementalAlterConfigsRequestResource()
		change.ResourceType = kmsg.ConfigResourceTypeBroker
		v := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		v.Name, v.Value = wantedVoters, &r.name
		change.Configs = append(change.Configs, v)
		req.Resources = append(req.Resources, change)
		r.body = req
	}
	s.cover.ByHand++
	s.client.submit(s.client.leader(), r)
}

// wanted is how many voters an image asks for.
func wanted(img *image.Image) int {
	return int(config.Values{DynamicDefault: img.Config(config.Broker, "")}.Int(wantedVoters))
}

// answeredMembers: what an operator, or a node that has registered, was told of the members was so at some moment between question and answer.
func (j *judge) answeredMembers(r *request, code int16, answered protocol.Offset) error {
	votes := func(m *members) bool { return slices.Contains(m.voters, r.raftID) }
	right := true
	switch {
	case code == 0 && r.kind == enlist:
		right = j.sometime(r.asked, answered, func(img *image.Image) bool { return registeredAs(img, r.raftID) })
	case code == 0 && r.kind == promote, code == kerr.DuplicateVoter.Code:
		right = j.sometimeMembers(r.asked, answered, votes)
	case code == 0 && r.kind == demote:
		right = j.sometimeMembers(r.asked, answered, func(m *members) bool { return !votes(m) })
	case code == kerr.VoterNotFound.Code: // or its node has another disk by now
		right = j.sometimeMembers(r.asked, answered, func(m *members) bool { return !votes(m) }) ||
			j.sometime(r.asked, answered, func(img *image.Image) bool { return !registeredAs(img, r.raftID) })
	case code == kerr.RequestTimedOut.Code, code == kerr.InvalidRequest.Code && r.kind != enlist: // the members are changing, or the node is not ready
	case code == kerr.UnsupportedVersion.Code && r.kind == enlist: // the format's level may be raised later
		right = j.sometime(r.asked, answered, func(img *image.Image) bool { return img.MetadataLevel() < record.MaxLevel })
	case code == kerr.DuplicateBrokerRegistration.Code && r.kind == enlist: // while the session of the node's broker lasts, which is another process
		body := r.body.(*kmsg.ControllerRegistrationRequest)
		right = j.sometime(r.asked, answered, func(img *image.Image) bool {
			b := img.Broker(protocol.BrokerID(body.ControllerID))
			return b != nil && b.Incarnation != protocol.ID(body.IncarnationID)
		})
	case code != 0:
		return fmt.Errorf("a refusal that nobody expects: %w", kerr.ErrorForCode(code))
	}
	if !right {
		return fmt.Errorf("AnswersAboutMembersAreTrue: raft id %x", r.raftID)
	}
	return nil
}

// sometimeMembers tells whether a configuration that was in force from one offset to another, both inclusive, is as it should be.
func (j *judge) sometimeMembers(from, to protocol.Offset, right func(*members) bool) bool {
	for n := range j.members {
		m := &j.members[n]
		ended := n+1 < len(j.members) && protocol.Offset(j.members[n+1].index) <= from
		if protocol.Offset(m.index) <= to && !ended && right(m) {
			return true
		}
	}
	return false
}

func registeredAs(img *image.Image, raftID uint64) bool {
	return slices.ContainsFunc(img.Controllers(), func(c *image.Controller) bool { return c.RaftID == raftID })
}

// votersAreReplacedNeverDropped: with the policy a voter is a learner that is registered, before it votes; and there are fewer voters only where fewer are wanted.
func (j *judge) votersAreReplacedNeverDropped(was, next *members) {
	if !j.s.plan.governed || was.index == 0 || len(next.voters) == 0 {
		return
	}
	before := j.images[next.index-1]
	for _, id := range next.voters {
		if !slices.Contains(was.voters, id) && !slices.Contains(was.learners, id) {
			j.failf("VotersAreReplacedNeverDropped: %x votes, and did not learn: from %v to %v", id, *was, *next)
		}
	}
	if len(next.voters) < len(was.voters) && !j.everWanted(next.index, len(next.voters)) {
		j.failf("VotersAreReplacedNeverDropped: from %v to %v, wanted are %d", *was, *next, wanted(before))
	}
	if difference(was.voters, next.voters) == 2 && len(was.voters) == len(next.voters) {
		j.s.cover.Replaced++
	}
}

// everWanted tells whether so many voters were wanted when the change at an offset may have been decided: on the state of some moment before it.
func (j *judge) everWanted(index uint64, voters int) bool {
	for at := index; at > 0; at-- {
		if wanted(j.images[at-1]) <= voters {
			return true
		}
		if j.entries[at-1].GetTerm() != j.entries[index].GetTerm() {
			break
		}
	}
	return false
}

// retire takes a node out of service for good when everything heals, if the others can do without: the policy has to replace it.
func (s *simulation) retire() {
	if !s.plan.retires || s.changing() {
		return
	}
	m := &s.judge.members[len(s.judge.members)-1]
	for _, n := range s.nodes {
		left := func(id uint64) bool { return s.net.home[id] != nil && s.net.home[id] != n }
		if !slices.Contains(m.voters, n.raftID()) || len(m.voters) < 3 || !m.has(left) {
			continue
		}
		s.cover.Retired++
		s.say("%d is out of service", n.number)
		n.gone = true
		if n.up {
			n.crash(1)
		}
		return
	}
}

// policyReached tells what the policy still has to do.
func (s *simulation) policyReached() error {
	img, m := s.judge.images[s.judge.end()], &s.judge.members[len(s.judge.members)-1]
	for _, n := range s.nodes {
		switch c := img.Controller(n.id); {
		case n.gone:
		case c == nil || c.RaftID != n.raftID():
			return fmt.Errorf("node %d is not registered as %x", n.number, n.raftID())
		case !m.includes(n.raftID()):
			return fmt.Errorf("node %d is no member: %v", n.number, *m)
		}
	}
	for _, id := range slices.Concat(m.voters, m.learners) {
		if s.net.home[id] == nil {
			return fmt.Errorf("%x is a member, and its disk is no more: %v", id, *m)
		}
	}
	all := min(wanted(img), len(m.voters)+len(m.learners))
	if voters := (all+1)/2*2 - 1; len(m.voters) != voters {
		return fmt.Errorf("%d voters are wanted of %v", voters, *m)
	}
	spare := slices.ContainsFunc(m.learners, func(id uint64) bool { return !s.net.home[id].gone })
	lost := slices.ContainsFunc(m.voters, func(id uint64) bool { return s.net.home[id].gone })
	if spare && lost {
		return fmt.Errorf("a voter that is gone is not replaced: %v", *m)
	}
	if img.MetadataLevel() < record.MaxLevel {
		return errors.New("the format of metadata is not raised")
	}
	return nil
}
