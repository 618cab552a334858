package handlers

import (
	"log/slog"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/producer"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/session"
)

// Partitions finds the partitions that this broker leads.
type Partitions interface {
	// Leader is the partition if this broker leads it; else NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID or KAFKA_STORAGE_ERROR.
	Leader(id protocol.TopicID, partition int32) (Partition, error)
}

// Partition is a partition that this broker leads, or led when it was found: every method answers NOT_LEADER_OR_FOLLOWER after that.
type Partition interface {
	// Append writes one batch, in place. acks is the producer's: -1 asks for min.insync.replicas as well. It keeps no reference to records.
	Append(records []byte, acks int16, o log.AppendOptions, info *log.AppendInfo) error
	// Read pins out.Range; whoever gets it releases it once. FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_OUT_OF_RANGE.
	Read(o log.ReadOptions, out *log.ReadResult) error
	Offsets() log.Offsets
	// Waiters is advanced when the high watermark moves and failed when leadership is lost.
	Waiters() *purgatory.List
	// OffsetForTimestamp finds the first record at or after ts (milliseconds), or the one with the highest timestamp for -3; its Offset is -1 if there is none below the isolation's limit.
	OffsetForTimestamp(ts int64, isolation int8) (log.TimestampOffset, error)
	// EpochEnd is the largest epoch up to wanted and where it ends; -1, -1 if unknown. current is checked first, -1 is not.
	EpochEnd(current, wanted protocol.LeaderEpoch) (protocol.LeaderEpoch, protocol.Offset, error)
	// DeleteRecords moves the log start to before (-1: the high watermark) and returns it.
	DeleteRecords(before protocol.Offset) (low protocol.Offset, err error)
	// Producers are the idempotent producers that the partition remembers, by id.
	Producers() ([]producer.Info, error)
}

// LogDirs are the folders that this broker keeps logs in.
type LogDirs interface {
	// LogDirs describes every log directory. It may read from the disk.
	LogDirs() []LogDir
}

// LogDir is one log directory.
type LogDir struct {
	Path        string
	Err         error // why it is offline; KAFKA_STORAGE_ERROR on the wire
	Total, Free int64 // bytes of its file system, and those that may still be written; -1: unknown
	Partitions  []LogDirPartition
}

// LogDirPartition is one partition's log in a directory.
type LogDirPartition struct {
	protocol.TopicPartition
	Size int64 // bytes of all segments
}

// Metadata is the log of the metadata quorum, on a node that has a part in it, for the nodes that have none.
type Metadata interface {
	// ReadCommitted finds whole batches from offset from on, at most maxBytes but always one, up to out.Offsets.HighWatermark: what Controller.Image has. It pins out.Range, which is empty where
	// there is nothing yet. NOT_LEADER_OR_FOLLOWER if this node has not caught up, or is cut off; OFFSET_OUT_OF_RANGE below the log's start.
	ReadCommitted(from protocol.Offset, maxBytes int, out *log.ReadResult) error
	// CommittedWaiters is advanced when the high watermark moves, and failed when ReadCommitted begins to fail.
	CommittedWaiters() *purgatory.List
	// NewestSnapshot is the offset behind the newest snapshot, and its term.
	NewestSnapshot() (end protocol.Offset, term protocol.Term, ok bool)
	// ReadSnapshot reads at most maxBytes of a snapshot from position on. SNAPSHOT_NOT_FOUND, POSITION_OUT_OF_RANGE.
	ReadSnapshot(end protocol.Offset, term protocol.Term, position int64, maxBytes int) (b []byte, size int64, err error)
	// Committed calls done once, from any goroutine, with the offset behind all that was committed when it was called. NOT_CONTROLLER.
	Committed(done func(protocol.Offset, error))
}

// Controller is the metadata quorum as a handler sees it.
type Controller interface {
	// Image is the committed and applied state.
	Image() *image.Image
	// Submit has the quorum's leader decide req (CreateTopics, DeleteTopics, CreatePartitions, AlterConfigs, IncrementalAlterConfigs, UpdateFeatures, the keys about registrations and voters), or answer it
	// (DescribeQuorum), and calls done once, when the decision is committed and applied here or has failed.
	// done runs on the controller's goroutine.
	Submit(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error))
}

// ProducerIDs gives out producer ids, each once in the cluster's life. done is called once, from any goroutine, possibly before Next returns.
type ProducerIDs interface {
	Next(done func(protocol.ProducerID, error))
}

// Authorizer says who may do what.
type Authorizer interface {
	Allowed(p protocol.Principal, op protocol.Operation, r protocol.Resource) bool
}

// AllowAll is the authorizer of a broker without ACLs.
type AllowAll struct{}

func (AllowAll) Allowed(protocol.Principal, protocol.Operation, protocol.Resource) bool { return true }

// Options is what a broker plugs in.
type Options struct {
	Broker      protocol.BrokerID // this node
	Partitions  Partitions
	Controller  Controller
	ProducerIDs ProducerIDs
	LogDirs     LogDirs
	Groups      Groups   // nil: this broker coordinates none, and serves none of their keys
	Nodes       *Nodes   // nil: this broker knows no secret, and answers no node
	Metadata    Metadata // nil: this broker has no part in the quorum, and nobody follows it
	Authorizer  Authorizer
	Purgatory   *purgatory.Purgatory
	Sessions    *session.Cache
	// Settings are this broker's own configs as they are in force now, without a topic's override; never older than Controller.Image.
	Settings func() config.Values
	// AnswerLocalAddress makes this broker's address in every answer the one that the asking connection came in on, for as long as it is the only one: for a node that was not told what to
	// advertise.
	AnswerLocalAddress bool
	// NodeListener names the listener that is reserved for calls from node to node; "" if there is none.
	NodeListener string
	Logger       *slog.Logger
}
