package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/log/vfs"
	"ottla/protocol"
)

// ErrOtherCluster says that the folder holds the metadata of another cluster. Nothing was touched.
var ErrOtherCluster = errors.New("the metadata belongs to another cluster")

// Subscriber is told of every change, on the driver's goroutine and in order. It must not block.
type Subscriber func(*image.Image, *image.Delta)

// Controller is one voter of the metadata quorum. Image and Submit may be called from anywhere; everything else belongs to Run's goroutine.
type Controller struct {
	o           Options
	storage     *raftlog.Storage
	node        *raft.RawNode
	subscribers []Subscriber
	queue       queue
	published   atomic.Pointer[image.Image]

	conf      *pb.ConfState
	applied   uint64       // index of the last entry applied
	committed *image.Image // the state after it
	lastIndex uint64       // of the last entry that raft appended or we proposed
	caughtUp  bool         // the subscribers have seen what was restored

	leads   bool
	term    uint64 // of our leadership
	barrier uint64 // deciding waits until this index is applied
	// speculative is committed and the records in flight: what requests are decided against.
	speculative *image.Image
	pending     []pending
	spare       []submission

	snapshot snapshotState

	stopping <-chan struct{} // closed when Run is to end; nil before it
	waited   bool            // for room on the disk: it is logged once
}

// Open restores what the folder and the log hold, or founds a cluster in an empty one. Run has to follow: it closes what Open opened.
//
// Errors: ErrOtherCluster; raftlog.ErrDamaged.
func Open(o Options) (*Controller, error) {
	o.setDefaults()
	c := &Controller{
		o: o, committed: image.Empty(), conf: &pb.ConfState{},
		queue:    queue{filled: make(chan struct{}, 1), limit: o.MaxQueued},
		snapshot: snapshotState{written: make(chan snapshotWritten, 1)},
	}
	var err error
	if c.storage, err = raftlog.Open(raftlog.Options{Log: o.Log, FS: o.FS, Dir: o.Dir, Logger: o.Logger, Full: c.awaitRoom}); err != nil {
		return nil, fmt.Errorf("open metadata: %w", err)
	}
	c.published.Store(c.committed)
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata: %w", err), c.storage.Close())
	}
	return c, nil
}

// Founded tells whether a folder (Options.Dir) holds a quorum's state: Open founds a cluster where there is none.
func Founded(fs vfs.FS, dir string) (bool, error) { return raftlog.Founded(fs, dir) }

func (c *Controller) open() error {
	if c.storage.Fresh() {
		if err := c.storage.Bootstrap(c.o.ClusterID); err != nil {
			return err
		}
		c.o.Logger.Info("founded a cluster", "cluster", c.o.ClusterID, "raft_id", c.storage.RaftID())
	} else if id := c.storage.ClusterID(); id != c.o.ClusterID {
		return fmt.Errorf("%w: %q, not %q", ErrOtherCluster, id, c.o.ClusterID)
	}
	if err := c.restore(); err != nil {
		return err
	}
	var err error
	if c.lastIndex, err = c.storage.LastIndex(); err != nil {
		return err
	}
	c.node, err = raft.NewRawNode(&raft.Config{
		ID: c.storage.RaftID(), Storage: c.storage, Applied: c.applied,
		ElectionTick: 10, HeartbeatTick: 1, PreVote: true, CheckQuorum: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true,
		MaxSizePerMsg: 1 << 20, MaxCommittedSizePerReady: 16 << 20, MaxInflightMsgs: 256,
		Logger: raftLogger{c.o.Logger},
	})
	return err
}

// Image is the newest committed state that the subscribers have been told of; empty until Run has caught up with the log.
func (c *Controller) Image() *image.Image { return c.published.Load() }

// Subscribe adds a subscriber; before Run. It first gets all that was restored, as a change of the empty image, once everything that had ever been answered
// is in it. The image is visible through Image when all subscribers have returned, and before the request that caused it is answered.
func (c *Controller) Subscribe(f Subscriber) {
	c.subscribers = append(c.subscribers, f)
}

// Submit has req decided, and its records committed and applied here, then calls done once. A request without records (refused, or validate-only) is answered
// when everything decided before it is committed.
//
// done runs on the driver's goroutine and must not block; on the caller's, before Submit returns, only if the request is not taken at all.
// Errors: NOT_CONTROLLER, REQUEST_TIMED_OUT when too many wait, and those of decide.
func (c *Controller) Submit(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	if err := c.queue.put(submission{p, req, done}); err != nil {
		done(nil, err)
	}
}

