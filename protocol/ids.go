package protocol

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

type (
	// Offset numbers a record within its partition; the first is 0. NextOffset-like values are one past the last record.
	Offset int64
	// BrokerID names a node in its data role (Kafka's node.id); -1 is none.
	BrokerID int32
	// LeaderEpoch counts the leaderships of one partition; -1 is unknown (KIP-101).
	LeaderEpoch int32
	// PartitionEpoch counts the changes of one partition's state (leader, ISR, replicas).
	PartitionEpoch int32
	// BrokerEpoch is the metadata offset of a broker's registration; it tells incarnations of one broker apart (KIP-497).
	BrokerEpoch int64
	// Term is a raft term of the metadata quorum.
	Term uint64
	// ProducerID names an idempotent producer; -1 is none.
	ProducerID int64
	// ProducerEpoch fences older instances of one ProducerID; -1 is none.
	ProducerEpoch int16
	// Sequence numbers a record within one producer and partition; wraps from 2^31-1 to 0; -1 is none.
	Sequence int32
)

const (
	NoBroker        BrokerID      = -1
	NoLeaderEpoch   LeaderEpoch   = -1
	NoProducerID    ProducerID    = -1
	NoProducerEpoch ProducerEpoch = -1
	NoSequence      Sequence      = -1
	NoOffset        Offset        = -1
	NoTimestamp     int64         = -1 // milliseconds since 1970, as every timestamp on the wire
)

// ID is a 128-bit id written as Kafka writes them: URL-safe base64 of 22 characters without padding.
type ID [16]byte

// TopicID tells topics of one name apart (KIP-516); DirectoryID names one incarnation of a log directory (KIP-858).
type (
	TopicID     = ID
	DirectoryID = ID
)

// MetadataTopic is the log of the metadata quorum, as in Kafka.
const MetadataTopic = "__cluster_metadata"

// MetadataTopicID is its fixed id, as in Kafka.
var MetadataTopicID = TopicID{15: 1}

// IsZero tells whether the id is unset.
func (id ID) IsZero() bool { return id == ID{} }

// String gives Kafka's form of 22 characters.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseID reads String's form.
func ParseID(s string) (ID, error) {
	if len(s) != 22 {
		return ID{}, fmt.Errorf("id %q: %d characters, want 22", s, len(s))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return ID{}, fmt.Errorf("id %q: %w", s, err)
	}
	if len(b) != 16 { // the decoder passes over line ends
		return ID{}, fmt.Errorf("id %q: %d bytes, want 16", s, len(b))
	}
	return ID(b), nil
}

// NewID returns a random id. Like Kafka's it is never all zero or one of the reserved low ids, and never starts with '-',
// so that it can stand as an argument on a command line.
func NewID() ID {
	for {
		var id ID
		_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the process instead
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if id.String()[0] != '-' {
			return id
		}
	}
}

// TopicPartition names a partition as people do.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is Kafka's folder name: topic-partition.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

// TopicIDPartition names a partition unmistakably: a topic deleted and created again has another id.
type TopicIDPartition struct {
	ID        TopicID
	Partition int32
}

const maxTopicNameLength = 249

// topicNameError says why a name is not one that Kafka allows, in Kafka's words: they go to clients as they are.
type topicNameError string

func (e topicNameError) Error() string { return "Topic name is invalid: " + string(e) }

// ValidateTopicName accepts what Kafka's Topic.validate accepts: 1 to 249 of [a-zA-Z0-9._-], neither "." nor "..".
// The error's words are Kafka's.
func ValidateTopicName(name string) error {
	switch {
	case name == "":
		return topicNameError("the empty string is not allowed")
	case name == "." || name == "..":
		return topicNameError("'" + name + "' is not allowed")
	case len(name) > maxTopicNameLength:
		return topicNameError(fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, maxTopicNameLength))
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
		if !ok {
			return topicNameError("'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
		}
	}
	return nil
}
