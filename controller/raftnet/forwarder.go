package raftnet

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/peer"
)

// ForwarderOptions of a forwarder. Connection and Leader are needed.
type ForwarderOptions struct {
	Connection client.Options
	// Leader is the node that leads the quorum, as far as this node knows, and where it listens for nodes.
	Leader func() (client.Target, bool)
	// MaxWaiting is how many requests may be under way; zero means 1,000. More are refused with REQUEST_TIMED_OUT.
	MaxWaiting int
	Logger     *slog.Logger
}

// Forwarder has the leader of the quorum decide what this node was asked. Submit and Published may be called from any goroutine.
//
// As with Apache Kafka's brokers, a request that does not reach the leader, or is not answered by one, is sent again until its time is over. One that was decided all the same
// is then decided twice, and the second answer says what the first has done.
type Forwarder struct {
	o      ForwarderOptions
	peer   *client.Peer
	filled chan struct{} // room for one: there is something to send

	mu        sync.Mutex
	closed    bool
	published protocol.Offset // of this node's image
	underWay  map[*forwarded]struct{}
	queue     []*forwarded // of those, the ones to be sent
	applying  []*forwarded // of those, the ones that were decided, and are not in this node's image yet
}

// forwarded is one request. The forwarder's lock guards it.
type forwarded struct {
	call peer.Forward
	ctx  context.Context
	end  func() // of ctx, and of who waits for that
	done func(kmsg.Response, error)

	resp   kmsg.Response // once it is decided
	offset protocol.Offset
}

// errNotLeading ends a connection to a node that does not lead any more.
var errNotLeading = errors.New("the node does not lead the metadata quorum")

// NewForwarder returns a forwarder that sends nothing until Run.
func NewForwarder(o ForwarderOptions) *Forwarder {
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 1000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Connection.ClientID = "ottla-forward"
	f := &Forwarder{o: o, filled: make(chan struct{}, 1), underWay: map[*forwarded]struct{}{}, published: -1}
	f.peer = client.NewPeer(client.PeerOptions{Options: o.Connection, Target: o.Leader, Use: f.use, Logger: o.Logger.With("purpose", "forward")})
	return f
}

// Run keeps a connection to the leader until ctx ends. What is under way then gets NOT_CONTROLLER.
func (f *Forwarder) Run(ctx context.Context) error {
	err := f.peer.Run(ctx)
	f.mu.Lock()
	f.closed = true
	var left []*forwarded
	for s := range f.underWay {
		left = append(left, s)
	}
	f.mu.Unlock()
	for _, s := range left {
		f.finish(s, nil, kerr.NotController)
	}
	return err
}

// LeaderChanged has a leader that is known now be dialed at once.
func (f *Forwarder) LeaderChanged() { f.peer.Wake() }

// Recall answers what was not decided yet with NOT_CONTROLLER: this node leads now.
func (f *Forwarder) Recall() {
	f.mu.Lock()
	var back []*forwarded
	for s := range f.underWay {
		if s.resp == nil {
			back = append(back, s)
		}
	}
	f.mu.Unlock()
	for _, s := range back {
		f.finish(s, nil, kerr.NotController)
	}
}

// Submit has req decided by the leader in the name of p, and calls done once: when this node's image has what was decided, or with an error. It keeps nothing of req. done runs on a
// goroutine of a connection, of a timer, of whoever calls Published, or before Submit returns, and must not block.
// Errors: REQUEST_TIMED_OUT at the deadline, though what was asked may still happen, or when too many wait; those of the leader; NOT_CONTROLLER when the node ends.
func (f *Forwarder) Submit(p protocol.Principal, clientID string, req kmsg.Request, deadline time.Time, done func(kmsg.Response, error)) {
	call := peer.Forward{Principal: p, ClientID: clientID, Key: req.Key(), Version: req.GetVersion(), Body: req.AppendTo(nil)}
	if len(call.Body) > maxBody {
		done(nil, protocol.Errorf(kerr.PolicyViolation, "The request of %d bytes is too large for the controller.", len(call.Body)))
		return
	}
	s := &forwarded{call: call, done: done}
	if err := f.begin(s, deadline); err != nil {
		done(nil, err)
		return
	}
	f.wake()
}

// maxBody leaves room for what stands around a request.
const maxBody = peer.MaxForwardFrame - 8<<10

