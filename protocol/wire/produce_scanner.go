package wire

import (
	"fmt"

	"ottla/protocol"
)

const (
	minProduceVersion    = 3
	maxProduceVersion    = 13
	produceFlexible      = 9
	produceTopicIDs      = 13
	produceCurrentLeader = 10
)

// ProduceScanner reads the body of a Produce request of version 3 to 13 in place.
//
//	transactional_id nullable string · acks int16 · timeout_ms int32
//	topics [ name string (v3–12) or topic_id uuid (v13+)
//	         partitions [ index int32 · records nullable bytes · tags ] · tags ] · tags
//
// Reset reads the whole body once, so that a request with a fault anywhere is refused before any of it is acted on; the Next methods then cannot fail.
// The zero value is ready for Reset, and is reused without allocating.
type ProduceScanner struct {
	TransactionalID []byte // nil: null
	Acks            int16
	TimeoutMs       int32
	Topics          int // entries of the topics array
	AllPartitions   int // of all topics

	version    int16
	c          cursor
	first      []byte // the body from its first topic on
	topics     int    // left
	partitions int    // left in the current topic
	inTopic    bool
}

// Reset starts on a body. The scanner and what it hands out alias it. ErrUnsupported or ErrMalformed leave a scanner without topics.
func (s *ProduceScanner) Reset(version int16, body []byte) error {
	*s = ProduceScanner{version: version}
	if version < minProduceVersion || version > maxProduceVersion {
		return fmt.Errorf("produce version %d: %w", version, ErrUnsupported)
	}
	s.c.b = body
	s.TransactionalID = s.c.nullableString(s.flexible())
	s.Acks, s.TimeoutMs = s.c.int16(), s.c.int32()
	s.Topics = s.c.count(s.flexible())
	s.first = s.c.b
	if !s.validate() {
		*s = ProduceScanner{version: version}
		return fmt.Errorf("produce version %d, body of %d bytes: %w", version, len(body), ErrMalformed)
	}
	s.Rewind()
	return nil
}

func (s *ProduceScanner) validate() bool {
	s.topics = s.Topics
	for ok := true; ok; {
		_, _, ok = s.NextTopic()
		s.AllPartitions += s.partitions
	}
	if s.flexible() {
		s.c.skipTags()
	}
	return !s.c.bad && len(s.c.b) == 0
}

// Rewind goes back to before the first topic.
func (s *ProduceScanner) Rewind() {
	s.c = cursor{b: s.first}
	s.topics, s.partitions, s.inTopic = s.Topics, 0, false
}

// NextTopic steps to the next topic, over what is left of the current one. Up to version 12 a topic has a name, from 13 on an id.
func (s *ProduceScanner) NextTopic() (name []byte, id protocol.TopicID, ok bool) {
	for s.inTopic {
		s.NextPartition()
	}
	if s.topics == 0 || s.c.bad {
		return nil, id, false
	}
	s.topics--
	if s.version >= produceTopicIDs {
		id = s.c.uuid()
	} else {
		name = s.c.string(s.flexible())
	}
	s.partitions, s.inTopic = s.c.count(s.flexible()), true
	return name, id, !s.c.bad
}

// Partitions is how many partitions of the current topic are still to come.
func (s *ProduceScanner) Partitions() int { return s.partitions }

// NextPartition steps to the current topic's next partition. Records that are null are nil; empty ones are not. Their capacity ends with them.
func (s *ProduceScanner) NextPartition() (index int32, records []byte, ok bool) {
	if s.partitions == 0 || s.c.bad {
		s.endTopic()
		return 0, nil, false
	}
	s.partitions--
	index = s.c.int32()
	records = s.c.nullableBytes(s.flexible())
	if s.flexible() {
		s.c.skipTags()
	}
	return index, records, !s.c.bad
}

func (s *ProduceScanner) endTopic() {
	if s.inTopic && s.flexible() {
		s.c.skipTags()
	}
	s.inTopic = false
}

func (s *ProduceScanner) flexible() bool { return s.version >= produceFlexible }
