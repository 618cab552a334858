package quorum

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/controller/sabotage"
	"ottla/protocol"
)

// ErrOtherCluster says that the folder holds the metadata of another cluster. Nothing was touched.
var ErrOtherCluster = errors.New("the metadata belongs to another cluster")

// ErrNotController answers what only the leader decides. Whether a change of metadata that was under way will be committed is not known.
var ErrNotController = protocol.Errorf(kerr.NotController, "%s", kerr.NotController.Description)

// Message is what voters tell one another.
type Message = pb.Message

// Machine is one node of the metadata quorum: a voter, a learner, or one that is neither yet.
type Machine struct {
	o       Options
	storage *raftlog.Storage
	node    *raft.RawNode
	now     time.Time // of the event at work
	failed  error     // of a read in the middle of raft's work; Ready returns it

	conf      *pb.ConfState // as applied
	applied   uint64        // index of the last entry applied
	committed *image.Image  // the state after it
	lastIndex uint64        // of the last entry that raft appended or we proposed
	catchUp   catchUp
	questions questions

	leader      uint64 // raft id; 0: none known
	leads       bool
	term        uint64 // of our leadership
	barrier     uint64 // deciding waits until this index is applied
	changeIndex uint64 // of the last change of the members that we proposed in this term
	// speculative is committed and the records in flight: what requests are decided against.
	speculative *image.Image
	waiting     []submission // to be decided
	pending     []pending    // to be answered
	inFlight    int          // bytes of them
	confirming  []confirmation
	round       uint64 // of the newest of them
	roundOpen   bool   // raft was not asked about it yet

	tick       time.Time // the next one; zero: nothing is timed
	ticks      uint64    // so far
	messages   []*pb.Message
	snapshot   snapshotState
	shipped    shipments
	heard      hearing
	contact    uint64 // tick of the last word of our leader; our own counts
	succession succession
	review     review
	sessions   sessions
}

// submission is a request that is to be decided.
type submission struct {
	principal protocol.Principal
	request   kmsg.Request
	done      func(kmsg.Response, error)
}

// Ready is what a machine wants done. Nothing in it waits for the disk any more.
type Ready struct {
	// Messages are for other voters. They may be lost, doubled or come late.
	Messages []*pb.Message
	// Snapshot is to be written, on any goroutine, and given back to Wrote; nil if none is due.
	Snapshot *SnapshotWork
}

// Open restores what the storage holds. In an empty one it founds a cluster, or makes the memory of a node that joins one. It writes, but sends and publishes nothing.
//
// Errors: ErrOtherCluster; those of the storage.
func Open(o Options) (*Machine, error) {
	q := &Machine{o: o, storage: o.Storage, committed: image.Empty(), conf: &pb.ConfState{}, catchUp: newCatchUp(), questions: newQuestions(), shipped: make(shipments)}
	q.o.setDefaults()
	if err := q.begin(); err != nil {
		return nil, err
	}
	if err := q.restore(); err != nil {
		return nil, err
	}
	var err error
	if q.lastIndex, err = q.storage.LastIndex(); err != nil {
		return nil, err
	}
	q.node, err = raft.NewRawNode(&raft.Config{
		ID: q.storage.RaftID(), Storage: raftStorage{q.storage, q}, Applied: q.applied,
		ElectionTick: electionTicks, HeartbeatTick: heartbeatTicks, PreVote: true, CheckQuorum: true,
		DisableProposalForwarding: !sabotage.On(sabotage.StaleProposal), StepDownOnRemoval: true,
		MaxSizePerMsg: 1 << 20, MaxCommittedSizePerReady: 16 << 20, MaxInflightMsgs: 256,
		Logger: raftLogger{o.Logger},
	})
	return q, err
}

// begin founds or joins a cluster in an empty storage, and checks whose another one is.
func (q *Machine) begin() error {
	s, name := q.storage, q.o.ClusterID
	switch {
	case !s.Fresh():
		if id := s.ClusterID(); id != name {
			return fmt.Errorf("%w: %q, not %q", ErrOtherCluster, id, name)
		}
		return nil
	case q.o.Join:
		if err := s.Join(name); err != nil {
			return err
		}
		q.o.Logger.Info("joining a cluster", "cluster", name, "raft_id", s.RaftID())
	default:
		if err := s.Bootstrap(name); err != nil {
			return err
		}
		q.o.Logger.Info("founded a cluster", "cluster", name, "raft_id", s.RaftID())
	}
	return nil
}

