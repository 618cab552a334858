package wire

import (
	"fmt"
	"math"

	"ottla/protocol"
)

const (
	minFetchVersion       = 4
	maxFetchVersion       = 18
	fetchLogStart         = 5
	fetchSessions         = 7
	fetchLeaderEpoch      = 9
	fetchRack             = 11
	fetchFlexible         = 12
	fetchTopicIDs         = 13
	fetchReplicaState     = 15
	fetchNodeEndpoints    = 16
	fetchDirectoryID      = 17
	fetchHighWatermark    = 18
	fetchLastFetchedEpoch = fetchFlexible
)

// Session ids and epochs with a meaning of their own (KIP-227).
const (
	NoSessionID         = 0
	InitialSessionEpoch = 0  // a full request that asks for a session
	FinalSessionEpoch   = -1 // a full request without one; closes the one named
)

// UnknownHighWatermark is what a fetcher sends that does not tell its high watermark (before version 18, KIP-1166).
const UnknownHighWatermark protocol.Offset = math.MaxInt64

// FetchScanner reads the body of a Fetch request of version 4 to 18 in place.
//
//	replica_id int32 (v4–14) · max_wait_ms int32 · min_bytes int32 · max_bytes int32 · isolation int8 · session_id int32, session_epoch int32 (v7+)
//	topics [ topic string (v4–12) or topic_id uuid (v13+)
//	         partitions [ partition int32 · current_leader_epoch int32 (v9+) · fetch_offset int64 · last_fetched_epoch int32 (v12+) · log_start_offset int64 (v5+)
//	                      partition_max_bytes int32 · tags: 0 replica_directory_id uuid (v17+), 1 high_watermark int64 (v18+) ] · tags ]
//	forgotten (v7+) [ topic or topic_id · partitions [int32] · tags ] · rack_id string (v11+)
//	tags: 0 cluster_id nullable string (v12+), 1 replica_state: replica_id int32, replica_epoch int64, tags (v15+)
//
// Reset reads the whole body once and fills in the fields; the Next methods then cannot fail. The zero value is ready for Reset,
// and is reused without allocating.
type FetchScanner struct {
	ReplicaID       protocol.BrokerID    // -1: a consumer
	ReplicaEpoch    protocol.BrokerEpoch // -1: not told
	MaxWaitMs       int32
	MinBytes        int32
	MaxBytes        int32
	Isolation       int8
	SessionID       int32
	SessionEpoch    int32
	RackID          []byte
	ClusterID       []byte // nil: null
	Topics          int    // entries of the topics array
	AllPartitions   int    // of all topics
	ForgottenTopics int

	version    int16
	c          cursor
	first      []byte // the body from its first topic on
	forgotten  []byte // the body from its first forgotten topic on
	topics     int    // left of the array being read
	partitions int    // left in the current topic
	inTopic    bool
}

// FetchPartition is one partition asked for. What the version does not have holds the protocol's default.
type FetchPartition struct {
	Partition          int32
	CurrentLeaderEpoch protocol.LeaderEpoch // -1: not checked
	FetchOffset        protocol.Offset
	LastFetchedEpoch   protocol.LeaderEpoch // -1: none
	LogStartOffset     protocol.Offset      // a follower's; -1 from a consumer
	MaxBytes           int32
	ReplicaDirectoryID protocol.DirectoryID
	HighWatermark      protocol.Offset // a follower's; UnknownHighWatermark where it does not tell
}

// Reset starts on a body. The scanner and what it hands out alias it. ErrUnsupported or ErrMalformed leave a scanner without topics.
func (s *FetchScanner) Reset(version int16, body []byte) error {
	*s = FetchScanner{version: version, ReplicaID: protocol.NoBroker, ReplicaEpoch: -1, SessionEpoch: FinalSessionEpoch}
	if version < minFetchVersion || version > maxFetchVersion {
		return fmt.Errorf("fetch version %d: %w", version, ErrUnsupported)
	}
	s.c.b = body
	s.readFront()
	s.Topics = s.c.count(s.flexible())
	s.first = s.c.b
	s.readBack()
	if s.c.bad || len(s.c.b) != 0 {
		*s = FetchScanner{version: version}
		return fmt.Errorf("fetch version %d, body of %d bytes: %w", version, len(body), ErrMalformed)
	}
	s.Rewind()
	return nil
}

func (s *FetchScanner) readFront() {
	if s.version < fetchReplicaState {
		s.ReplicaID = protocol.BrokerID(s.c.int32())
	}
	s.MaxWaitMs, s.MinBytes, s.MaxBytes, s.Isolation = s.c.int32(), s.c.int32(), s.c.int32(), s.c.int8()
	if s.version >= fetchSessions {
		s.SessionID, s.SessionEpoch = s.c.int32(), s.c.int32()
	}
}

