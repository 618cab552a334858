package quorum

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/controller/raftlog"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Options of a machine. Storage, NodeID, ClusterID, Publish, NewTopicID, Rand, Logger and Metrics are needed.
type Options struct {
	Storage   *raftlog.Storage
	NodeID    protocol.BrokerID
	ClusterID string
	// Join says that an empty storage is that of a node which joins the cluster, and founds none.
	Join bool
	// Publish is told of every change, in order, before who asked for it is answered. The first delta is all that was restored, as a change of the empty image; it comes when everything
	// that had ever been answered is in it.
	Publish func(*image.Image, *image.Delta)

	// Govern has the leader look after the members: who is registered as a controller becomes one (members.go), and records are written in the newest format that all nodes read.
	// Without it, members change by ChangeMembers and by requests only.
	Govern bool
	// Liveness keeps the sessions of brokers while this node leads: the machine tells it of leaderships and decisions, and fences whom it finds silent. Nil: nobody knows who is alive.
	// It belongs to the machine.
	Liveness *liveness.Machine

	// MaxReplicas is decide.Env's.
	MaxReplicas int
	// Features are finalized when the cluster is founded: name to level.
	Features map[string]int16
	// Defaults are the cluster-wide broker configs that it is founded with.
	Defaults map[string]string
	// Founding are further records that the cluster is founded with: topics that were imported. They ride in one list (record.MaxCount, record.MaxSize).
	Founding []*record.Record
	// Static is this node's broker properties, for the defaults of what is decided. Only read.
	Static map[string]string
	// NewTopicID gives the ids of topics, Rand places replicas.
	NewTopicID func() protocol.TopicID
	Rand       *rand.Rand
	Logger     *slog.Logger
	Metrics    *Metrics

	// A snapshot is due after so many entries, or so many bytes of them.
	SnapshotEntries uint64
	SnapshotBytes   int64
	// MaxWaiting is how many requests may wait to be decided, and how many to be committed. Zero means 1,000.
	MaxWaiting int
}

const defaultMaxWaiting = 1_000

func (o *Options) setDefaults() {
	if o.MaxWaiting == 0 {
		o.MaxWaiting = defaultMaxWaiting
	}
}

// What raft counts in ticks. A silent leader is missed after 400 to 800 ms.
const (
	Tick           = 25 * time.Millisecond
	heartbeatTicks = 4
	electionTicks  = 16
)

// founding is the records of a new cluster, the first of all.
func (o *Options) founding() []*record.Record {
	rs := []*record.Record{record.Of(&record.Cluster{Id: o.ClusterID})}
	for _, name := range slices.Sorted(maps.Keys(o.Features)) {
		rs = append(rs, record.Of(&record.FeatureLevel{Name: name, Level: int32(o.Features[name])}))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Defaults)) {
		rs = append(rs, record.Of(&record.Config{ResourceType: int32(config.Broker), Name: name, Value: new(o.Defaults[name])}))
	}
	return append(rs, o.Founding...)
}