// RaftID is this node's, for as long as it has its folder.
func (q *Machine) RaftID() uint64 { return q.storage.RaftID() }

// Submit has req decided, and its records committed and applied here, then calls done once, from Ready or Close. A request without records (refused, or
// validate-only) is answered when everything decided before it is committed. If too many wait, done is called by Submit itself, with REQUEST_TIMED_OUT.
// Errors: NOT_CONTROLLER, and those of decide.
func (q *Machine) Submit(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	if len(q.waiting) >= q.o.MaxWaiting {
		done(nil, protocol.Errorf(kerr.RequestTimedOut, "%d changes of metadata are waiting already", q.o.MaxWaiting))
		return
	}
	q.waiting = append(q.waiting, submission{p, req, done})
}

// Step takes a message of another voter, which a connection has brought whole and from whom it says. One that is not for this node, or of nobody known, is ignored.
func (q *Machine) Step(m *pb.Message) {
	if m.GetTo() != q.storage.RaftID() || raft.IsLocalMsg(m.GetType()) {
		return
	}
	if m.GetType() == pb.MsgSnap {
		// What raft has taken has to be installed. Bytes that are not what the leader wrote are sent again.
		if err := raftlog.CheckSnapshot(m.GetSnapshot()); err != nil {
			q.o.Logger.Warn("snapshot of the leader refused", "from", m.GetFrom(), "error", err)
			return
		}
	}
	if m.GetFrom() == q.leader {
		q.contact = q.ticks
	}
	if err := q.node.Step(m); err != nil {
		q.o.Logger.Debug("raft message ignored", "type", m.GetType().String(), "error", err)
	}
	q.hear(m.GetFrom())
}

// Ready does everything that has become possible: it writes what raft demands, waits for the disk, applies what is committed, decides what waits, answers, and returns what is to be
// sent. An error is final: the machine, and the node, are at their end. The driver calls it after every other call.
func (q *Machine) Ready(now time.Time) (Ready, error) {
	q.now = now
	for {
		if err := q.drain(); err != nil {
			return Ready{}, err
		}
		if err := q.campaign(); err != nil {
			return Ready{}, err
		}
		q.askCommit()
		q.askQuestions()
		q.keepSessions()
		q.fenceExpired()
		q.decideWaiting()
		q.askConfirmation()
		q.endJoint()
		q.reviewMembers()
		if !q.node.HasReady() {
			break
		}
	}
	q.maybeSnapshot()
	q.time()
	rd := Ready{Messages: q.messages, Snapshot: q.snapshot.due}
	q.messages, q.snapshot.due = nil, nil
	return rd, nil
}

// Deadline is when Expire wants to be called; zero for never. A sole voter has nobody to wait for but brokers.
func (q *Machine) Deadline() time.Time {
	at := q.sessionsEnd()
	if at.IsZero() || !q.tick.IsZero() && q.tick.Before(at) {
		return q.tick
	}
	return at
}

// Expire tells raft, and who keeps the sessions of brokers, that time has passed. Ticks that were missed, because the process slept or the disk did, are not made up for: who was away too
// long has no say in who is to lead.
func (q *Machine) Expire(now time.Time) {
	q.expireSessions(now)
	if q.tick.IsZero() || now.Before(q.tick) {
		return
	}
	q.tick = now.Add(Tick)
	q.ticks++
	q.node.Tick()
	q.catchUp.wait--
	q.expireQuestions()
	if q.leads {
		q.contact = q.ticks
	}
	q.succeed()
	q.expireShipments()
}

func (q *Machine) time() {
	switch {
	case q.Alone():
		q.tick = time.Time{}
	case q.tick.IsZero():
		q.tick = q.now.Add(Tick)
	}
}

