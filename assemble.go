package ottla

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ottla/controller"
	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/handlers"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/protocol/session"
	"ottla/replica"
)

// The steps of Start, in their order. Each adds what ends it to n.closing, which Close runs backwards.

const (
	quorumFolder = "quorum" // raft's vote and snapshots, in the first log directory
	clientName   = "PLAINTEXT"
)

// foundingDefaults are the cluster's defaults from its first day. Kafka sets the same one where eligible leader replicas are on (KIP-966), as they will be here:
// tools show it.
var foundingDefaults = map[string]string{"min.insync.replicas": "1"}

// values are this node's configs in force, without a topic's override.
func (n *Node) values() config.Values {
	if n.controller == nil {
		return config.Values{Static: n.Properties}
	}
	return n.valuesIn(n.controller.Image())
}

func (n *Node) valuesIn(img *image.Image) config.Values {
	return config.Values{Static: n.Properties, DynamicDefault: img.Config(config.Broker, ""), DynamicBroker: img.Config(config.Broker, strconv.Itoa(int(n.id)))}
}

const freeMinName = "ottla.disk.free.min.bytes"

// followConfigs passes on what parts read that know no image.
func (n *Node) followConfigs(img *image.Image, d *image.Delta) {
	if len(d.Configs) > 0 {
		n.freeMin.Store(n.valuesIn(img).Int(freeMinName))
	}
}

// ms reads a setting in milliseconds.
func ms(v config.Values, name string) time.Duration {
	return time.Duration(v.Int(name)) * time.Millisecond
}

// openStore takes the folders, and prepares those that are new.
func (n *Node) openStore(context.Context) error {
	v := n.values()
	n.freeMin.Store(v.Int(freeMinName))
	store, err := log.OpenStore(log.StoreOptions{FS: n.FS, Dirs: n.dirs, Logger: n.Logger, Metrics: n.metrics.log,
		RetentionCheck: ms(v, "log.retention.check.interval.ms"), Checkpoint: ms(v, "log.flush.offset.checkpoint.interval.ms"), ProducerExpiration: ms(v, "producer.id.expiration.ms"),
		Scrub:      log.Scrub{BytesPerSecond: v.Int("ottla.scrub.bytes.per.second"), Period: ms(v, "ottla.scrub.period.ms")},
		Room:       log.RoomOptions{FreeMin: n.freeMin.Load, Ballast: v.Int("ottla.ballast.bytes")},
		CleanerOff: !v.Bool("log.cleaner.enable"), CleanerBackoff: ms(v, "log.cleaner.backoff.ms"), CleanerBuffer: v.Int("log.cleaner.dedupe.buffer.size"),
		CleanerBytesPerSecond: v.Float("log.cleaner.io.max.bytes.per.second")})
	if err != nil {
		return err
	}
	n.store, n.FS = store, store.FS()
	n.closing = append(n.closing, func(context.Context) error { return store.Close() })
	if err := errors.Join(n.checkFounding(), n.keepMembership(), store.Format(n.clusterID, n.id, n.directory)); err != nil {
		return err
	}
	n.run("log store", store.Run)
	n.describeSelf()
	return nil
}

// describeSelf puts what was resolved into the static configs, where DescribeConfigs finds it.
func (n *Node) describeSelf() {
	static := maps.Clone(n.Properties)
	if static == nil {
		static = map[string]string{}
	}
	static["node.id"] = strconv.Itoa(int(n.id))
	static["log.dirs"] = strings.Join(n.dirs, ",")
	static["listeners"] = clientName + "://" + n.Listen
	if n.Advertise != "" {
		static["advertised.listeners"] = clientName + "://" + n.Advertise
	}
	n.Properties = static
}

// metadataObserver ends the node when the metadata log is lost: a node without it can decide and learn nothing.
type metadataObserver struct {
	log.NopObserver
	failed *failure
}

func (o metadataObserver) Offline(_ *log.Log, err error) {
	o.failed.report(fmt.Errorf("metadata log: %w", err))
}

