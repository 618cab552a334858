package replica

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Options of a Manager. All but Metrics are needed.
type Options struct {
	Store  *log.Store
	Broker protocol.BrokerID
	// Settings are this broker's configs. Only the static ones are taken: the others come from the image that is being applied, which Settings may not know yet.
	Settings func() config.Values
	Logger   *slog.Logger
	Metrics  *Metrics // nil: counted, but shown nowhere
}

// Manager keeps the partitions of this broker as the image wants them.
type Manager struct {
	store    *log.Store
	broker   protocol.BrokerID
	name     string // broker, as config resources are named
	settings func() config.Values
	logger   *slog.Logger
	metrics  *Metrics

	table      table
	image      atomic.Pointer[image.Image]
	checkpoint checkpointer
	deletions  deletions
	waits      *purgatory.Purgatory // of Leaderships; without deadlines
	count      int                  // partitions here; Apply's
}

// New returns a manager without partitions: the first Apply brings them.
func New(o Options) *Manager {
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	m := &Manager{store: o.Store, broker: o.Broker, name: strconv.Itoa(int(o.Broker)), settings: o.Settings, logger: o.Logger, metrics: o.Metrics, waits: purgatory.New()}
	m.deletions = deletions{wake: make(chan struct{}, 1), waiting: make(map[protocol.TopicPartition]*log.Log)}
	m.checkpoint.wake = make(chan struct{}, 1)
	return m
}

// Run deletes what is to be deleted, and writes the checkpoints of high watermarks: some seconds after one has moved, and at the end. With nothing to do it has no
// timer. It ends before the store is closed.
func (m *Manager) Run(ctx context.Context) error {
	var due <-chan time.Time
	for {
		for ctx.Err() == nil && m.deleteNext() {
		}
		select {
		case <-ctx.Done():
			m.writeCheckpoints()
			return nil
		case <-m.deletions.wake:
		case <-m.checkpoint.wake:
			due = time.After(checkpointDelay)
		case <-due:
			due = nil
			m.writeCheckpoints()
		}
	}
}

// Leader is the partition if this broker leads it. It takes no lock, allocates nothing, and loads the log at the first use.
//
// Errors: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
func (m *Manager) Leader(id protocol.TopicID, partition int32) (*Partition, error) {
	p := m.table.partition(id, partition)
	if p == nil {
		return nil, m.missing(id, partition)
	}
	if _, err := p.leads(protocol.NoLeaderEpoch); err != nil {
		return nil, err
	}
	return p, nil
}

// missing says why there is no replica here.
func (m *Manager) missing(id protocol.TopicID, partition int32) error {
	img := m.image.Load()
	switch {
	case img == nil || img.TopicByID(id) == nil:
		return kerr.UnknownTopicID
	case img.Partition(id, partition) == nil:
		return kerr.UnknownTopicOrPartition
	}
	return kerr.NotLeaderForPartition
}
