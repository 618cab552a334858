package quorum

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/controller/sabotage"
	"ottla/protocol"
)

// pending is a request that was decided and is not answered yet. Those without records wait for the entry before them.
type pending struct {
	index  uint64 // answered when this entry is applied
	change bool   // of the members
	reply  kmsg.Response
	err    error
	done   func(kmsg.Response, error) // nil for our own proposals

	// With records: the state before them, after them, and the difference; applying the entry to the same state needs not be done twice.
	before, after *image.Image
	delta         *image.Delta
	proposed      time.Time
	size          int // bytes proposed
}

func (p *pending) answer() {
	switch {
	case p.done == nil:
	case p.err != nil:
		p.done(nil, p.err)
	default:
		p.done(p.reply, nil)
	}
}

// decideOne decides s against the speculative image and proposes what comes of it.
func (q *Machine) decideOne(s *submission) {
	if refused, ok := q.byHand(*s); ok {
		if refused != nil {
			q.park(*refused)
		}
		return
	}
	if _, ok := s.request.(*kmsg.DescribeQuorumRequest); ok {
		q.park(pending{reply: q.describe(), done: s.done})
		return
	}
	outcome, err := decide.Decide(q.env(), q.speculative, q.now, s.principal, s.request)
	p := pending{reply: outcome.Reply, err: err, done: s.done}
	switch {
	case err != nil:
		q.park(p)
	case len(outcome.Records) == 0:
		q.noteDecided(protocol.NoOffset, s.request, outcome.Reply)
		q.park(p)
	default:
		if err := q.proposeAll(p, outcome.Records, outcome.Divisible); err != nil {
			s.done(nil, err)
			return
		}
		q.noteDecided(protocol.Offset(q.lastIndex), s.request, outcome.Reply)
	}
}

func (q *Machine) env() decide.Env {
	env := decide.Env{At: protocol.Offset(q.lastIndex + 1), Static: q.o.Static, Rand: q.o.Rand, NewTopicID: q.o.NewTopicID, Voter: q.isVoter, MaxReplicas: q.o.MaxReplicas}
	if q.o.Liveness != nil {
		env.Sessions = q.o.Liveness
	}
	return env
}

// park has p, which needs no entry of its own, answered when everything decided before it is committed.
func (q *Machine) park(p pending) {
	if len(q.pending) == 0 {
		q.confirm(p)
		return
	}
	p.index = q.lastIndex
	q.pending = append(q.pending, p)
}

// proposeAll proposes records as one entry, and parks p behind it. A request that no entry can hold is refused: half of it must never be all that a crash leaves.
// Only what is divisible is cut (decide.Outcome). An error means that p is not parked.
func (q *Machine) proposeAll(p pending, rs []*record.Record, divisible bool) error {
	if fits(rs) {
		return q.propose(p, rs)
	}
	if !divisible {
		return errTooLarge
	}
	parts := slices.Collect(record.Split(rs))
	for _, part := range parts[:len(parts)-1] {
		if err := q.propose(pending{}, part); err != nil {
			return err
		}
	}
	return q.propose(p, parts[len(parts)-1])
}

// errTooLarge has Kafka's words.
var errTooLarge = protocol.Errorf(kerr.PolicyViolation, "Unable to perform excessively large batch operation.")

// mayPropose keeps what is in flight bounded: a leader that its followers do not answer takes no more than this, until it is none any more.
func (q *Machine) mayPropose() bool {
	return len(q.pending) < q.o.MaxWaiting && q.inFlight < maxInFlight && !q.ending()
}

// maxInFlight is the bytes of proposals that are not applied yet.
const maxInFlight = 16 << 20

// propose puts records into the log as one entry and parks p behind it. An error means that nothing was proposed.
func (q *Machine) propose(p pending, rs []*record.Record) error {
	p.index = q.lastIndex + 1
	data := proposal{term: q.term, id: p.index, records: record.Encode(rs)}.encode()
	if err := q.node.Propose(data); err != nil {
		return ErrNotController // raft.ErrProposalDropped is the only one
	}
	q.lastIndex = p.index
	p.size = len(data)
	q.inFlight += p.size
	p.before, p.proposed = q.speculative, q.now
	p.after, p.delta = q.speculative.Apply(protocol.Offset(p.index), protocol.Term(q.term), rs)
	q.speculative = p.after
	q.pending = append(q.pending, p)
	q.o.Metrics.proposals.Inc()
	return nil
}

// fits tells whether record.Encode takes the list.
func fits(rs []*record.Record) bool {
	const perRecord = binary.MaxVarintLen32
	size := perRecord * (len(rs) + 1)
	for _, r := range rs {
		size += proto.Size(r)
	}
	return len(rs) <= record.MaxCount && size <= record.MaxSize
}

// found proposes what a new cluster, or a new leadership, begins with.
func (q *Machine) found() {
	var rs []*record.Record
	if q.speculative.ClusterID() == "" {
		rs = q.o.founding()
	}
	if q.speculative.ControllerID() != q.o.NodeID {
		rs = append(rs, record.Of(&record.ControllerChange{NodeId: int32(q.o.NodeID)}))
	}
	if len(rs) == 0 {
		return
	}
	if err := q.propose(pending{}, rs); err != nil {
		q.o.Logger.Warn("metadata leadership was not announced", "error", err)
	}
}

// noteAppended checks that what we proposed is where it was decided for. If raft put something between, everything in flight is void.
func (q *Machine) noteAppended(entries []*pb.Entry) {
	misplaced := false
	for _, e := range entries {
		q.lastIndex = e.GetIndex()
		switch {
		case len(e.GetData()) == 0: // raft's own, or a change of the members that it has refused
		case e.GetType() != pb.EntryNormal:
			misplaced = misplaced || e.GetIndex() != q.changeIndex
		default:
			p, err := parseProposal(e.GetData())
			misplaced = misplaced || err != nil || p.id != e.GetIndex()
		}
	}
	if q.leads && misplaced {
		q.dropSpeculation()
	}
}

// dropSpeculation fails every request in flight. Whether an entry of theirs is committed yet is not known; deciding goes on when the log up to here is applied.
func (q *Machine) dropSpeculation() {
	dropped := q.pending
	q.pending, q.inFlight = nil, 0
	q.barrier = q.lastIndex
	q.sessions.due = true
	if q.speculative == nil || !sabotage.On(sabotage.KeepSpeculation) {
		q.speculative = q.committed
	}
	q.dropConfirmations()
	for i := range dropped {
		dropped[i].err = ErrNotController
		dropped[i].answer()
	}
}
