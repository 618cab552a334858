package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

// byHand decides AddRaftVoter and RemoveRaftVoter (KIP-853) in the ways of the policy: voters come and go so that there are 1, 3 or 5. It answers with the change, or returns what is to
// be answered instead. False: it is another request. Codes and words are those of Apache Kafka where it has the case.
func (q *Machine) byHand(s submission) (refused *pending, ok bool) {
	var changes []Change
	var err error
	switch r := s.request.(type) {
	case *kmsg.AddRaftVoterRequest:
		changes, err = q.addVoter(r)
	case *kmsg.RemoveRaftVoterRequest:
		changes, err = q.removeVoter(r)
	default:
		return nil, false
	}
	if err != nil {
		return &pending{reply: voterReply(s.request, err), done: s.done}, true
	}
	q.ChangeMembers(changes, func(err error) {
		switch {
		case errors.Is(err, ErrNotController):
			s.done(nil, err)
		case errors.Is(err, ErrChanging):
			s.done(voterReply(s.request, errPreviousVoter), nil)
		default:
			s.done(voterReply(s.request, err), nil)
		}
	})
	return nil, true
}

func voterReply(req kmsg.Request, err error) kmsg.Response {
	resp := req.ResponseKind()
	code, text := protocol.ErrorCode(err), protocol.ErrorMessage(err)
	if err == nil {
		text = new("NONE") // as Kafka says it
	}
	switch r := resp.(type) {
	case *kmsg.AddRaftVoterResponse:
		r.ErrorCode, r.ErrorMessage = code, text
	case *kmsg.RemoveRaftVoterResponse:
		r.ErrorCode, r.ErrorMessage = code, text
	}
	return resp
}

var errPreviousVoter = protocol.Errorf(kerr.RequestTimedOut, "Request timed out waiting for leader to handle previous voter change request")

func (q *Machine) addVoter(r *kmsg.AddRaftVoterRequest) ([]Change, error) {
	g, err := q.roster("Add", r.ClusterID, r.VoterID, r.VoterDirectoryID)
	if err != nil {
		return nil, err
	}
	key := replicaKey(r.VoterID, r.VoterDirectoryID)
	c := g.node(r.VoterID)
	switch {
	case c != nil && q.isVoter(c.ID):
		return nil, protocol.Errorf(kerr.DuplicateVoter, "The voter id for %s is already part of the set of voters %s.", key, g.voterKeys())
	case c == nil || c.Directory != protocol.DirectoryID(r.VoterDirectoryID):
		return nil, protocol.Errorf(kerr.RequestTimedOut, "New voter %s is not ready to receive requests", key)
	}
	candidates := g.candidates()
	if !slices.Contains(candidates, c.RaftID) {
		return nil, protocol.Errorf(kerr.RequestTimedOut, "Aborted add voter operation for %s since it is lagging behind", key)
	}
	return g.adding(c.RaftID, candidates, q.wantedVoters(), key)
}

// adding is a change after which the candidate id is a voter.
func (g *roster) adding(id uint64, candidates []uint64, want int, key string) ([]Change, error) {
	voters := g.voters()
	for _, m := range voters {
		if g.lost(m) {
			return []Change{{id, Voter}, g.instead(m)}, nil
		}
	}
	if !g.knowsVoters() {
		return nil, protocol.Errorf(kerr.RequestTimedOut, "New voter %s has to wait until every voter is registered", key)
	}
	others := slices.DeleteFunc(candidates, func(other uint64) bool { return other == id })
	switch {
	case len(voters) >= want:
		return nil, protocol.Errorf(kerr.InvalidRequest, "Cannot add voter %s: there are %d voters already, as ottla.quorum.voters says. It takes the place of the first one that is lost or removed.",
			key, len(voters))
	case len(voters)%2 == 0:
		return []Change{{id, Voter}}, nil
	case len(others) == 0:
		return nil, protocol.Errorf(kerr.InvalidRequest, "Cannot add voter %s alone: %d voters survive no more failures than %d. Start another controller, and both become voters.",
			key, len(voters)+1, len(voters))
	}
	return []Change{{id, Voter}, {others[0], Voter}}, nil
}

func (q *Machine) removeVoter(r *kmsg.RemoveRaftVoterRequest) ([]Change, error) {
	g, err := q.roster("Remove", r.ClusterID, r.VoterID, r.VoterDirectoryID)
	if err != nil {
		return nil, err
	}
	key := replicaKey(r.VoterID, r.VoterDirectoryID)
	c := g.node(r.VoterID)
	if c == nil || c.Directory != protocol.DirectoryID(r.VoterDirectoryID) || !q.isVoter(c.ID) {
		return nil, protocol.Errorf(kerr.VoterNotFound, "Cannot remove voter %s from the set of voters %s", key, g.voterKeys())
	}
	candidates := g.candidates()
	if len(candidates) == 0 {
		return nil, protocol.Errorf(kerr.InvalidRequest, "Cannot remove voter %s: no other controller is ready to take its place, and %d voters would be left. Start one, or set ottla.quorum.voters.",
			key, len(g.voters())-1)
	}
	return []Change{{candidates[0], Voter}, {c.RaftID, Learner}}, nil
}

// roster is the members as they are now, if the request is for this cluster, names a voter, and nothing is changing them. what begins the words of a refusal.
func (q *Machine) roster(what string, clusterID *string, id int32, directory protocol.DirectoryID) (*roster, error) {
	switch {
	case clusterID != nil && *clusterID != q.o.ClusterID:
		return nil, protocol.Errorf(kerr.InconsistentClusterID, "The given id %q doesn't match the cluster id %q", *clusterID, q.o.ClusterID)
	case id < 0 || directory.IsZero():
		return nil, protocol.Errorf(kerr.InvalidRequest, "%s voter request didn't include a valid voter", what)
	case q.changing():
		return nil, errPreviousVoter
	}
	return &roster{Status: q.Status(), controllers: q.controllers()}, nil
}

// voterKeys is the voters in Kafka's words.
func (g *roster) voterKeys() string {
	var keys []string
	for _, c := range g.controllers {
		if m := g.member(c.RaftID); m != nil && m.Role == Voter {
			keys = append(keys, keyOf(c))
		}
	}
	return "[" + strings.Join(keys, ", ") + "]"
}

func keyOf(c *image.Controller) string { return replicaKey(int32(c.ID), c.Directory) }

func replicaKey(id int32, directory [16]byte) string {
	return fmt.Sprintf("ReplicaKey(id=%d, directoryId=%s)", id, protocol.DirectoryID(directory))
}