// readBack steps over both arrays, which validates them, and reads what follows.
func (s *FetchScanner) readBack() {
	s.topics = s.Topics
	for ok := true; ok; {
		_, _, ok = s.NextTopic()
		s.AllPartitions += s.partitions
	}
	if s.version >= fetchSessions {
		s.ForgottenTopics = s.c.count(s.flexible())
		s.forgotten = s.c.b
		s.topics = s.ForgottenTopics
		for ok := true; ok; {
			_, _, ok = s.NextForgottenTopic()
		}
	}
	if s.version >= fetchRack {
		s.RackID = s.c.string(s.flexible())
	}
	if s.flexible() {
		s.readTags()
	}
}

func (s *FetchScanner) readTags() {
	t := s.c.tags()
	for {
		tag, f, ok := t.next(&s.c)
		if !ok {
			return
		}
		switch tag {
		case 0:
			s.ClusterID = f.nullableString(true)
		case 1:
			if s.version < fetchReplicaState {
				s.c.fail()
			}
			s.ReplicaID, s.ReplicaEpoch = protocol.BrokerID(f.int32()), protocol.BrokerEpoch(f.int64())
			f.skipTags()
		default:
			continue
		}
		s.c.close(&f)
	}
}

// Version is the version given to Reset.
func (s *FetchScanner) Version() int16 { return s.version }

// Rewind goes back to before the first topic.
func (s *FetchScanner) Rewind() {
	s.c = cursor{b: s.first}
	s.topics, s.partitions, s.inTopic = s.Topics, 0, false
}

// NextTopic steps to the next topic, over what is left of the current one. Up to version 12 a topic has a name, from 13 on an id.
func (s *FetchScanner) NextTopic() (name []byte, id protocol.TopicID, ok bool) {
	var p FetchPartition
	for s.inTopic {
		s.NextPartition(&p)
	}
	return s.topic()
}

func (s *FetchScanner) topic() (name []byte, id protocol.TopicID, ok bool) {
	if s.topics == 0 || s.c.bad {
		return nil, id, false
	}
	s.topics--
	if s.version >= fetchTopicIDs {
		id = s.c.uuid()
	} else {
		name = s.c.string(s.flexible())
	}
	s.partitions, s.inTopic = s.c.count(s.flexible()), true
	return name, id, !s.c.bad
}

// Partitions is how many partitions of the current topic are still to come.
func (s *FetchScanner) Partitions() int { return s.partitions }

// NextPartition fills p with the current topic's next partition.
func (s *FetchScanner) NextPartition(p *FetchPartition) bool {
	if s.partitions == 0 || s.c.bad {
		s.endTopic()
		return false
	}
	s.partitions--
	*p = FetchPartition{
		CurrentLeaderEpoch: protocol.NoLeaderEpoch, LastFetchedEpoch: protocol.NoLeaderEpoch, LogStartOffset: protocol.NoOffset, HighWatermark: UnknownHighWatermark,
	}
	p.Partition = s.c.int32()
	if s.version >= fetchLeaderEpoch {
		p.CurrentLeaderEpoch = protocol.LeaderEpoch(s.c.int32())
	}
	p.FetchOffset = protocol.Offset(s.c.int64())
	if s.version >= fetchLastFetchedEpoch {
		p.LastFetchedEpoch = protocol.LeaderEpoch(s.c.int32())
	}
	if s.version >= fetchLogStart {
		p.LogStartOffset = protocol.Offset(s.c.int64())
	}
	p.MaxBytes = s.c.int32()
	if s.flexible() {
		s.readPartitionTags(p)
	}
	return !s.c.bad
}

func (s *FetchScanner) readPartitionTags(p *FetchPartition) {
	t := s.c.tags()
	for {
		tag, f, ok := t.next(&s.c)
		if !ok {
			return
		}
		switch {
		case tag == 0 && s.version >= fetchDirectoryID:
			p.ReplicaDirectoryID = f.uuid()
		case tag == 1 && s.version >= fetchHighWatermark:
			p.HighWatermark = protocol.Offset(f.int64())
		case tag <= 1: // Kafka refuses a tag that its version does not have yet
			s.c.fail()
		default:
			continue
		}
		s.c.close(&f)
	}
}

// RewindForgotten leaves the topics and goes to before the first forgotten topic.
func (s *FetchScanner) RewindForgotten() {
	s.c = cursor{b: s.forgotten}
	s.topics, s.partitions, s.inTopic = s.ForgottenTopics, 0, false
}

// NextForgottenTopic steps to the next topic of which the session is to forget partitions, after RewindForgotten.
func (s *FetchScanner) NextForgottenTopic() (name []byte, id protocol.TopicID, ok bool) {
	for s.inTopic {
		s.NextForgottenPartition()
	}
	return s.topic()
}

// NextForgottenPartition steps to the current forgotten topic's next partition.
func (s *FetchScanner) NextForgottenPartition() (partition int32, ok bool) {
	if s.partitions == 0 || s.c.bad {
		s.endTopic()
		return 0, false
	}
	s.partitions--
	partition = s.c.int32()
	return partition, !s.c.bad
}

func (s *FetchScanner) endTopic() {
	if s.inTopic && s.flexible() {
		s.c.skipTags()
	}
	s.inTopic = false
}

func (s *FetchScanner) flexible() bool { return s.version >= fetchFlexible }
