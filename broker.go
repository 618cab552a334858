package ottla

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/raftnet"
	"ottla/protocol"
	"ottla/protocol/client"
)

// broker is this process as the cluster knows it: its registrations, its heartbeats, and how it leaves.
type broker struct {
	n           *Node
	incarnation protocol.ID
	epoch       atomic.Int64 // -1: not registered yet
	// Each has room for one: the image or the leader is another, or it wants to stop. One is run's, one beat's, one awaitService's: none takes another's news.
	changed, pulse, service chan struct{}

	mu   sync.Mutex
	host string // of the registrations, with port
	port uint16

	stopping atomic.Bool
	mayStop  chan struct{} // closed when the cluster has taken it out of service
	stopOnce sync.Once
}

func newBroker(n *Node) *broker {
	b := &broker{n: n, incarnation: protocol.NewID(), changed: make(chan struct{}, 1), pulse: make(chan struct{}, 1), service: make(chan struct{}, 1), mayStop: make(chan struct{})}
	b.epoch.Store(-1)
	return b
}

func (b *broker) wake() {
	for _, c := range []chan struct{}{b.changed, b.pulse, b.service} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// follow wakes who waits for a change that has to do with this node. They look at the image: it shows the change already.
func (b *broker) follow(d *image.Delta) {
	if len(d.Brokers) > 0 || len(d.Controllers) > 0 || d.Features || d.Controller {
		b.wake()
	}
}

func (b *broker) address() (host string, port uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.host, b.port
}

func (b *broker) setAddress(host string, port uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.host, b.port = host, port
}

// foundAt takes the address at which another node has found this one. It is better than what a node makes up that was told nothing.
func (b *broker) foundAt(at net.Addr) {
	host, port, err := splitAddress(at.String())
	if old, _ := b.address(); err != nil || b.n.Advertise != "" || !local(old) || old == host {
		return
	}
	b.setAddress(host, port)
	b.wake()
}

// local tells whether an address is good on its own host only.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// registration is what this broker registers now.
func (b *broker) registration() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.ClusterID, req.IncarnationID = int32(b.n.id), b.n.clusterID, b.incarnation
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name = clientName
	l.Host, l.Port = b.address()
	req.Listeners = append(req.Listeners, l)
	for name, r := range decide.Supported() {
		f := kmsg.NewBrokerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = name, r.Min, r.Max
		req.Features = append(req.Features, f)
	}
	if rack := b.n.values().String("broker.rack"); rack != "" {
		req.Rack = &rack
	}
	for _, d := range b.n.store.Directories() {
		req.LogDirs = append(req.LogDirs, d)
	}
	return req
}

// controllerRegistration is the same for this node as a member of the quorum.
func (b *broker) controllerRegistration() *kmsg.ControllerRegistrationRequest {
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID, req.IncarnationID = int32(b.n.id), b.incarnation
	l := kmsg.NewControllerRegistrationRequestListener()
	l.Name = clientName
	l.Host, l.Port = b.address()
	req.Listeners = append(req.Listeners, l)
	for name, r := range decide.Supported() {
		f := kmsg.NewControllerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = name, r.Min, r.Max
		req.Features = append(req.Features, f)
	}
	decide.SetMember(req, b.n.controller.RaftID(), b.n.directory)
	return req
}

// ask has the quorum decide a request in this node's own name.
func (b *broker) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	type answer struct {
		resp kmsg.Response
		err  error
	}
	answers := make(chan answer, 1)
	b.n.controller.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
	select {
	case a := <-answers:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.n.failed.done:
		return nil, b.n.failed.err
	}
}

// retryDelay is the pause before a request of this node's own is made again.
const retryDelay = 100 * time.Millisecond

