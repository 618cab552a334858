package session

import (
	"ottla/protocol"
	"ottla/protocol/wire"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Partition is one partition of a fetch: what the fetcher wants of it, and in a session also what it was last told.
// The handler reads it; between Begin and End nobody changes it but Include.
type Partition struct {
	Topic string           // as named by the metadata; as asked for where that does not know it; "" for an id never seen
	ID    protocol.TopicID // as asked for; by name: the id of the topic that now has it, zero if there is none
	Index int32
	Err   *kerr.Error // nil, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION or INCONSISTENT_TOPIC_ID: the metadata has no such topic (any more)

	MaxBytes           int32
	CurrentLeaderEpoch protocol.LeaderEpoch
	LastFetchedEpoch   protocol.LeaderEpoch
	FetchOffset        protocol.Offset
	LogStartOffset     protocol.Offset // a follower's own

	highWatermark protocol.Offset // as last sent; -1: send again
	logStart      protocol.Offset
	prev, next    int32 // in the session's order
}

func (p *Partition) want(w *wire.FetchPartition) {
	p.MaxBytes = w.MaxBytes
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = w.CurrentLeaderEpoch, w.LastFetchedEpoch
	p.FetchOffset, p.LogStartOffset = w.FetchOffset, w.LogStartOffset
}

// told notes what r tells the fetcher, and whether that is worth telling: records, an error, a high watermark or log start that moved, a diverging epoch, a better replica.
// After an error the high watermark counts as unknown, so that the partition is sent once more when the error has gone.
func (p *Partition) told(r *wire.FetchResult) bool {
	news := r.RecordsSize > 0 || r.ErrorCode != 0 || r.DivergingEpoch.Told || r.PreferredReadReplica != protocol.NoBroker ||
		p.highWatermark != r.HighWatermark || p.logStart != r.LogStart
	p.highWatermark, p.logStart = r.HighWatermark, r.LogStart
	if r.ErrorCode != 0 {
		p.highWatermark = protocol.NoOffset
	}
	return news
}

// Resolver is the metadata in force. Its answers do not change while a Begin runs.
type Resolver interface {
	// Version changes whenever another answer may: the offset of the metadata image.
	Version() int64
	// TopicName is the name of the topic with this id; "" if there is none.
	TopicName(id protocol.TopicID) string
	// Topic is the topic of this name, with the metadata's own copy of the name; "" and zero if there is none.
	Topic(name []byte) (string, protocol.TopicID)
}

// resolve brings name, id and Err up to date. A topic of a name is whatever has the name now. A topic of an id keeps the name that it was once known by, to tell
// one that was deleted (as Kafka does: UNKNOWN_TOPIC_OR_PARTITION) or replaced (INCONSISTENT_TOPIC_ID) from one never heard of (UNKNOWN_TOPIC_ID).
func (p *Partition) resolve(byID bool, r Resolver) {
	p.Err = nil
	if !byID {
		if _, p.ID = r.Topic([]byte(p.Topic)); p.ID.IsZero() {
			p.Err = kerr.UnknownTopicOrPartition
		}
		return
	}
	name := r.TopicName(p.ID)
	switch {
	case name != "":
		p.Topic = name
	case p.Topic == "":
		p.Err = kerr.UnknownTopicID
	default:
		p.Err = kerr.UnknownTopicOrPartition
		if now, _ := r.Topic([]byte(p.Topic)); now != "" {
			p.Err = kerr.InconsistentTopicID
		}
	}
}
