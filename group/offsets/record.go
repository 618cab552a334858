package offsets

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// The versions that Apache Kafka 4.x writes. A value with a topic id is the flexible one (Kafka 4.1), one with a time of its own to expire is that of 2015: only requests
// of versions 2 to 4 give such a time.
const (
	keyVersion      = 1
	plainVersion    = 3
	topicIDVersion  = 4
	expiringVersion = 1
)

// Commit is what a group committed for a partition.
type Commit struct {
	Offset      protocol.Offset
	LeaderEpoch protocol.LeaderEpoch
	Metadata    string
	// CommitMs is when it was committed; ExpireMs when it expires, protocol.NoTimestamp if the group's rules say. Milliseconds since 1970.
	CommitMs, ExpireMs int64
	// TopicID is the topic that was meant; zero if it is not known.
	TopicID protocol.TopicID
	// At is the offset of the record itself. Of two commits the later counts, also where a transaction's commit is applied after a plain one.
	At protocol.Offset
}

// Meant tells whether the commit was for the topic of this id; where either is unknown the name decides.
func (c Commit) Meant(id protocol.TopicID) bool {
	return id.IsZero() || c.TopicID.IsZero() || c.TopicID == id
}

// encoder makes records in one buffer.
type encoder struct {
	group   string
	buf     []byte
	records []runtime.Record
}

func newEncoder(group string, partitions int) *encoder {
	return &encoder{group: group, buf: make([]byte, 0, partitions*(64+len(group)+32)), records: make([]runtime.Record, 0, partitions)}
}

func (e *encoder) commit(tp protocol.TopicPartition, c Commit) {
	v := kmsg.OffsetCommitValue{Version: plainVersion, Offset: int64(c.Offset), LeaderEpoch: int32(c.LeaderEpoch), Metadata: c.Metadata,
		CommitTimestamp: c.CommitMs, ExpireTimestamp: c.ExpireMs, TopicID: c.TopicID}
	switch {
	case c.ExpireMs != protocol.NoTimestamp:
		v.Version = expiringVersion
	case !c.TopicID.IsZero():
		v.Version = topicIDVersion
	}
	key := e.key(tp)
	start := len(e.buf)
	e.buf = v.AppendTo(e.buf)
	e.records = append(e.records, runtime.Record{Key: key, Value: e.buf[start:len(e.buf):len(e.buf)]})
}

func (e *encoder) tombstone(tp protocol.TopicPartition) {
	e.records = append(e.records, runtime.Record{Key: e.key(tp)})
}

func (e *encoder) key(tp protocol.TopicPartition) []byte {
	k := kmsg.OffsetCommitKey{Version: keyVersion, Group: e.group, Topic: tp.Topic, Partition: tp.Partition}
	start := len(e.buf)
	e.buf = k.AppendTo(e.buf)
	return e.buf[start:len(e.buf):len(e.buf)]
}

// decodeCommit reads a value. Its strings alias b.
func decodeCommit(b []byte) (Commit, error) {
	v := kmsg.OffsetCommitValue{LeaderEpoch: -1, ExpireTimestamp: protocol.NoTimestamp}
	if len(b) < 2 {
		return Commit{}, fmt.Errorf("committed offset of %d bytes", len(b))
	}
	if version := int16(b[0])<<8 | int16(b[1]); version < 0 || version > topicIDVersion {
		return Commit{}, fmt.Errorf("committed offset of version %d, this broker reads up to %d", version, topicIDVersion)
	}
	if err := v.UnsafeReadFrom(b); err != nil {
		return Commit{}, fmt.Errorf("committed offset: %w", err)
	}
	c := Commit{Offset: protocol.Offset(v.Offset), LeaderEpoch: protocol.NoLeaderEpoch, Metadata: v.Metadata, CommitMs: v.CommitTimestamp,
		ExpireMs: protocol.NoTimestamp, TopicID: v.TopicID}
	if v.Version >= plainVersion {
		c.LeaderEpoch = protocol.LeaderEpoch(v.LeaderEpoch)
	}
	if v.Version == expiringVersion {
		c.ExpireMs = v.ExpireTimestamp
	}
	return c, nil
}