// register tells the quorum that this incarnation of the node is here, and waits until it is in service. From then on partitions have a leader.
//
// The session of an earlier incarnation may last a little longer; whose lasts longer than that is another process.
func (b *broker) register(ctx context.Context) error {
	patience := time.Now().Add(2*b.session() + time.Second)
	for {
		epoch, err := b.registerOnce(ctx)
		if err == nil {
			b.epoch.Store(epoch)
			b.wake()
			return b.awaitService(ctx)
		}
		switch {
		case transient(err):
		case errors.Is(err, kerr.DuplicateBrokerRegistration) && time.Now().Before(patience):
		case errors.Is(err, kerr.DuplicateBrokerRegistration):
			return fmt.Errorf("register: another process runs as node %d, or the node belongs to another directory: %w", b.n.id, err)
		default:
			return fmt.Errorf("register: %w", err)
		}
		if !sleep(ctx, retryDelay) {
			return fmt.Errorf("register: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// registerOnce makes one registration.
func (b *broker) registerOnce(ctx context.Context) (epoch int64, err error) {
	resp, err := b.ask(ctx, b.registration())
	if err != nil {
		return -1, err
	}
	r := resp.(*kmsg.BrokerRegistrationResponse)
	return r.BrokerEpoch, kerr.ErrorForCode(r.ErrorCode)
}

// awaitService waits until the image has this incarnation in service. A node that is alone is so at once.
func (b *broker) awaitService(ctx context.Context) error {
	for ; ; b.beatHere() {
		if r := b.registered(); r != nil && !r.Fenced {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("register: not in service: %w", ctx.Err())
		case <-b.n.failed.done:
			return b.n.failed.err
		case <-b.service:
		}
	}
}

// registered is this incarnation as the image has it; nil if it does not.
func (b *broker) registered() *image.Broker {
	r := b.n.controller.Image().Broker(b.n.id)
	if r == nil || r.Incarnation != b.incarnation {
		return nil
	}
	return r
}

func (b *broker) session() time.Duration { return ms(b.n.values(), "broker.session.timeout.ms") }

// run keeps the registrations as they should be, for as long as the node runs. Nothing happens without news.
func (b *broker) run(ctx context.Context) error {
	for {
		b.beatHere()
		if !b.amend(ctx) && !sleep(ctx, 10*retryDelay) {
			return nil
		}
		select {
		case <-b.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// amend registers again what is not as this node is; false if that is to be tried again.
func (b *broker) amend(ctx context.Context) bool {
	img := b.n.controller.Image()
	if r := b.registered(); r != nil && !b.stopping.Load() {
		if host, port := b.address(); r.Host != host || r.Port != int32(port) {
			if _, err := b.registerOnce(ctx); err != nil {
				b.n.Logger.Debug("registration was not changed", "error", err)
				b.wake()
				return false
			}
		}
	}
	req := b.controllerRegistration()
	if img.Offset() != protocol.NoOffset && (img.MetadataLevel() < 2 || b.controls(img.Controller(b.n.id), req)) {
		return true
	}
	resp, err := b.ask(ctx, req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.ControllerRegistrationResponse).ErrorCode)
	}
	if err != nil {
		b.n.Logger.Debug("not registered as a controller", "error", err)
		b.wake()
	}
	return err == nil
}

// controls tells whether this node is registered as a controller as it is.
func (b *broker) controls(c *image.Controller, req *kmsg.ControllerRegistrationRequest) bool {
	if c == nil || c.RaftID != b.n.controller.RaftID() || c.Directory != b.n.directory || len(c.Endpoints) != 1 || !reflect.DeepEqual(c.Features, decide.Supported()) {
		return false
	}
	l := req.Listeners[0]
	return c.Endpoints[0] == image.Endpoint{Listener: l.Name, Host: l.Host, Port: int32(l.Port), SecurityProtocol: l.SecurityProtocol}
}

// heartbeat is what the leader of the quorum hears of this broker.
func (b *broker) heartbeat() *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = int32(b.n.id), b.epoch.Load(), int64(b.n.controller.Image().Offset())
	req.WantShutdown = b.stopping.Load()
	return req
}

// beatHere gives a heartbeat to the leader of the quorum if that is this node, and if something is to come of it: a broker of its process never expires.
func (b *broker) beatHere() {
	r := b.registered()
	if r == nil || !b.n.controller.Leads() || !r.Fenced && !b.stopping.Load() {
		return
	}
	b.n.controller.Decide(protocol.Anonymous, b.heartbeat(), func(resp kmsg.Response, err error) {
		if err == nil {
			b.answered(resp.(*kmsg.BrokerHeartbeatResponse))
		}
	})
}

// beat gives heartbeats to the leader of the quorum on a connection of their own, for as long as it lasts and that node leads (client.PeerOptions.Use).
func (b *broker) beat(ctx context.Context, c *client.Conn) {
	interval := ms(b.n.values(), "broker.heartbeat.interval.ms")
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.Done():
			return
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-b.pulse:
		}
		timer.Reset(interval)
		if to, known := b.n.peers.leading(); known && to.Node != c.Node().ID {
			c.End(errLeadsNot)
			return
		}
		if b.epoch.Load() < 0 {
			continue
		}
		if err := b.beatOnce(ctx, c); err != nil {
			c.End(err)
			return
		}
	}
}

// errLeadsNot ends a connection to a node that does not lead the quorum any more.
var errLeadsNot = errors.New("the node does not lead the metadata quorum")

// beatOnce makes one call and waits for its answer, for half a session: a leader that sleeps has a successor by then, which has to be told in time. An error says that the node is not to
// be asked again.
func (b *broker) beatOnce(ctx context.Context, c *client.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, b.session()/2)
	defer cancel()
	resp, err := raftnet.Call[*kmsg.BrokerHeartbeatResponse](ctx, c, b.heartbeat())
	if err != nil {
		return err
	}
	return b.answered(resp)
}

// answered takes the answer to a heartbeat. An error says that the node does not lead.
func (b *broker) answered(resp *kmsg.BrokerHeartbeatResponse) error {
	switch err := kerr.ErrorForCode(resp.ErrorCode); {
	case errors.Is(err, kerr.NotController):
		return err
	case errors.Is(err, kerr.StaleBrokerEpoch):
		b.n.failed.report(fmt.Errorf("another process has taken the place of node %d", b.n.id))
	case err != nil:
		b.n.Logger.Warn("heartbeat refused", "error", err)
	case resp.ShouldShutdown && b.stopping.Load():
		b.stopOnce.Do(func() { close(b.mayStop) })
	}
	return nil
}

// leave has the cluster take over what this node does, as far as others can, before it stops.
func (b *broker) leave(ctx context.Context) error {
	c := b.n.controller
	img := c.Image()
	if b.registered() == nil || !slices.ContainsFunc(img.Brokers(), func(o *image.Broker) bool { return o.ID != b.n.id && !o.Fenced }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	b.stopping.Store(true)
	for stopped := false; !stopped; {
		b.wake()
		b.beatHere()
		select {
		case <-b.mayStop:
			stopped = true
		case <-ctx.Done():
			b.n.Logger.Warn("stopping although the cluster has not taken over what this node leads")
			return nil
		case <-time.After(retryDelay / 2):
		}
	}
	for c.Leads() && ctx.Err() == nil {
		c.Resign()
		if !sleep(ctx, retryDelay/2) {
			break
		}
	}
	return nil
}

// leaveTimeout bounds a controlled shutdown.
const leaveTimeout = 5 * time.Second

// sleep waits; false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
