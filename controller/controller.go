package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/controller/raftlog"
	"ottla/log/vfs"
	"ottla/protocol"
)

// ErrOtherCluster says that the folder holds the metadata of another cluster. Nothing was touched.
var ErrOtherCluster = quorum.ErrOtherCluster

// Subscriber is told of every change, on the driver's goroutine and in order. It must not block.
type Subscriber func(*image.Image, *image.Delta)

// Controller is one member of the metadata quorum. Its methods but Subscribe and Run may be called from anywhere.
type Controller struct {
	o           Options
	storage     *raftlog.Storage
	machine     *quorum.Machine
	subscribers []Subscriber
	queue       queue
	published   atomic.Pointer[image.Image]
	applied     atomic.Pointer[image.Image]
	leader      atomic.Uint64
	follow      follow

	spare   work
	writing bool                      // a snapshot
	written chan *quorum.SnapshotWork // room for one: the writer never waits

	stopping <-chan struct{} // closed when Run is to end; nil before it
	waited   bool            // for room on the disk: it is logged once
}

// Open restores what the folder and the log hold. In an empty one it founds a cluster, or begins to join one (Options.Join). Run has to follow: it closes what Open opened.
//
// Errors: ErrOtherCluster; raftlog.ErrDamaged.
func Open(o Options) (*Controller, error) {
	o.setDefaults()
	c := &Controller{o: o, queue: queue{filled: make(chan struct{}, 1), limit: o.MaxQueued}, written: make(chan *quorum.SnapshotWork, 1)}
	c.published.Store(image.Empty())
	var err error
	if c.storage, err = raftlog.Open(raftlog.Options{Log: o.Log, FS: o.FS, Dir: o.Dir, Logger: o.Logger, Full: c.awaitRoom}); err != nil {
		return nil, fmt.Errorf("open metadata: %w", err)
	}
	c.machine, err = quorum.Open(quorum.Options{
		Storage: c.storage, NodeID: o.NodeID, ClusterID: o.ClusterID, Publish: c.publish, Features: o.Features, Defaults: o.Defaults, Founding: o.Founding, Static: o.Static,
		NewTopicID: protocol.NewID, Rand: o.Rand, Logger: o.Logger, Metrics: o.Metrics, SnapshotEntries: o.SnapshotEntries, SnapshotBytes: o.SnapshotBytes,
		Join: o.Join, Govern: o.Govern, Liveness: o.Liveness, MaxReplicas: o.MaxReplicas,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata: %w", err), c.storage.Close())
	}
	c.applied.Store(c.machine.State())
	return c, nil
}

// Founded tells whether a folder (Options.Dir) holds a quorum's state: Open founds a cluster where there is none.
func Founded(fs vfs.FS, dir string) (bool, error) { return raftlog.Founded(fs, dir) }

// Image is the newest committed state that the subscribers have been told of; empty until Run has caught up with the log.
func (c *Controller) Image() *image.Image { return c.published.Load() }

// Applied is Image before that is published as well: it may be of long ago, and says no more than where other members may be found.
func (c *Controller) Applied() *image.Image { return c.applied.Load() }

// Subscribe adds a subscriber; before Run. It first gets all that was restored, as a change of the empty image, once everything that had ever been answered
// is in it. The image is visible through Image when all subscribers have returned, and before the request that caused it is answered.
func (c *Controller) Subscribe(f Subscriber) {
	c.subscribers = append(c.subscribers, f)
}

func (c *Controller) publish(img *image.Image, delta *image.Delta) {
	if !delta.Empty() {
		for _, f := range c.subscribers {
			f(img, delta)
		}
	}
	c.published.Store(img)
	if c.o.Published != nil {
		c.o.Published(img, delta)
	}
}

// Submit has req decided, and its records committed and applied here, then calls done once. A request without records (refused, or validate-only) is answered
// when everything decided before it is committed.
//
// done runs on the driver's goroutine and must not block; on the caller's, before Submit returns, only if the request is not taken at all. On a node that does not lead the
// request goes to Options.Forward, which then calls done.
// Errors: NOT_CONTROLLER, REQUEST_TIMED_OUT when too many wait, and those of decide.
func (c *Controller) Submit(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	c.submit(submission{p, req, done, false})
}

// Decide is Submit for a request that another node passes on: it is decided here, or answered with NOT_CONTROLLER. When done is called, Image has what was decided.
func (c *Controller) Decide(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	c.submit(submission{p, req, done, true})
}

func (c *Controller) submit(s submission) {
	if err := c.queue.put(s); err != nil {
		s.done(nil, err)
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
	c.machine.Close()
	left := c.queue.close()
	for _, s := range left.submissions {
		s.done(nil, quorum.ErrNotController)
	}
	for _, call := range left.calls {
		call(nil)
	}
	if c.writing {
		err = errors.Join(err, c.machine.Wrote(<-c.written))
	}
	if err = errors.Join(err, c.storage.Close()); err != nil {
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
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for err := c.ready(); ; err = c.turn() { // what is committed is applied before anything is asked
		if err != nil {
			return err
		}
		var expired <-chan time.Time // never, without a deadline
		if at := c.machine.Deadline(); !at.IsZero() {
			timer.Reset(time.Until(at))
			expired = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.queue.filled:
		case <-expired:
			c.machine.Expire(time.Now())
		case w := <-c.written:
			c.writing = false
			if err := c.machine.Wrote(w); err != nil {
				return err
			}
		}
	}
}

// turn hands over what came, and does what comes of it.
func (c *Controller) turn() error {
	taken := c.queue.take(c.spare)
	for _, call := range taken.calls {
		call(c.machine)
	}
	for _, s := range taken.submissions {
		c.hand(s)
	}
	clear(taken.calls)
	clear(taken.submissions)
	c.spare = taken
	return c.ready()
}

// ready does what the machine wants done.
func (c *Controller) ready() error {
	rd, err := c.machine.Ready(time.Now())
	if err != nil {
		return err
	}
	c.applied.Store(c.machine.State())
	if leader := c.machine.Leader(); leader != c.leader.Load() {
		c.leader.Store(leader)
		if c.o.LeaderChanged != nil {
			c.o.LeaderChanged()
		}
	}
	if c.waited {
		c.o.Logger.Info("metadata is written again")
		c.waited = false
	}
	if len(rd.Messages) > 0 && c.o.Send != nil {
		c.o.Send(rd.Messages)
	}
	c.follow.show(c.Image().Offset()+1, c.machine.InContact())
	if w := rd.Snapshot; w != nil {
		c.writing = true
		go func() {
			w.Write()
			c.written <- w
		}()
	}
	return nil
}

// hand gives a request to the machine, or to the leader. When the leadership is lost over it, it is submitted anew, as Apache Kafka's brokers do: if it was decided all the same, the second
// answer says what the first one has done.
func (c *Controller) hand(s submission) {
	switch {
	case s.here || c.o.Forward == nil:
		c.machine.Submit(s.principal, s.request, s.done)
	case !c.machine.Leads():
		c.o.Forward(s.principal, s.request, func(resp kmsg.Response, err error) {
			if errors.Is(err, kerr.NotController) && c.Leads() {
				c.submit(s) // by now this node leads
				return
			}
			s.done(resp, err)
		})
	default:
		c.machine.Submit(s.principal, s.request, func(resp kmsg.Response, err error) {
			if errors.Is(err, quorum.ErrNotController) {
				c.submit(s)
				return
			}
			s.done(resp, err)
		})
	}
}