func (n *Node) openController(context.Context) error {
	metadata, err := n.store.Open(protocol.TopicPartition{Topic: protocol.MetadataTopic}, protocol.MetadataTopicID, controller.LogConfig(), metadataObserver{failed: &n.failed})
	if err != nil {
		return err
	}
	// A founder has its id from the first record on: who joins before it has registered gets another.
	founding := []*record.Record{record.Of(&record.NodeAssignment{NodeId: int32(n.id), DirectoryId: n.directory[:]})}
	n.controller, err = controller.Open(controller.Options{Log: metadata, FS: n.FS, Dir: path.Join(n.dirs[0], quorumFolder), NodeID: n.id, ClusterID: n.clusterID,
		Join: n.mustJoin, Govern: true, MaxReplicas: maxReplicas, Liveness: liveness.New(n.broker.session(), liveness.Self{ID: n.id, Incarnation: n.broker.incarnation}),
		Features: decide.Founding(), Founding: founding, Send: n.peers.transport.Send, Forward: n.peers.forward,
		LeaderChanged: n.peers.leaderChanged, Published: n.published, Static: n.Properties, Defaults: foundingDefaults, Logger: n.Logger, Metrics: n.metrics.controller})
	if err != nil {
		return err
	}
	n.purgatory = purgatory.New()
	n.replicas = replica.New(replica.Options{Store: n.store, Broker: n.id, Settings: n.values, Logger: n.Logger, Metrics: n.metrics.replica})
	n.controller.Subscribe(n.replicas.Apply)
	n.openCoordinators()
	n.controller.Subscribe(n.followConfigs)
	n.controller.Subscribe(n.peers.follow)
	n.run("peers", n.peers.run)
	n.run("replicas", n.replicas.Run)
	n.run("controller", n.controller.Run)
	return nil
}

// published passes on what the image shows now: to requests that wait for what they have decided, and to this broker.
func (n *Node) published(img *image.Image, d *image.Delta) {
	n.peers.forwarder.Published(img.Offset())
	n.broker.follow(d)
}

// maxReplicas is one until followers copy what leaders have.
const maxReplicas = 1

// leaders gives the handlers what they call a Partition.
type leaders struct{ *replica.Manager }

func (l leaders) Leader(id protocol.TopicID, partition int32) (handlers.Partition, error) {
	p, err := l.Manager.Leader(id, partition)
	if err != nil {
		return nil, err // not p: a nil pointer in an interface is not nil
	}
	return p, nil
}

