package batch

import (
	"encoding/binary"

	"ottla/protocol"
)

// Verdict is what compaction does with a record.
type Verdict int8

const (
	Drop Verdict = iota
	Keep
	Bury // keep it for now: a tombstone that may go when the batch's delete horizon is over
)

// FilterOptions says how a batch is filtered.
type FilterOptions struct {
	// Horizon becomes the delete horizon of a batch that keeps a Bury record and has none yet (KIP-534), in milliseconds.
	Horizon int64
	// KeepEmpty leaves the header of a batch of which no record stays: it holds an offset or a producer's last sequence.
	KeepEmpty       bool
	MaxDecompressed int
}

// Filtered counts what Filter did.
type Filtered struct {
	Kept, Dropped int32
	Changed       bool // the bytes are not those of the original
}

// Filter appends to dst the batch at the start of b without the records that judge drops, as Kafka's MemoryRecords.filterTo does. Base offset, last offset, leader epoch, producer
// fields and codec stay; every record keeps its offset and its time; count, max timestamp and CRC are new. A batch that loses nothing is appended byte for byte. Nothing is appended
// for a batch that keeps no record, unless KeepEmpty. The CRC of b is not checked.
//
// Errors: those of Reader; dst is then as it was.
func Filter(dst, b []byte, o FilterOptions, judge func(*Record) Verdict) ([]byte, Filtered, error) {
	var f filter
	defer f.r.Close()
	if err := f.judge(b, o, judge); err != nil {
		return dst, Filtered{}, err
	}
	h := f.r.h
	out := Filtered{Kept: f.kept, Dropped: h.Count - f.kept}
	buries := f.buries && !h.Attributes.DeleteHorizon()
	switch {
	case f.kept == 0 && !o.KeepEmpty:
		out.Changed = true
		return dst, out, nil
	case f.kept == 0 && h.Count > 0:
		out.Changed = true
		return appendEmpty(dst, h), out, nil
	case out.Dropped == 0 && !buries:
		return append(dst, b[:h.Size()]...), out, nil
	}
	out.Changed = true
	base := h.BaseTimestamp
	if buries {
		h.Attributes |= deleteHorizonBit
		h.BaseTimestamp = o.Horizon
	}
	if !h.Attributes.LogAppendTime() {
		h.MaxTimestamp = f.newest
	}
	h.Count = f.kept
	plain := f.records(base - h.BaseTimestamp)
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst = deflate(dst, plain, h.Attributes.Codec(), DefaultLevel)
	seal(dst[start:], &h)
	return dst, out, nil
}

// appendEmpty appends h as a batch without records. It keeps no codec and no times but the largest, as Kafka leaves it.
func appendEmpty(dst []byte, h Header) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	h.Attributes &^= codecBits | deleteHorizonBit
	h.Count, h.BaseTimestamp = 0, protocol.NoTimestamp
	seal(dst[start:], &h)
	return dst
}

// filter is the records of one batch, judged.
type filter struct {
	r      Reader
	all    []byte // the records' bytes, inflated
	spans  []span // of those that stay
	kept   int32
	buries bool
	newest int64
}

// span is the bytes of one record in filter.all.
type span struct{ from, to int }

func (f *filter) judge(b []byte, o FilterOptions, judge func(*Record) Verdict) error {
	if err := f.r.Reset(b, o.MaxDecompressed); err != nil {
		return err
	}
	f.all, f.newest = f.r.rest, protocol.NoTimestamp
	var rec Record
	for {
		from := len(f.all) - len(f.r.rest)
		ok, err := f.r.Next(&rec)
		if !ok || err != nil {
			return err
		}
		v := judge(&rec)
		if v == Drop {
			continue
		}
		f.buries = f.buries || v == Bury
		f.newest = max(f.newest, rec.Timestamp)
		f.spans = append(f.spans, span{from, len(f.all) - len(f.r.rest)})
		f.kept++
	}
}

// records are the bytes of the records that stay, with shift added to their timestamp deltas.
func (f *filter) records(shift int64) []byte {
	out := make([]byte, 0, len(f.all))
	for _, s := range f.spans {
		raw := f.all[s.from:s.to]
		if shift == 0 {
			out = append(out, raw...)
			continue
		}
		_, n := varint(raw) // the Reader has seen that all of it parses
		attributes, raw := raw[n], raw[n+1:]
		delta, n := varlong(raw)
		raw = raw[n:]
		delta += shift
		out = binary.AppendVarint(out, int64(1+varintSize(delta)+len(raw)))
		out = append(out, attributes)
		out = binary.AppendVarint(out, delta)
		out = append(out, raw...)
	}
	return out
}
