package controller

import (
	"log/slog"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/liveness"
	"ottla/controller/quorum"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// Options of a controller. Log, FS, Dir, NodeID, ClusterID and Logger are needed.
type Options struct {
	Log    *log.Log // __cluster_metadata-0; flushed by whoever runs its store
	FS     vfs.FS
	Dir    string // for the raft state and snapshots; not the log's own folder
	NodeID protocol.BrokerID
	// ClusterID names the cluster: it is founded under this name if the folder is empty, and must be that of the folder otherwise.
	ClusterID string
	// Join says that an empty folder is that of a node which joins the cluster ClusterID, and founds none.
	Join bool
	// Govern has this node, when it leads, make registered controllers members of the quorum, and raise the format of records.
	Govern bool
	// Liveness keeps the sessions of brokers while this node leads; nil: nobody knows who is alive. It belongs to Run's goroutine.
	Liveness *liveness.Machine
	// Send sends messages to other members; it must not block, and may lose them. Nil: there are no others. What comes from them is for Receive.
	Send func([]*quorum.Message)
	// Forward has the leader decide a request, and calls done once, when this node's image has what was decided. It must not block. Nil: a node that does not lead refuses.
	Forward func(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error))
	// LeaderChanged is called by the driver when Leader gives something else; it must not block. Nil: nobody wants to know.
	LeaderChanged func()
	// Published is told of every change by the driver, as subscribers are, but when Image shows it: for those who wake others that look there. It must not block. Nil: nobody wants to know.
	Published Subscriber
	// MaxReplicas is how many replicas a partition may have; zero: as many as there are brokers.
	MaxReplicas int
	// Features are finalized when the cluster is founded: name to level.
	Features map[string]int16
	// Defaults are the cluster-wide broker configs that it is founded with.
	Defaults map[string]string
	// Founding are further records that the cluster is founded with: topics that were imported. They ride in one list (record.MaxCount, record.MaxSize).
	Founding []*record.Record
	// Static is this node's broker properties, for the defaults of what is decided. Only read.
	Static map[string]string
	// Rand places replicas; only Run uses it. Nil: seeded at random.
	Rand    *rand.Rand
	Logger  *slog.Logger
	Metrics *quorum.Metrics // nil: measured, but shown nowhere

	// A snapshot is written after so many entries, or so many bytes of them. Zero means 10,000 and 20 MiB (Kafka's metadata.log.max.record.bytes.between.snapshots).
	SnapshotEntries uint64
	SnapshotBytes   int64
	// MaxQueued is how many requests may wait for the driver; zero means 1,000. More are refused with REQUEST_TIMED_OUT.
	MaxQueued int
}

// LogConfig is how the log of __cluster_metadata-0 is to be opened: only snapshots make it shorter.
func LogConfig() log.Config {
	c := log.DefaultConfig()
	c.SegmentBytes, c.RetentionMs, c.RetentionBytes = 64<<20, -1, -1
	return c
}

const (
	defaultSnapshotEntries = 10_000
	defaultSnapshotBytes   = 20 << 20
	defaultMaxQueued       = 1_000
)

func (o *Options) setDefaults() {
	if o.SnapshotEntries == 0 {
		o.SnapshotEntries = defaultSnapshotEntries
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = defaultSnapshotBytes
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = defaultMaxQueued
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if o.Metrics == nil {
		o.Metrics = quorum.NewMetrics(nil)
	}
}
