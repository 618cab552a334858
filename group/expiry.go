package group

import (
	"slices"
	"time"

	"ottla/group/classic"
	"ottla/group/offsets"
	"ottla/group/runtime"
	"ottla/protocol"
)

// expireOffsets forgets the offsets of groups that nobody is in any more, after their retention (KIP-211), and the groups of which nothing is left.
//
// It is slower to forget than Apache Kafka, where a group that was away for longer than offsets.retention.minutes begins at auto.offset.reset and reads again what it has read,
// or leaves out what it has not: here an offset is kept while somebody is in the group, whatever the members subscribe to, and while its partition has any data.
//
// What is more than one append takes waits for the next call, which is at once.
func (s *Shard) expireOffsets(now time.Time) []runtime.Record {
	s.nextCheck = now.Add(s.settings.RetentionCheck)
	var records []runtime.Record
	for _, id := range slices.Sorted(s.groups.IDs()) {
		since, ok := s.groups.EmptySince(id)
		if !ok {
			continue
		}
		gone := s.offsets.Expire(id, offsets.Expiry{Now: now, Retention: s.settings.Retention, Since: since, Held: s.held})
		part, whole := atMost(append(records, gone...))
		if records = part; !whole {
			s.nextCheck = now
			break
		}
		if len(gone) == s.offsets.Len(id) {
			records = append(records, classic.Tombstone(id))
			s.groups.Deleted(id)
		}
	}
	return records
}

// held tells whether a partition still has data. If this broker cannot tell, it has.
func (s *Shard) held(tp protocol.TopicPartition, c offsets.Commit) bool {
	id, ok := s.topics.ID(tp.Topic)
	if !ok || !c.Meant(id) {
		return false
	}
	start, end, known := s.topics.Bounds(tp)
	return !known || start < end
}

// topicDeleted forgets what groups committed for a topic that is gone, or the part of it that goes into one append.
func (s *Shard) topicDeleted(name string, id protocol.TopicID) runtime.Effects {
	records, _ := atMost(s.offsets.DeleteTopic(name, id))
	return runtime.Effects{Records: records}
}

// maxForgotten bounds the bytes of tombstones in one append. With what sessions that end write it stays below the runtime's bound of 1 MiB.
const maxForgotten = 256 << 10

// atMost is the first of the tombstones, as many as go into one append, and whether these are all.
func atMost(records []runtime.Record) (part []runtime.Record, whole bool) {
	size := 0
	for n, r := range records {
		if size += len(r.Key) + 32; size > maxForgotten {
			return records[:n], false
		}
	}
	return records, true
}
