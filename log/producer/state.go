// Package producer is what a partition remembers of its idempotent producers (KIP-98): enough to tell a batch that continues from one that repeats and from one after a gap.
//
// It is pure: no I/O, no goroutines, no clock; times are given. The log package owns one State per partition under that partition's lock, asks Check before an append and calls
// Applied after it, on leaders and followers alike; replaying the log through Applied gives the same state. Nothing is durable here: the log writes AppendSnapshot's bytes
// beside a segment when it rolls, and after a crash loads the last one and replays what came later.
//
// A State is empty, and costs a nil map, until the first idempotent batch. Check and Applied allocate only for a producer's first two batches.
//
// Start reading at State.Check; snapshot.go draws the file.
package producer

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/protocol"
)

// Verdict is what to do with a batch.
type Verdict int8

const (
	// Append: the batch continues its producer's sequence, or has no producer.
	Append Verdict = iota
	// Duplicate: the batch is in the log already; answer with its first offset.
	Duplicate
)

// windowSize is how many batches of a producer are remembered: as many as a client may have in flight (Kafka's NUM_BATCHES_TO_RETAIN).
const windowSize = 5

// Entry is one batch that is in the log.
type Entry struct {
	LastOffset   protocol.Offset
	Timestamp    int64             // the batch's max timestamp, milliseconds
	LastSequence protocol.Sequence // NoSequence: written by a coordinator
	OffsetDelta  int32             // LastOffset minus FirstOffset
}

// FirstOffset is the offset of the batch's first record.
func (e Entry) FirstOffset() protocol.Offset { return e.LastOffset - protocol.Offset(e.OffsetDelta) }

// FirstSequence is the sequence of the batch's first record.
func (e Entry) FirstSequence() protocol.Sequence {
	if e.LastSequence < 0 {
		return protocol.NoSequence
	}
	return protocol.Sequence((int64(e.LastSequence) - int64(e.OffsetDelta)) & math.MaxInt32)
}

// State is the producers of one partition. The zero value is empty and ready. The caller's lock guards it.
type State struct {
	producers map[protocol.ProducerID]*producer
}

// producer is the state of one producer id.
type producer struct {
	window           []Entry // oldest first, all of one epoch; empty after an epoch that only markers have
	seenMs           int64   // when the last batch was applied
	txnFirst         protocol.Offset
	lastMarker       protocol.Offset // where the last transaction marker lies; NoOffset: none known
	coordinatorEpoch int32           // of the last marker; -1: none
	epoch            protocol.ProducerEpoch
}

// Len is the number of producer ids that are remembered.
func (s *State) Len() int { return len(s.producers) }

// Check decides about a batch that is to be appended by a leader; h's offsets are not looked at. It changes nothing. Sequences are checked if h has one:
// a client's idempotent batch always has (batch.Validate), a coordinator's never.
//
// Errors, as in Kafka 4 (ProducerAppendInfo, ProducerStateEntry): INVALID_PRODUCER_EPOCH for an epoch older than the last; OUT_OF_ORDER_SEQUENCE_NUMBER for a gap, and for a new
// epoch that does not begin at 0; INVALID_TXN_STATE for a plain batch inside the producer's open transaction. A producer that is not remembered may begin anywhere:
// its state may have expired with its records, so UNKNOWN_PRODUCER_ID is never the answer (since KIP-360).
func (s *State) Check(h *batch.Header) (v Verdict, duplicateOf Entry, err error) {
	if !h.HasProducer() {
		return Append, Entry{}, nil
	}
	p := s.producers[h.ProducerID]
	if p == nil {
		return Append, Entry{}, nil
	}
	if h.BaseSequence >= 0 {
		if e, ok := p.find(h); ok {
			return Duplicate, e, nil
		}
	}
	if h.ProducerEpoch < p.epoch {
		return Append, Entry{}, protocol.Errorf(kerr.InvalidProducerEpoch, "epoch %d of producer %d is older than the last seen epoch %d", h.ProducerEpoch, h.ProducerID, p.epoch)
	}
	if h.BaseSequence >= 0 {
		if err := p.checkSequence(h); err != nil {
			return Append, Entry{}, err
		}
	}
	if p.txnFirst >= 0 && !h.Attributes.Transactional() {
		return Append, Entry{}, protocol.Errorf(kerr.InvalidTxnState, "expected a transactional write from producer %d", h.ProducerID)
	}
	return Append, Entry{}, nil
}

// find looks for the very batch: same epoch, same first and last sequence.
func (p *producer) find(h *batch.Header) (Entry, bool) {
	if h.ProducerEpoch != p.epoch {
		return Entry{}, false
	}
	last := h.LastSequence()
	for _, e := range p.window {
		if e.LastSequence == last && e.FirstSequence() == h.BaseSequence {
			return e, true
		}
	}
	return Entry{}, false
}