// Run drives the quorum until ctx ends, or until the disk fails: that error is final, and the process should end with it. Requests that were not answered get
// NOT_CONTROLLER.
func (c *Controller) Run(ctx context.Context) error {
	c.stopping = ctx.Done()
	err := c.run(ctx)
	if ctx.Err() != nil && vfs.DiskFull(err) {
		err = nil // nothing was lost: nobody was answered
	}
	c.dropSpeculation()
	for _, s := range c.queue.close() {
		s.done(nil, errNotController)
	}
	err = errors.Join(err, c.awaitSnapshot(), c.storage.Close())
	if err != nil {
		return fmt.Errorf("metadata quorum: %w", err)
	}
	return nil
}

// roomDelay is how long entries wait that have met a full disk.
const roomDelay = 250 * time.Millisecond

// awaitRoom waits a while for room on the disk; false when the controller ends. Meanwhile nothing is decided, and images are read as before.
func (c *Controller) awaitRoom() bool {
	if c.stopping == nil {
		return false
	}
	if !c.waited {
		c.o.Logger.Error("metadata waits for room on the disk")
		c.waited = true
	}
	select {
	case <-c.stopping:
		return false
	case <-time.After(roomDelay):
		return true
	}
}

func (c *Controller) run(ctx context.Context) error {
	for {
		if err := c.drain(); err != nil {
			return err
		}
		if err := c.campaign(); err != nil {
			return err
		}
		if err := c.decideWaiting(); err != nil {
			return err
		}
		if stop, err := c.await(ctx); stop || err != nil {
			return err
		}
	}
}

// await returns when there may be something to do.
func (c *Controller) await(ctx context.Context) (stop bool, err error) {
	if c.node.HasReady() {
		select {
		case <-ctx.Done():
			return true, nil
		case w := <-c.snapshot.written:
			return false, c.adoptSnapshot(w)
		default:
			return false, nil
		}
	}
	select {
	case <-ctx.Done():
		return true, nil
	case <-c.queue.filled:
		return false, nil
	case w := <-c.snapshot.written:
		return false, c.adoptSnapshot(w)
	}
}

// drain does what raft asks for until it asks for nothing more. Several entries proposed since the last time are one append and one flush.
func (c *Controller) drain() error {
	for c.node.HasReady() {
		if err := c.handle(c.node.Ready()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) handle(rd raft.Ready) error {
	if err := c.storage.Save(rd.HardState, rd.Snapshot, rd.Entries); err != nil {
		return err
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := c.restore(); err != nil {
			return err
		}
	}
	if c.waited {
		c.o.Logger.Info("metadata is written again")
		c.waited = false
	}
	c.noteAppended(rd.Entries)
	if rd.SoftState != nil {
		c.noteRole(rd.RaftState == raft.StateLeader)
	}
	for _, e := range rd.CommittedEntries {
		if err := c.apply(e); err != nil {
			return fmt.Errorf("apply entry %d: %w", e.GetIndex(), err)
		}
	}
	c.node.Advance(rd)
	status := c.node.BasicStatus()
	c.o.Metrics.progress(status.GetTerm(), status.GetCommit(), c.applied)
	if len(rd.CommittedEntries) > 0 {
		c.maybeSnapshot()
	}
	return nil
}

// campaign makes a sole voter the leader: there is nobody to wait for.
func (c *Controller) campaign() error {
	if c.leads || !c.soleVoter() {
		return nil
	}
	if err := c.node.Campaign(); err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	return c.drain()
}

func (c *Controller) soleVoter() bool {
	return slices.Equal(c.conf.GetVoters(), []uint64{c.storage.RaftID()}) && len(c.conf.GetVotersOutgoing()) == 0
}

// noteRole follows our leadership. Deciding begins behind the empty entry that begins the term.
func (c *Controller) noteRole(leads bool) {
	if leads == c.leads {
		return
	}
	c.leads = leads
	c.term = c.node.BasicStatus().GetTerm()
	c.dropSpeculation()
	c.o.Logger.Info("metadata leadership", "leads", leads, "term", c.term)
}

// mayDecide tells whether everything that earlier leaders, and dropped speculation, may have left in the log is applied.
func (c *Controller) mayDecide() bool { return c.leads && c.applied >= c.barrier }

// decideWaiting decides what has been submitted, if it may.
func (c *Controller) decideWaiting() error {
	switch {
	case !c.leads && !c.soleVoter():
		for _, s := range c.queue.take(nil) {
			s.done(nil, errNotController)
		}
		return nil
	case !c.mayDecide():
		return nil
	}
	c.found()
	taken := c.queue.take(c.spare)
	for i := range taken {
		c.decideOne(&taken[i])
	}
	clear(taken)
	c.spare = taken
	return nil
}