// Close ends the machine: what waits is answered with NOT_CONTROLLER. A snapshot under way has to be given back before. The storage stays its owner's.
func (q *Machine) Close() {
	q.dropSpeculation()
	q.refuseWaiting()
	q.dropQuestions()
}

// drain does what raft asks for until it asks for nothing more. Several entries proposed since the last time are one append and one flush.
func (q *Machine) drain() error {
	for q.failed == nil && q.node.HasReady() {
		if err := q.handle(q.node.Ready()); err != nil {
			return err
		}
	}
	return q.failed
}

func (q *Machine) handle(rd raft.Ready) error {
	if err := q.storage.Save(rd.HardState, rd.Snapshot, rd.Entries); err != nil {
		return err
	}
	q.send(rd.Messages)
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := q.restore(); err != nil {
			return err
		}
	}
	q.noteAppended(rd.Entries)
	if rd.SoftState != nil {
		q.noteLeader(rd.Lead)
		q.noteRole(rd.RaftState == raft.StateLeader)
	}
	q.noteCommit(rd.ReadStates)
	q.noteAnswers(rd.ReadStates)
	q.noteConfirmed(rd.ReadStates)
	for _, e := range rd.CommittedEntries {
		if err := q.apply(e); err != nil {
			return fmt.Errorf("apply entry %d: %w", e.GetIndex(), err)
		}
	}
	if !q.catchUp.done {
		q.publish(nil) // the answer may come after the entries
	}
	q.node.Advance(rd)
	status := q.node.BasicStatus()
	q.o.Metrics.progress(status.GetTerm(), status.GetCommit(), q.applied)
	return nil
}

// send has messages sent when this Ready ends. All that they speak of is on disk.
func (q *Machine) send(messages []*pb.Message) {
	for _, m := range messages {
		if m.GetType() == pb.MsgSnap {
			q.shipped[m.GetTo()] = q.ticks
		}
	}
	q.messages = append(q.messages, messages...)
}

// campaign makes a sole voter the leader: there is nobody to wait for.
func (q *Machine) campaign() error {
	if q.leads || !q.soleVoter() {
		return nil
	}
	if err := q.node.Campaign(); err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	return q.drain()
}

// noteLeader follows who leads. A new leader is asked at once for what is still to be known.
func (q *Machine) noteLeader(leader uint64) {
	if leader != q.leader {
		q.leader, q.catchUp.wait, q.questions.wait = leader, 0, 0
	}
	if leader != raft.None {
		q.contact = q.ticks
	}
}

// noteRole follows our leadership. Deciding begins behind the empty entry that begins the term.
func (q *Machine) noteRole(leads bool) {
	if leads == q.leads || !leads && sabotage.On(sabotage.StaleProposal) {
		return
	}
	q.leads, q.term, q.changeIndex = leads, q.node.BasicStatus().GetTerm(), 0
	q.heard.restart(q.ticks)
	clear(q.shipped)
	q.review.due = true
	q.dropSpeculation()
	q.o.Logger.Info("metadata leadership", "leads", leads, "term", q.term)
}

// Leader is the raft id of who leads; 0: nobody is known.
func (q *Machine) Leader() uint64 { return q.leader }

// State is the image as far as it is applied here, published or not.
func (q *Machine) State() *image.Image { return q.committed }

// Leads tells whether requests are to be submitted here. A sole voter that does not lead yet will at once.
func (q *Machine) Leads() bool { return q.leads || q.soleVoter() }

// mayDecide tells whether everything that earlier leaders, and dropped speculation, may have left in the log is applied.
func (q *Machine) mayDecide() bool { return q.leads && q.applied >= q.barrier }

// decideWaiting decides what has been submitted, if it may.
func (q *Machine) decideWaiting() {
	switch {
	case !q.Leads():
		q.refuseWaiting()
		return
	case !q.mayDecide() || q.ending():
		return
	}
	q.found()
	q.fenceExpired()
	n := 0
	for ; n < len(q.waiting) && q.mayPropose(); n++ {
		q.decideOne(&q.waiting[n])
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
}

func (q *Machine) refuseWaiting() {
	refused := q.waiting
	q.waiting = nil
	for i := range refused {
		refused[i].done(nil, ErrNotController)
	}
}