// listen takes the port, and makes what other nodes need to find this one.
func (n *Node) listen(ctx context.Context) error {
	listener, err := n.ListenFunc(ctx, "tcp", n.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	n.listener = listener
	files, err := descriptors()
	if err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	n.broker = newBroker(n)
	n.peers = newPeers(n)
	n.doors.handlers.Store(handlers.New(handlers.Options{Nodes: &handlers.Nodes{Secret: n.secret, Identity: n.peers.identity}, Logger: n.Logger}))
	v := n.values()
	frame := int(v.Int("socket.request.max.bytes"))
	n.server = server.New(server.Options{
		Dispatcher: &n.doors, Settler: &n.doors, Patience: patience{n}, Logger: n.Logger, Metrics: n.metrics.server, MaxFrame: handlers.MaxFrame(frame), MaxPeerFrame: handlers.MaxPeerFrame(frame),
		MemoryBudget:   v.Int("ottla.memory.budget.bytes"),
		MaxConnections: connectionLimit(v.Int("max.connections"), files), MaxConnectionsPerIP: int(v.Int("max.connections.per.ip")), MaxPeers: maxPeers,
		PeerEnded: n.peers.connectionEnded, IdleTimeout: ms(v, "connections.max.idle.ms"),
	})
	n.closing = append(n.closing, n.stopServing)
	return nil
}

// maxPeers is how many connections of nodes have slots of their own: a thousand brokers to the leader of the quorum, with three each.
const maxPeers = 4096

// startServing answers connections from here on: those of nodes, and when the doors are open those of clients.
func (n *Node) startServing() {
	if n.serving == nil {
		n.serving = n.failed.start("server", func(ctx context.Context) error { return n.server.Serve(ctx, n.listener, clientName) })
	}
}

// stopServing takes no new connections, and waits for the replies under way. It is called before what they need ends; more than once does no harm.
func (n *Node) stopServing(ctx context.Context) (err error) {
	n.stopOnce.Do(func() {
		if n.serving != nil {
			err = n.serving.stop()
		}
		_ = n.listener.Close() // the server has closed it already, if it ever had it
		if n.endGroups != nil {
			err = errors.Join(err, n.endGroups(ctx))
		}
		err = errors.Join(err, n.server.Shutdown(ctx))
	})
	return err
}

// doors is the server's dispatcher: who may come in at this time of a node's life.
type doors struct {
	handlers atomic.Pointer[handlers.Handlers]
	settler  atomic.Pointer[log.Store]
	open     atomic.Bool
}

var errClosedDoors = errors.New("a call came before the node was ready for it")

// Dispatch answers Hello at any time, nodes once this one is of a cluster, and clients when the doors are open: those that come before that try again.
func (d *doors) Dispatch(c *server.Call) {
	_, node := c.Conn.Peer()
	if c.Key != peer.KeyHello && !(node && d.known()) && !d.open.Load() {
		c.Close(errClosedDoors)
		return
	}
	d.handlers.Load().Dispatch(c)
}

// known tells whether this node is of a cluster, and has what it takes to answer its nodes.
func (d *doors) known() bool { return d.settler.Load() != nil }

// Unsettled and Settle are the store's, once there is one.
func (d *doors) Unsettled() bool { s := d.settler.Load(); return s != nil && s.Unsettled() }
func (d *doors) Settle()         { d.settler.Load().Settle() }

func (n *Node) openHandlers(context.Context) error {
	v := n.values()
	n.doors.handlers.Store(handlers.New(handlers.Options{
		Broker: n.id, Partitions: leaders{n.replicas}, Controller: n.controller, ProducerIDs: controller.NewProducerIDs(n.controller, n.id), Authorizer: handlers.AllowAll{},
		Groups: n.groups, LogDirs: logDirs{n.store}, Nodes: n.peers.nodes(), Metadata: n.controller,
		Purgatory: n.purgatory, Sessions: session.NewCache(session.Options{Slots: int(v.Int("max.incremental.fetch.session.cache.slots")), MaxPartitions: session.DefaultMaxPartitions, MinEviction: session.DefaultMinEviction}), Settings: n.values,
		AnswerLocalAddress: n.Advertise == "", Logger: n.Logger,
	}))
	n.doors.settler.Store(n.store)
	n.closing = append(n.closing, n.stopServing)
	return nil
}

// enter registers this node, and waits until it is in service.
func (n *Node) enter(ctx context.Context) error {
	host, port, err := n.advertised()
	if err != nil {
		return err
	}
	n.broker.setAddress(host, port)
	alone, err := n.controller.Alone(ctx)
	if err != nil {
		return fmt.Errorf("register: %w", n.ended(ctx, err))
	}
	if n.mustJoin || !alone {
		n.peers.need()
		n.startServing() // the others have to be heard before this node can come into service
	}
	if n.mustJoin {
		n.run("membership", n.broker.run) // its registration is answered when the cluster has made it a member
	}
	if err := n.broker.register(ctx); err != nil {
		return err
	}
	if n.mustJoin {
		return n.joined()
	}
	n.run("membership", n.broker.run)
	return nil
}

// advertised is the address of the registration: what was asked for, else that of the listener.
func (n *Node) advertised() (host string, port uint16, err error) {
	if n.Advertise != "" {
		return splitAddress(n.Advertise)
	}
	host, port, err = splitAddress(n.listener.Addr().String())
	if host == "" || host == "::" || host == "0.0.0.0" {
		// All addresses: answers carry the connection's own while the node is alone (handlers.Options.AnswerLocalAddress).
		if host = n.localHost; host == "" {
			host = "localhost"
		}
	}
	return host, port, err
}

// serve opens the doors.
func (n *Node) serve(context.Context) error {
	n.doors.open.Store(true)
	n.startServing()
	n.closing = append(n.closing, n.broker.leave)
	if n.operators != nil {
		stalled := n.store.Stalled
		n.operators.obstacle.Store(&stalled)
		n.operators.ready.Store(true)
	}
	return nil
}
