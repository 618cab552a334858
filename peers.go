package ottla

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/controller/raftnet"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/handlers"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// peers is the other nodes of the cluster: who they are to this node, and this node to them. A node that is alone has nobody here, and none of it runs.
type peers struct {
	n         *Node
	transport *raftnet.Transport
	forwarder *raftnet.Forwarder
	heart     *client.Peer // heartbeats to the leader of the quorum

	cluster  atomic.Pointer[string] // the cluster's id, as others may know it; nil: this node is of none yet
	needed   chan struct{}          // closed when there are others
	needOnce sync.Once

	mu        sync.Mutex
	addresses map[protocol.BrokerID]string    // what was told at joining; the image knows better
	speakers  map[uint64]protocol.BrokerID    // which node has sent messages of a raft id that the image does not have yet
	leader    protocol.BrokerID               // who has led when this node joined
	asked     int                             // how often it was asked since
	gone      map[protocol.BrokerID]time.Time // when the processes of members were found to be gone
	checking  map[protocol.BrokerID]bool      // whether their processes are there
	checks    sync.WaitGroup                  // of those; each takes 100 ms at most
}

func newPeers(n *Node) *peers {
	p := &peers{n: n, needed: make(chan struct{}), leader: protocol.NoBroker,
		addresses: map[protocol.BrokerID]string{}, speakers: map[uint64]protocol.BrokerID{}, gone: map[protocol.BrokerID]time.Time{}, checking: map[protocol.BrokerID]bool{}}
	connection := p.connection()
	p.transport = raftnet.New(raftnet.Options{Connection: connection, Locate: p.locate, Receive: p.receive, Logger: n.Logger,
		Unreachable: func(id uint64) { n.controller.Unreachable(id) }, SnapshotSent: func(id uint64, sent bool) { n.controller.SnapshotSent(id, sent) },
		Gone: p.memberGone})
	p.forwarder = raftnet.NewForwarder(raftnet.ForwarderOptions{Connection: connection, Leader: p.elsewhere, Logger: n.Logger})
	connection.ClientID = "ottla-heartbeat"
	p.heart = client.NewPeer(client.PeerOptions{Options: connection, Target: p.elsewhere, Use: n.broker.beat, Logger: n.Logger.With("purpose", "heartbeat")})
	return p
}

// connection is how this node calls others.
func (p *peers) connection() client.Options {
	return client.Options{Dial: p.n.DialFunc, Secret: p.n.secret, Self: p.identity, ClientID: "ottla-join"}
}

// identity is what this node tells others of itself.
func (p *peers) identity() peer.Identity {
	i := peer.Identity{Node: protocol.Node{ID: protocol.NoBroker, Directory: p.n.directory, Roles: protocol.RoleBroker | protocol.RoleController}}
	if id := p.cluster.Load(); id != nil {
		i.ClusterID, i.ID = *id, p.n.id
	}
	return i
}

// announce says that this node is of its cluster from now on; nil takes it back.
func (p *peers) announce(cluster *string) { p.cluster.Store(cluster) }

// need has the connections made.
func (p *peers) need() { p.needOnce.Do(func() { close(p.needed) }) }

