package log_test

import (
	"maps"
	"slices"

	"ottla/log"
	"ottla/protocol"
)

// written is a batch that was appended, as the log must have it.
type written struct {
	base, next protocol.Offset
	epoch      protocol.LeaderEpoch
	times      []int64  // of the records; noTime where compaction has removed one
	keys       []string // of the records, in compacted topics
	bytes      []byte   // as stored
	sent       []byte   // as it was before compaction, nil if it is as it was
	producer   protocol.ProducerID
	pepoch     protocol.ProducerEpoch
	sequence   protocol.Sequence // of the first record
}

const noTime = -1

// original is the batch as it was appended.
func (w *written) original() []byte {
	if w.sent != nil {
		return w.sent
	}
	return w.bytes
}

func (w *written) last() protocol.Sequence {
	return w.sequence + protocol.Sequence(w.next-w.base) - 1
}

// part is what anybody may expect of one partition. Batches are never changed once they are listed, and lists are never appended to in place: a copy of a part stays true.
type part struct {
	tp      protocol.TopicPartition
	id      protocol.TopicID
	config  log.Config
	batches []written       // oldest first, with those that retention has deleted
	first   protocol.Offset // the log ends here at least: behind the last record that is left, there may be a gap
	start   protocol.Offset // log start offset
	// What has been promised: records below durable survive, unless something is under way that takes them; the log start does not fall below kept.
	durable, kept protocol.Offset
	high          protocol.Offset // high watermark as the checkpoint may have it
	cleaned       protocol.Offset // below it records may be gone for which later ones of their key stand
	removed       []written       // batches that compaction has removed whole: what their producers send next comes after them
	epoch         protocol.LeaderEpoch
	vouched       bool // a flush has said that something is durable: the folder stays

	// What is under way, so that a crash may have done it or not.
	cutting   bool            // down to cut
	cut       protocol.Offset // records from here on may be gone
	resetting bool            // to reset, where an empty log may begin
	reset     protocol.Offset
	starting  protocol.Offset // the log start may be as high as this, NoOffset: no higher than start
	deleting  bool
	before    []written // what the log held before what is under way
}

func newPart(topic string, n int32, id protocol.TopicID, c log.Config) *part {
	return &part{tp: protocol.TopicPartition{Topic: topic, Partition: n}, id: id, config: c, starting: protocol.NoOffset}
}

func (p *part) end() protocol.Offset {
	if n := len(p.batches); n > 0 {
		return max(p.first, p.batches[n-1].next)
	}
	return p.first
}

// promised is the offset below which every record survives a crash now.
func (p *part) promised() protocol.Offset {
	switch {
	case p.deleting, p.resetting:
		return 0
	case p.cutting:
		return min(p.durable, p.cut)
	}
	return p.durable
}

// possible is the longest list that a crash may leave.
func (p *part) possible() []written {
	if p.cutting || p.resetting || p.deleting {
		return p.before
	}
	return p.batches
}

// sent is what producers go on from: the batches that are there, and those that compaction has removed.
func (p *part) sent() []written {
	if len(p.removed) == 0 {
		return p.batches
	}
	all := slices.Concat(p.removed, p.batches)
	slices.SortStableFunc(all, func(a, b written) int { return int(a.base - b.base) })
	return all
}

func (p *part) add(w ...written) { p.batches = append(slices.Clip(p.batches), w...) }

// boundary is where the batch that holds offset begins.
func (p *part) boundary(offset protocol.Offset) protocol.Offset {
	for _, b := range p.batches {
		if b.base <= offset && offset < b.next {
			return b.base
		}
	}
	return offset
}

// upTo is the batches that end at offset or before.
func upTo(all []written, offset protocol.Offset) []written {
	n, _ := slices.BinarySearchFunc(all, offset, func(w written, o protocol.Offset) int {
		if w.next <= o {
			return -1
		}
		return 1
	})
	return slices.Clip(all[:n])
}

// from is the batches that hold offset or what follows.
func from(all []written, offset protocol.Offset) []written { return all[len(upTo(all, offset)):] }

// clear ends what is under way.
func (p *part) clear() {
	p.cutting, p.resetting, p.deleting, p.before, p.starting = false, false, false, nil, protocol.NoOffset
}

// world is all that is expected.
type world struct {
	parts map[protocol.TopicPartition]*part
	// gone are the topic ids of deleted partitions, which must not be found again.
	gone   map[protocol.TopicPartition][]protocol.TopicID
	quorum quorum
}

func (w *world) clone() *world {
	c := &world{parts: make(map[protocol.TopicPartition]*part, len(w.parts)), gone: maps.Clone(w.gone), quorum: w.quorum}
	for tp, p := range w.parts {
		q := *p
		c.parts[tp] = &q
	}
	return c
}

// names are the partitions in order.
func (w *world) names() []protocol.TopicPartition {
	return slices.SortedFunc(maps.Keys(w.parts), func(a, b protocol.TopicPartition) int { return int(a.Partition - b.Partition) })
}

// nextSequence is what the producer sends after what the log holds of it.
func nextSequence(all []written, id protocol.ProducerID) (protocol.ProducerEpoch, protocol.Sequence) {
	for _, b := range slices.Backward(all) {
		if b.producer == id {
			return b.pepoch, b.last() + 1
		}
	}
	return 0, 0
}

// lastOf is the newest batch of a producer, and those of its epoch before it, newest first; as many as are remembered.
func lastOf(all []written, id protocol.ProducerID) (out []written) {
	for _, b := range slices.Backward(all) {
		if b.producer != id {
			continue
		}
		if len(out) > 0 && b.pepoch != out[0].pepoch || len(out) == 5 {
			break
		}
		out = append(out, b)
	}
	return out
}

func producersOf(all []written) []protocol.ProducerID {
	seen := map[protocol.ProducerID]bool{}
	for _, b := range all {
		if b.producer >= 0 {
			seen[b.producer] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
