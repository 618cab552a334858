package ottla

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller"
	"ottla/controller/image"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/handlers"
	"ottla/protocol/server"
	"ottla/protocol/session"
	"ottla/replica"
)

// The steps of Start, in their order. Each adds what ends it to n.closing, which Close runs backwards.

const (
	metadataTopic = "__cluster_metadata"
	quorumFolder  = "quorum" // raft's vote and snapshots, in the first log directory
	clientName    = "PLAINTEXT"
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
	if err := errors.Join(n.checkFounding(), store.Format(n.clusterID, n.id)); err != nil {
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
	metadata, err := n.store.Open(protocol.TopicPartition{Topic: metadataTopic}, protocol.MetadataTopicID, controller.LogConfig(), metadataObserver{failed: &n.failed})
	if err != nil {
		return err
	}
	n.controller, err = controller.Open(controller.Options{Log: metadata, FS: n.FS, Dir: path.Join(n.dirs[0], quorumFolder), NodeID: n.id, ClusterID: n.clusterID,
		Static: n.Properties, Defaults: foundingDefaults, Logger: n.Logger, Metrics: n.metrics.controller})
	if err != nil {
		return err
	}
	n.purgatory = purgatory.New()
	n.replicas = replica.New(replica.Options{Store: n.store, Broker: n.id, Settings: n.values, Logger: n.Logger, Metrics: n.metrics.replica})
	n.controller.Subscribe(n.replicas.Apply)
	n.openCoordinators()
	n.controller.Subscribe(n.followConfigs)
	n.run("replicas", n.replicas.Run)
	n.run("controller", n.controller.Run)
	return nil
}

// leaders gives the handlers what they call a Partition.
type leaders struct{ *replica.Manager }

func (l leaders) Leader(id protocol.TopicID, partition int32) (handlers.Partition, error) {
	p, err := l.Manager.Leader(id, partition)
	if err != nil {
		return nil, err // not p: a nil pointer in an interface is not nil
	}
	return p, nil
}

func (n *Node) openServer(ctx context.Context) error {
	listener, err := n.ListenFunc(ctx, "tcp", n.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	n.listener = listener
	n.closing = append(n.closing, func(context.Context) error {
		_ = listener.Close() // for a start that ends before the server takes it; then it is closed already
		return nil
	})
	files, err := descriptors()
	if err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	v := n.values()
	h := handlers.New(handlers.Options{
		Broker: n.id, Partitions: leaders{n.replicas}, Controller: n.controller, ProducerIDs: controller.NewProducerIDs(n.controller, n.id), Authorizer: handlers.AllowAll{},
		Groups: n.groups, LogDirs: logDirs{n.store}, Quorum: soleQuorum{n.controller, n.id, n.store},
		Purgatory: n.purgatory, Sessions: session.NewCache(session.Options{Slots: int(v.Int("max.incremental.fetch.session.cache.slots")), MaxPartitions: session.DefaultMaxPartitions, MinEviction: session.DefaultMinEviction}), Settings: n.values,
		AnswerLocalAddress: n.Advertise == "", Logger: n.Logger,
	})
	n.server = server.New(server.Options{
		Dispatcher: h, Settler: n.store, Patience: patience{n}, Logger: n.Logger, Metrics: n.metrics.server, MaxFrame: handlers.MaxFrame(int(v.Int("socket.request.max.bytes"))),
		MemoryBudget:   v.Int("ottla.memory.budget.bytes"),
		MaxConnections: connectionLimit(v.Int("max.connections"), files), MaxConnectionsPerIP: int(v.Int("max.connections.per.ip")),
		IdleTimeout: ms(v, "connections.max.idle.ms"),
	})
	n.closing = append(n.closing, n.server.Shutdown, n.endGroups) // backwards: a server that stops waits for what is answered then
	return nil
}

// register tells the quorum that this incarnation of the node is here. From then on partitions have a leader.
func (n *Node) register(ctx context.Context) error {
	host, port, err := n.advertised()
	if err != nil {
		return err
	}
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.ClusterID, req.IncarnationID = int32(n.id), n.clusterID, protocol.NewID()
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = clientName, host, port
	req.Listeners = append(req.Listeners, l)
	for _, d := range n.store.Directories() {
		req.LogDirs = append(req.LogDirs, d)
	}
	done := make(chan error, 1)
	n.controller.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) {
		if err == nil {
			err = kerr.ErrorForCode(resp.(*kmsg.BrokerRegistrationResponse).ErrorCode)
		}
		done <- err
	})
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("register: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("register: %w", ctx.Err())
	case <-n.failed.done:
		return n.failed.err
	}
}

// advertised is the address of the registration: what was asked for, else that of the listener.
func (n *Node) advertised() (host string, port uint16, err error) {
	if n.Advertise != "" {
		return splitAddress(n.Advertise)
	}
	host, port, err = splitAddress(n.listener.Addr().String())
	if host == "" || host == "::" || host == "0.0.0.0" {
		host = "localhost" // all addresses: answers carry the connection's own (handlers.Options.AnswerLocalAddress)
	}
	return host, port, err
}

// serve opens the doors.
func (n *Node) serve(context.Context) error {
	n.run("server", func(ctx context.Context) error { return n.server.Serve(ctx, n.listener, clientName) })
	if n.operators != nil {
		stalled := n.store.Stalled
		n.operators.obstacle.Store(&stalled)
		n.operators.ready.Store(true)
	}
	return nil
}