// run keeps the connections, once there are other nodes.
func (p *peers) run(ctx context.Context) error {
	defer p.checks.Wait() // the server has ended before: there are no new ones
	select {
	case <-p.needed:
	case <-ctx.Done():
		return nil
	}
	var running sync.WaitGroup
	parts := []func(context.Context) error{p.transport.Run, p.forwarder.Run, p.heart.Run}
	errs := make([]error, len(parts))
	for i, run := range parts {
		running.Go(func() { errs[i] = run(ctx) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// follow keeps the connections to those who are members. A node that takes over looks at those of whom it knows that their processes were gone: they need no session.
func (p *peers) follow(img *image.Image, d *image.Delta) {
	if len(img.Brokers()) > 1 || len(img.Controllers()) > 1 {
		p.need()
	}
	if d.Controller && img.ControllerID() == p.n.id {
		p.checkGone(img)
	}
	if len(d.Controllers) > 0 {
		var ids []uint64
		for _, c := range img.Controllers() {
			ids = append(ids, c.RaftID)
		}
		p.transport.Keep(ids)
	}
}

// learn takes what a node of the cluster has told of the others.
func (p *peers) learn(nodes []peer.Endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range nodes {
		p.addresses[e.ID] = hostPort(e.Host, e.Port)
	}
}

// learnLeader takes who has led when this node joined.
func (p *peers) learnLeader(id protocol.BrokerID, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader, p.addresses[id] = id, address
}

// locate is where the node of a raft id listens: before this node has caught up, as far as it knew when it stopped.
func (p *peers) locate(raftID uint64) (client.Target, bool) {
	for _, c := range p.n.controller.Applied().Controllers() {
		if c.RaftID == raftID && len(c.Endpoints) > 0 {
			return client.Target{Node: c.ID, Address: hostPort(c.Endpoints[0].Host, c.Endpoints[0].Port)}, true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id, known := p.speakers[raftID]
	to := client.Target{Node: id, Address: p.addresses[id]}
	return to, known && to.Address != ""
}

// hostPort is HOST:PORT.
func hostPort[P uint16 | int32](host string, port P) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// elsewhere is the leader of the quorum, or who may know it, if it is another node.
func (p *peers) elsewhere() (client.Target, bool) {
	c := p.n.controller
	if c.Leader() == 0 && c.Applied().Offset() == protocol.NoOffset {
		return p.joinedThrough()
	}
	return p.leading()
}

// leading is the leader of the quorum if it is known, and another node.
func (p *peers) leading() (client.Target, bool) {
	c := p.n.controller
	if id := c.Leader(); id != 0 && id != c.RaftID() {
		return p.locate(id)
	}
	return client.Target{}, false
}

// joinedThrough is who leads as far as a node knows that has just joined: who gave it its id, and from then on one after the other of those that were named.
func (p *peers) joinedThrough() (client.Target, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.addresses) == 0 {
		return client.Target{}, false
	}
	ids := slices.Sorted(maps.Keys(p.addresses))
	id := ids[(p.asked+slices.Index(ids, p.leader)+len(ids))%len(ids)]
	p.asked++
	return client.Target{Node: id, Address: p.addresses[id]}, id != p.n.id
}

// receive takes a message of a member.
func (p *peers) receive(from protocol.Node, m *quorum.Message) {
	if p.n.controller.Image().Offset() == protocol.NoOffset {
		p.mu.Lock()
		p.speakers[m.GetFrom()] = from.ID
		p.mu.Unlock()
	}
	p.n.controller.Receive(m)
}

// leaderChanged has the new leader be found at once.
func (p *peers) leaderChanged() {
	p.forwarder.LeaderChanged()
	if p.n.controller.Leads() {
		p.forwarder.Recall()
	}
	p.heart.Wake()
	p.n.broker.wake()
}

// forward has the leader decide what this node was asked.
func (p *peers) forward(principal protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	p.forwarder.Submit(principal, "", req, time.Now().Add(forwardTimeout), done)
}

// forwardTimeout is how long a request of this node looks for a leader that decides it: longer than clients wait.
const forwardTimeout = 30 * time.Second

// nodes is what this node answers others.
func (p *peers) nodes() *handlers.Nodes {
	return &handlers.Nodes{Secret: p.n.secret, Identity: p.identity, Forwarder: p, Raft: p.transport.Deliver, Joiner: p}
}

// Forward decides for another node (handlers.Forwarder).
func (p *peers) Forward(principal protocol.Principal, req kmsg.Request, done func(kmsg.Response, protocol.Offset, error)) {
	c := p.n.controller
	c.Decide(principal, req, func(resp kmsg.Response, err error) { done(resp, c.Image().Offset(), err) })
}

// Join gives a node its id (handlers.Joiner), and tells it where the others are.
func (p *peers) Join(n protocol.Node, at net.Addr, done func(peer.Joined, error)) {
	p.n.broker.foundAt(at)
	c := p.n.controller
	c.Decide(protocol.Anonymous, &decide.JoinRequest{Node: n}, func(resp kmsg.Response, err error) {
		joined := peer.Joined{ClusterID: p.n.clusterID, Nodes: p.endpoints(c.Image(), at)}
		if err == nil {
			r := resp.(*decide.JoinResponse)
			joined.ID, err = r.ID, r.Err
		}
		done(joined, err)
	})
}

// endpoints is where the registered nodes are; this one where it was found.
func (p *peers) endpoints(img *image.Image, at net.Addr) (out []peer.Endpoint) {
	for _, c := range img.Controllers() {
		if len(c.Endpoints) == 0 {
			continue
		}
		e := peer.Endpoint{Node: protocol.Node{ID: c.ID, Directory: c.Directory, Roles: protocol.RoleController}, Host: c.Endpoints[0].Host, Port: uint16(c.Endpoints[0].Port)}
		if host, port, err := splitAddress(at.String()); c.ID == p.n.id && err == nil {
			e.Host, e.Port = host, port
		}
		out = append(out, e)
	}
	return out
}

// connectionEnded looks whether the process of a node is still there when a connection of it was reset: the leader of the quorum has to know of every broker, and members of each other.
func (p *peers) connectionEnded(c *server.Conn, cause error) {
	if !p.n.doors.known() || !client.Reset(cause) {
		return // known: this node is not looking for its cluster any more
	}
	node, _ := c.Peer()
	if img := p.n.controller.Image(); p.n.controller.Leads() || img.Controller(node.ID) != nil {
		p.checkProcess(img, node.ID)
	}
}

// memberGone takes that the process of a member was found to be gone. Who takes over looks again: it may be about to be this node.
func (p *peers) memberGone(raftID uint64) {
	p.n.controller.Forget(raftID)
	if to, known := p.locate(raftID); known {
		p.mu.Lock()
		p.gone[to.Node] = time.Now()
		p.mu.Unlock()
	}
}

// goneFor is for how long it is worth a look that a process was gone.
const goneFor = 5 * time.Second

func (p *peers) checkGone(img *image.Image) {
	p.mu.Lock()
	gone := p.gone
	p.gone = map[protocol.BrokerID]time.Time{}
	p.mu.Unlock()
	for id, at := range gone {
		if time.Since(at) < goneFor {
			p.checkProcess(img, id)
		}
	}
}

// checkProcess dials a node, unless that is under way or nothing would come of it. If nobody listens there any more, a member is gone, and a broker is lost to the leader: the incarnation
// that was dialed, since another may have come meanwhile.
func (p *peers) checkProcess(img *image.Image, id protocol.BrokerID) {
	b, c := img.Broker(id), img.Controller(id)
	var address string
	switch {
	case id == p.n.id:
		return
	case b != nil && !b.Fenced && len(b.Endpoints) > 0:
		address = hostPort(b.Host, b.Port)
	case c != nil && len(c.Endpoints) > 0:
		address = hostPort(c.Endpoints[0].Host, c.Endpoints[0].Port)
	default:
		return
	}
	p.mu.Lock()
	busy := p.checking[id]
	p.checking[id] = true
	p.mu.Unlock()
	if busy {
		return
	}
	p.checks.Go(func() {
		gone := client.Refused(context.Background(), p.n.DialFunc, address)
		p.mu.Lock()
		delete(p.checking, id)
		p.mu.Unlock()
		if !gone {
			return
		}
		if c != nil {
			p.memberGone(c.RaftID)
		}
		if b != nil && !b.Fenced && p.n.controller.Leads() {
			p.n.Logger.Info("the process of a broker is gone", "broker", id, "address", address)
			p.n.controller.Lost(id, b.Epoch)
		}
	})
}

// transient tells whether a request to the quorum may succeed when it is made again.
func transient(err error) bool {
	return errors.Is(err, kerr.NotController) || errors.Is(err, kerr.RequestTimedOut)
}
