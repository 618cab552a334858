package compact

import (
	"context"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/protocol"
)

// Pass copies the segments of one cleaning, in order from the log's first. What it has seen in one group counts for the next.
type Pass struct {
	Stats Stats

	m       *OffsetMap
	covered protocol.Offset
	scan    scanner
	out     []byte
	// pending says that records whose keys do not count lie behind: a tombstone may stand for one of them.
	pending bool
}

// Stats counts what a pass has done.
type Stats struct {
	BytesRead, BytesWritten int64
	Kept, Dropped           int64 // records
	Keyless                 int64 // of Dropped: a topic that is compacted takes none, but it may have been another kind before
}

// NewPass follows m, which covers the records below covered that no cleaning has seen before.
func NewPass(m *OffsetMap, covered protocol.Offset, o Options) *Pass {
	return &Pass{m: m, covered: covered, scan: scanner{o: o}}
}

// Clean copies what stays of a group of neighbouring segments, the last of which ends before end, into d. False means that nothing would change: all batches are in d byte for byte.
//
// Errors: those of Build; those of d, which d.Err then has too.
func (p *Pass) Clean(ctx context.Context, group []*segment.Segment, end protocol.Offset, d *segment.Draft) (changed bool, err error) {
	for i, s := range group {
		last := i == len(group)-1
		err := p.scan.batches(ctx, s, s.Base(), endOf(group, i, end), func(h *batch.Header, b []byte) (bool, error) {
			keepEmpty := last && p.scan.cursor.Position+int64(len(b)) == s.Size() || p.lastOfProducer(h)
			out, differs, err := p.filter(h, b, keepEmpty)
			if err != nil {
				return false, p.scan.damage(err)
			}
			changed = changed || differs
			p.Stats.BytesRead += int64(len(b))
			if len(out) == 0 {
				return true, nil
			}
			p.Stats.BytesWritten += int64(len(out))
			if err := p.scan.o.Pace.Take(ctx, len(out)); err != nil {
				return false, err
			}
			return true, d.Add(out)
		})
		if err != nil {
			return false, err
		}
	}
	return changed || len(group) > 1, d.Sync()
}

// lastOfProducer tells whether the batch holds the last sequence of a producer that the log knows.
func (p *Pass) lastOfProducer(h *batch.Header) bool {
	if !h.HasProducer() {
		return false
	}
	last, ok := p.scan.o.Producers[h.ProducerID]
	return ok && last == h.LastOffset()
}

// filter is what stays of one batch.
func (p *Pass) filter(h *batch.Header, b []byte, keepEmpty bool) (out []byte, changed bool, err error) {
	if untouchable(h) {
		p.keep(h, !h.Attributes.Control())
		return b, false, nil
	}
	if h.BaseOffset >= p.covered {
		p.keep(h, false)
		return b, false, nil
	}
	var did batch.Filtered
	expired := h.Attributes.DeleteHorizon() && h.BaseTimestamp <= p.scan.o.Now && !p.pending
	p.out, did, err = batch.Filter(p.out[:0], b, batch.FilterOptions{
		Horizon: p.scan.o.Now + p.scan.o.DeleteRetention, KeepEmpty: keepEmpty, MaxDecompressed: p.scan.o.inflatable(h),
	}, func(r *batch.Record) batch.Verdict { return p.judge(r, expired) })
	if tooLarge(err) {
		p.keep(h, true)
		return b, false, nil
	}
	p.Stats.Kept += int64(did.Kept)
	p.Stats.Dropped += int64(did.Dropped)
	return p.out, did.Changed, err
}

// keep counts a batch that stays as it is; valued says that it may hold a value of any key.
func (p *Pass) keep(h *batch.Header, valued bool) {
	p.pending = p.pending || valued
	p.Stats.Kept += int64(h.Count)
}

// judge decides about one record; expired says that its batch's delete horizon is over.
func (p *Pass) judge(r *batch.Record, expired bool) batch.Verdict {
	switch {
	case r.Offset >= p.covered:
		return batch.Keep
	case r.Key == nil:
		p.Stats.Keyless++
		return batch.Drop
	case p.m.Last(r.Key) > r.Offset:
		return batch.Drop
	case r.Value != nil:
		return batch.Keep
	case expired:
		return batch.Drop
	}
	return batch.Bury
}
