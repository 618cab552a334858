package log_test

import (
	"bytes"
	"fmt"
	"slices"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// present is the batches of all that a log has, as it has them, and those that compaction has removed whole. All of them, but for compacted topics: records for which later ones stand may be gone, and in their tail a gap is
// nothing unusual, so that recovery does not notice when a power cut has taken a whole segment that was never synced, and keeps those behind it.
func (h *history) present(p *part, l *log.Log, all []written, start, end protocol.Offset) (out, removed []written, err error) {
	if !p.config.Compact || start == end {
		return all, nil, nil
	}
	got, err := readBytes(l, start, end, 1<<20)
	if err != nil {
		return nil, nil, err
	}
	there := map[protocol.Offset][]byte{}
	for len(got) > 0 {
		var head batch.Header
		if err := batch.ParseHeader(got, &head); err != nil {
			return nil, nil, err
		}
		there[head.BaseOffset], got = got[:head.Size():head.Size()], got[head.Size():]
	}
	newest := map[string]protocol.Offset{} // record of each key that was appended
	found := map[string]protocol.Offset{}  // and that is there
	for _, w := range all {
		b := there[w.base]
		if b == nil && w.next > start && w.next > p.cleaned && w.next <= p.promised() {
			return nil, nil, fmt.Errorf("records %d to %d are missing: up to %d was durable", w.base, w.next, p.promised())
		}
		if b != nil && !bytes.Equal(b, w.bytes) {
			if w.base >= p.cleaned {
				return nil, nil, fmt.Errorf("batch at %d has changed: only what lies below %d may be cleaned", w.base, p.cleaned)
			}
			h.filtered++
			if w, err = filtered(w, b); err != nil {
				return nil, nil, fmt.Errorf("batch at %d: %w", w.base, err)
			}
		}
		for i, key := range w.keys {
			if o := w.base + protocol.Offset(i); o >= start && o < p.promised() {
				newest[key] = o
			}
			if b != nil && w.times[i] != noTime {
				found[key] = w.base + protocol.Offset(i)
			}
		}
		if b != nil || w.next <= start {
			out = append(out, w)
		} else if w.next <= p.promised() {
			removed = append(removed, w)
		}
	}
	for key, o := range newest {
		if last, ok := found[key]; !ok || last < o {
			return nil, nil, fmt.Errorf("record %d, the newest of %s below %d, is missing: %d is there (%v)", o, key, p.promised(), last, ok)
		}
	}
	return out, removed, nil
}

// filtered is w as compaction has left it in b: some records are gone, nothing else is another.
func filtered(w written, b []byte) (written, error) {
	was, err := batch.NewReader(w.bytes, 1<<20)
	if err != nil {
		return w, err
	}
	defer was.Close()
	is, err := batch.NewReader(b, 1<<20)
	if err != nil {
		return w, err
	}
	defer is.Close()
	a, c := was.Header(), is.Header()
	if !batch.CheckCRC(b) || a.LastOffset() != c.LastOffset() || a.LeaderEpoch != c.LeaderEpoch || a.ProducerID != c.ProducerID || a.ProducerEpoch != c.ProducerEpoch || a.BaseSequence != c.BaseSequence {
		return w, fmt.Errorf("%+v became %+v", a, c)
	}
	out := w
	out.bytes, out.sent, out.times = b, w.original(), slices.Clone(w.times)
	var old, left batch.Record
	more, err := is.Next(&left)
	for err == nil {
		var ok bool
		if ok, err = was.Next(&old); err != nil || !ok {
			break
		}
		if more && left.Offset == old.Offset {
			if !bytes.Equal(left.Key, old.Key) || !bytes.Equal(left.Value, old.Value) || left.Timestamp != old.Timestamp {
				return w, fmt.Errorf("record %d is another", old.Offset)
			}
			more, err = is.Next(&left)
			continue
		}
		out.times[old.Offset-w.base] = noTime
	}
	if err == nil && more {
		err = fmt.Errorf("record %d was never appended", left.Offset)
	}
	return out, err
}
