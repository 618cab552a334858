package ottla

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ottla/controller"
	"ottla/group"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/replica"
)

// Node is a running node.
type Node struct {
	settings
	id        protocol.BrokerID
	clusterID string
	metrics   *metrics
	failed    failure

	freeMin    atomic.Int64 // ottla.disk.free.min.bytes in force
	store      *log.Store
	controller *controller.Controller
	replicas   *replica.Manager
	groups     *group.Coordinator
	purgatory  *purgatory.Purgatory
	server     *server.Server
	listener   net.Listener
	operators  *operators // nil without HTTP

	serving   *part // the server, once it answers connections
	stopOnce  sync.Once
	founding  bool     // the folders hold no quorum yet
	mustJoin  bool     // a cluster has given this node its id, and does not have it yet
	joining   []string // addresses of nodes of the cluster
	localHost string   // this node's address towards the cluster; empty: not known
	secret    peer.Secret
	directory protocol.DirectoryID // of the first log directory
	peers     *peers
	broker    *broker
	doors     doors

	endGroups func(context.Context) error // answers who waits for the coordinators; more than once does no harm; nil before there are any

	closing   []func(context.Context) error
	closeOnce sync.Once
	closeErr  error
}

// Start starts a node and returns when it serves clients. ctx bounds the start alone. Errors name what is wrong with the configuration or the data folder;
// a folder that is locked, of another cluster or of another node is not touched.
func Start(ctx context.Context, c Config) (*Node, error) {
	s, err := c.resolve()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	n := &Node{settings: *s, metrics: newMetrics(), failed: failure{done: make(chan struct{})}}
	for _, step := range []func(context.Context) error{n.openHTTP, n.identify, n.listen, n.form, n.openStore, n.openController, n.openHandlers, n.enter, n.serve} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return nil, errors.Join(err, n.close(ctx))
		}
	}
	n.Logger.Info("ready", "node", n.id, "cluster", n.clusterID, "listen", n.listener.Addr().String(), "took", time.Since(began).Round(time.Millisecond))
	return n, nil
}

// Addr is where Kafka clients connect.
func (n *Node) Addr() net.Addr { return n.listener.Addr() }

// HTTPAddr is where operators look; nil without HTTP.
func (n *Node) HTTPAddr() net.Addr {
	if n.operators == nil {
		return nil
	}
	return n.operators.listener.Addr()
}

// ClusterID names the cluster, NodeID this node in it.
func (n *Node) ClusterID() string         { return n.clusterID }
func (n *Node) NodeID() protocol.BrokerID { return n.id }

// Done is closed when a part of the node has failed for good (its disk, for instance): the node serves no more, and Close tells why.
func (n *Node) Done() <-chan struct{} { return n.failed.done }

// Close stops the node: no new connections, replies under way leave until ctx ends, everything is flushed. A node that failed gives the reason.
// A second Close waits for the first and gives the same.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() {
		began := time.Now()
		n.Logger.Info("stopping", "node", n.id)
		n.closeErr = n.close(ctx)
		n.Logger.Info("stopped", "node", n.id, "took", time.Since(began).Round(time.Millisecond))
	})
	return n.closeErr
}

func (n *Node) close(ctx context.Context) error {
	var errs []error
	if n.operators != nil {
		n.operators.ready.Store(false)
	}
	for _, end := range slices.Backward(n.closing) {
		errs = append(errs, end(ctx))
	}
	select {
	case <-n.failed.done:
		errs = append(errs, n.failed.err)
	default:
	}
	return errors.Join(errs...)
}

// run starts a part; Close stops it in its turn, backwards.
func (n *Node) run(name string, f func(context.Context) error) {
	p := n.failed.start(name, f)
	n.closing = append(n.closing, func(context.Context) error { return p.stop() })
}

// ended is why a part is gone that has answered with err: what made it fail.
func (n *Node) ended(ctx context.Context, err error) error {
	select {
	case <-n.failed.done:
		return n.failed.err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

func (n *Node) openHTTP(ctx context.Context) (err error) {
	if n.HTTP == "" {
		return nil
	}
	profiles := n.values().Bool("ottla.pprof")
	if n.operators, err = listenOperators(ctx, n.HTTP, n.metrics.handler(), profiles, n.FS); err != nil {
		return err
	}
	n.run("http", n.operators.run)
	return nil
}
