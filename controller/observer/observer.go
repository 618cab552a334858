package observer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/peer"
)

// Observer has the metadata as of the entries that it has fetched. Its methods but Subscribe and Run may be called from anywhere.
type Observer struct {
	o           Options
	peer        *client.Peer
	subscribers []func(*image.Image, *image.Delta)
	published   atomic.Pointer[image.Image]

	// The rest is Run's goroutine's.

	state    *image.Image    // after the newest entry; published from the first time on
	goal     protocol.Offset // state is not shown before it has all before this offset; 0: nobody has said it yet
	caughtUp bool            // state was shown
	doubt    doubt

	tried    map[client.Target]struct{} // members that were dialed since one was followed, and that one
	failures int                        // in a row
	fatal    error
	stop     context.CancelFunc
}

// New returns an observer that knows nothing until Run.
func New(o Options) *Observer {
	o.setDefaults()
	b := &Observer{o: o, state: image.Empty(), tried: map[client.Target]struct{}{}}
	b.published.Store(b.state)
	b.peer = client.NewPeer(client.PeerOptions{Options: o.Connection, Target: b.next, Use: b.use, Logger: o.Logger.With("purpose", "observe")})
	return b
}

// Image is the newest state that the subscribers have been told of; empty until this node has all that was committed when it started.
func (b *Observer) Image() *image.Image { return b.published.Load() }

// Subscribe adds a subscriber; before Run. It is told of every change, in order, on Run's goroutine, and must not block. The first time it gets all that there is, as a change of
// the empty image. The image is visible through Image when all subscribers have returned.
func (b *Observer) Subscribe(f func(*image.Image, *image.Delta)) {
	b.subscribers = append(b.subscribers, f)
}

// Submit has the leader of the quorum decide req: see Options.Forward. Errors: NOT_CONTROLLER without one; Forward's.
func (b *Observer) Submit(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	if b.o.Forward == nil {
		done(nil, kerr.NotController)
		return
	}
	b.o.Forward(p, req, done)
}

// Wake has a member dialed at once, if none is followed: there is news of where they are.
func (b *Observer) Wake() { b.peer.Wake() }

// Run follows until ctx ends, or until there is an entry that this build does not understand: that error is final, and the process should end with it.
func (b *Observer) Run(ctx context.Context) error {
	ctx, b.stop = context.WithCancel(ctx)
	defer b.stop()
	_ = b.peer.Run(ctx) // it has no error but the end of ctx
	if b.fatal != nil {
		return fmt.Errorf("follow the metadata: %w", b.fatal)
	}
	return nil
}

// next is the member to be dialed: one of those that were not tried since a member was followed, and the leader last, which has enough to do.
func (b *Observer) next() (client.Target, bool) {
	members := b.o.Members(b.state)
	for range 2 {
		var others, leader []client.Target
		for _, m := range members {
			if _, tried := b.tried[m]; tried {
				continue
			}
			if m.Node == b.state.ControllerID() && m.Node != protocol.NoBroker {
				leader = append(leader, m)
			} else {
				others = append(others, m)
			}
		}
		if len(others) == 0 {
			others = leader
		}
		if len(others) > 0 {
			m := others[rand.IntN(len(others))]
			b.tried[m] = struct{}{}
			return m, true
		}
		clear(b.tried)
	}
	return client.Target{}, false
}

// use follows a member until it is of no use any more.
func (b *Observer) use(ctx context.Context, c *client.Conn) {
	err := b.follow(ctx, c)
	if ctx.Err() != nil {
		return
	}
	c.End(err)
	switch {
	case errors.Is(err, record.ErrNewer):
		b.fatal = err
		b.stop()
		return
	case errors.Is(err, raftlog.ErrDamaged), errors.Is(err, record.ErrMalformed), errors.Is(err, errPanicked):
		b.o.Logger.Error("metadata that a member has sent cannot be read", "node", c.Node().ID, "at", b.state.Offset()+1, "error", err)
	}
	b.rest(ctx)
}

// maxRest is the longest pause between two members that were of no use.
const maxRest = 2 * time.Second

// rest waits longer each time in a row, so that a quorum that has no majority is not asked all the time.
func (b *Observer) rest(ctx context.Context) {
	if b.failures++; b.failures == 1 {
		return
	}
	d := min(50*time.Millisecond<<min(b.failures, 10), maxRest)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// followed says that c is of use.
func (b *Observer) followed(c *client.Conn) {
	if b.failures = 0; len(b.tried) > 1 {
		clear(b.tried)
		b.tried[client.Target{Node: c.Node().ID, Address: c.Address()}] = struct{}{}
	}
}

// follow asks what has to be reached, if nobody has said it yet, and then fetches.
func (b *Observer) follow(ctx context.Context, c *client.Conn) error {
	if b.goal == 0 {
		if err := b.ask(ctx, c); err != nil {
			return err
		}
	}
	for {
		if err := b.fetch(ctx, c); err != nil {
			return err
		}
	}
}

// ask learns what was committed at some moment after this start. What is not in a member's log yet counts as well: topics that are further on would seem to be missing.
func (b *Observer) ask(ctx context.Context, c *client.Conn) error {
	version, ok := c.Version(peer.KeyCommitted)
	if !ok {
		return peer.ErrVersion
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Patience)
	defer cancel()
	reply, err := c.Call(ctx, peer.KeyCommitted, version, nil)
	if err != nil {
		return fmt.Errorf("ask what is committed: %w", err)
	}
	committed, err := peer.ParseCommitted(reply)
	switch {
	case err != nil:
	case committed.Err != nil:
		err = committed.Err
	case committed.Offset <= 0:
		err = peer.ErrMalformed
	}
	if err != nil {
		return fmt.Errorf("ask what is committed: %w", err)
	}
	b.goal = committed.Offset
	return nil
}

// advance makes next the state, and shows it if it may be seen. delta led from the one before to it; nil is for a snapshot.
func (b *Observer) advance(next *image.Image, delta *image.Delta) {
	was := b.state
	b.state = next
	switch {
	case !b.caughtUp && (next.Offset()+1 < b.goal || next.ClusterID() == ""):
		return
	case !b.caughtUp:
		b.caughtUp = true
		delta = image.Diff(image.Empty(), next)
	case delta == nil:
		delta = image.Diff(was, next)
	}
	if !delta.Empty() {
		for _, f := range b.subscribers {
			f(next, delta)
		}
	}
	b.published.Store(next)
	b.o.Published(next.Offset())
}