func (p *producer) checkSequence(h *batch.Header) error {
	if p.epoch == protocol.NoProducerEpoch {
		return nil
	}
	want := protocol.Sequence(0)
	if h.ProducerEpoch == p.epoch {
		want = (p.lastSequence() + 1) & math.MaxInt32 // wraps
	}
	if h.BaseSequence != want {
		return protocol.Errorf(kerr.OutOfOrderSequenceNumber, "out of order sequence number for producer %d in epoch %d: %d (incoming seq. number), %d (expected, in epoch %d)",
			h.ProducerID, h.ProducerEpoch, h.BaseSequence, want, p.epoch)
	}
	return nil
}

func (p *producer) lastSequence() protocol.Sequence {
	if len(p.window) == 0 {
		return protocol.NoSequence
	}
	return p.window[len(p.window)-1].LastSequence
}

// Applied notes a batch that has been appended at h's offsets, by a leader after Check, by a follower, or by a replay: it is believed. Batches without a producer
// and control batches (see AppliedMarker) change nothing.
// nowMs, milliseconds, is what Expire counts from; a replay gives the time of the replay, because the records' own times are whatever clients wrote.
func (s *State) Applied(h *batch.Header, nowMs int64) {
	if !h.HasProducer() || h.Attributes.Control() {
		return
	}
	p := s.remember(h.ProducerID)
	p.enter(h.ProducerEpoch)
	p.push(Entry{LastOffset: h.LastOffset(), Timestamp: h.MaxTimestamp, LastSequence: h.LastSequence(), OffsetDelta: h.LastOffsetDelta})
	p.seenMs = nowMs
	if h.Attributes.Transactional() && p.txnFirst < 0 {
		p.txnFirst = h.BaseOffset
	}
}

// AppliedMarker notes a transaction marker that has been appended as the control batch h: it ends the producer's transaction.
func (s *State) AppliedMarker(h *batch.Header, m batch.Marker, nowMs int64) {
	if !h.HasProducer() {
		return
	}
	p := s.remember(h.ProducerID)
	p.enter(h.ProducerEpoch)
	p.coordinatorEpoch, p.txnFirst, p.lastMarker, p.seenMs = m.CoordinatorEpoch, protocol.NoOffset, h.LastOffset(), nowMs
}

func (s *State) remember(id protocol.ProducerID) *producer {
	p := s.producers[id]
	if p == nil {
		if s.producers == nil {
			s.producers = make(map[protocol.ProducerID]*producer)
		}
		p = &producer{txnFirst: protocol.NoOffset, lastMarker: protocol.NoOffset, coordinatorEpoch: -1, epoch: protocol.NoProducerEpoch}
		s.producers[id] = p
	}
	return p
}

// enter makes e the producer's epoch; sequences begin anew in each.
func (p *producer) enter(e protocol.ProducerEpoch) {
	if p.epoch != e {
		p.epoch, p.window = e, p.window[:0]
	}
}

// push adds e to the window. Most producer ids write one batch and never come back, so the window begins with room for one.
func (p *producer) push(e Entry) {
	switch {
	case len(p.window) == windowSize:
		copy(p.window, p.window[1:])
		p.window[windowSize-1] = e
		return
	case p.window == nil:
		p.window = make([]Entry, 0, 1)
	case len(p.window) == cap(p.window):
		p.window = append(make([]Entry, 0, windowSize), p.window...)
	}
	p.window = append(p.window, e)
}

// Truncate forgets what was appended at to and after, because the log has been cut there. A window is left with the batches before the cut; those that had left it
// do not come back (no client still waits for them: it had five later ones in flight).
// It is exact unless false is returned: then the cut has taken a producer's whole window, or a transaction marker, and what was true before is known only to
// the log. The caller then starts from an empty State, loads the last snapshot before the cut and replays, as at a start. A cut below the offset of the
// snapshot that was loaded is never exact: a snapshot does not say where markers lie.
func (s *State) Truncate(to protocol.Offset) (exact bool) {
	exact = true
	for id, p := range s.producers {
		kept := p.window
		for len(kept) > 0 && kept[len(kept)-1].LastOffset >= to {
			kept = kept[:len(kept)-1]
		}
		lost := len(kept) == 0 && len(p.window) > 0 || p.lastMarker >= to
		p.window = kept
		if p.txnFirst >= to {
			p.txnFirst = protocol.NoOffset
		}
		if lost {
			exact = false
			delete(s.producers, id)
		}
	}
	return exact
}

// Expire forgets the producers that have applied nothing for afterMs (producer.id.expiration.ms) and have no transaction open; it returns how many.
func (s *State) Expire(nowMs, afterMs int64) (expired int) {
	for id, p := range s.producers {
		if p.txnFirst < 0 && nowMs-p.seenMs >= afterMs {
			delete(s.producers, id)
			expired++
		}
	}
	return expired
}