// begin queues s, or tells why not.
func (f *Forwarder) begin(s *forwarded, deadline time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return kerr.NotController
	case len(f.underWay) >= f.o.MaxWaiting:
		return protocol.Errorf(kerr.RequestTimedOut, "%d changes of metadata are waiting already", f.o.MaxWaiting)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	stop := context.AfterFunc(ctx, func() { f.finish(s, nil, kerr.RequestTimedOut) })
	s.ctx, s.end = ctx, func() { stop(); cancel() }
	f.underWay[s] = struct{}{}
	f.queue = append(f.queue, s)
	return nil
}

func (f *Forwarder) wake() {
	select {
	case f.filled <- struct{}{}:
	default:
	}
}

// finish ends s, unless that was done before.
func (f *Forwarder) finish(s *forwarded, resp kmsg.Response, err error) {
	f.mu.Lock()
	_, ours := f.underWay[s]
	if ours {
		is := func(o *forwarded) bool { return o == s }
		delete(f.underWay, s)
		f.queue, f.applying = slices.DeleteFunc(f.queue, is), slices.DeleteFunc(f.applying, is)
	}
	f.mu.Unlock()
	if ours {
		s.end()
		s.done(resp, err)
	}
}

// use sends what is queued to the leader for as long as the connection lasts.
func (f *Forwarder) use(ctx context.Context, c *client.Conn) {
	version, ok := c.Version(peer.KeyForward)
	if !ok {
		f.o.Logger.Error("node speaks another version of forwarding", "node", c.Node().ID)
		c.End(peer.ErrVersion)
		return
	}
	for {
		f.mu.Lock()
		queue := f.queue
		f.queue = nil
		f.mu.Unlock()
		for _, s := range queue {
			f.send(c, version, s)
		}
		select {
		case <-f.filled:
		case <-c.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// send sends s once.
func (f *Forwarder) send(c *client.Conn, version int16, s *forwarded) {
	deadline, _ := s.ctx.Deadline()
	call := s.call
	call.TimeLeft = time.Until(deadline)
	c.Go(s.ctx, peer.KeyForward, version, call.Append(nil), func(reply []byte, err error) {
		switch {
		case s.ctx.Err() != nil: // finished, or about to be
		case errors.Is(err, client.ErrBusy):
			f.finish(s, nil, protocol.Errorf(kerr.RequestTimedOut, "%s", err))
		case err != nil:
			f.again(s)
		default:
			f.answered(c, s, reply)
		}
	})
}

// again queues s once more.
func (f *Forwarder) again(s *forwarded) {
	f.mu.Lock()
	if _, ours := f.underWay[s]; ours {
		f.queue = append(f.queue, s)
	}
	f.mu.Unlock()
	f.wake()
}

// answered takes the leader's reply to s.
func (f *Forwarder) answered(c *client.Conn, s *forwarded, reply []byte) {
	d, err := peer.ParseDecided(reply)
	if err != nil {
		c.End(err)
		f.again(s)
		return
	}
	switch {
	case errors.Is(d.Err, kerr.NotController):
		c.End(errNotLeading) // and look for who does, after a moment
		f.again(s)
		return
	case d.Err != nil:
		f.finish(s, nil, d.Err)
		return
	}
	resp, err := decodeReply(s.call.Key, s.call.Version, d.Body)
	if err != nil {
		f.o.Logger.Error("answer of the metadata quorum's leader cannot be read", "node", c.Node().ID, "key", s.call.Key, "version", s.call.Version, "error", err)
		f.finish(s, nil, kerr.UnknownServerError)
		return
	}
	f.mu.Lock()
	early := d.Offset > f.published
	if _, ours := f.underWay[s]; ours && early {
		s.resp, s.offset = resp, d.Offset
		f.applying = append(f.applying, s)
	}
	f.mu.Unlock()
	if !early {
		f.finish(s, resp, nil)
	}
}

// Published says that this node's image has everything up to at: who waited for that is answered.
func (f *Forwarder) Published(at protocol.Offset) {
	f.mu.Lock()
	f.published = max(f.published, at)
	var ready []*forwarded
	kept := f.applying[:0]
	for _, s := range f.applying {
		if s.offset <= f.published {
			ready = append(ready, s)
		} else {
			kept = append(kept, s)
		}
	}
	clear(f.applying[len(kept):])
	f.applying = kept
	f.mu.Unlock()
	for _, s := range ready {
		f.finish(s, s.resp, nil)
	}
}
