package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/protocol"
)

// indexVerifier compares a segment's two indexes with its batches, which it is shown in order.
type indexVerifier struct {
	p              *partitionVerifier
	base           protocol.Offset
	offsets, times indexWalk
}

// indexWalk is the entries of one index that no batch has borne out yet.
type indexWalk struct {
	name    string
	width   int
	rest    []byte
	problem string // the first
}

// maxIndexBytes bounds what is read of an index: more than segment.index.bytes allows by far.
const maxIndexBytes = 256 << 20

func newIndexVerifier(p *partitionVerifier, s *segment.Segment) *indexVerifier {
	v := &indexVerifier{p: p, base: s.Base()}
	v.offsets = v.read(segment.IndexSuffix, 8)
	v.times = v.read(segment.TimeIndexSuffix, 12)
	return v
}

// read is the whole file. One that is missing is empty: a small segment needs none.
func (v *indexVerifier) read(suffix string, width int) indexWalk {
	w := indexWalk{name: segment.Name(v.base, suffix), width: width}
	b, err := readFile(v.p.v.fs, path.Join(v.p.folder, w.name), maxIndexBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		w.problem = err.Error()
	case len(b)%width != 0:
		w.problem = fmt.Sprintf("%d bytes are no whole number of entries", len(b))
	default:
		w.rest = b
	}
	return w
}

func (w *indexWalk) fail(format string, args ...any) {
	w.problem, w.rest = fmt.Sprintf(format, args...), nil
}

// batch takes the entries that are about the batch at position.
func (v *indexVerifier) batch(position int64, h *batch.Header) {
	for w := &v.offsets; len(w.rest) > 0; w.rest = w.rest[w.width:] {
		at, last := int64(binary.BigEndian.Uint32(w.rest[4:])), v.base+protocol.Offset(binary.BigEndian.Uint32(w.rest))
		if at > position {
			break
		}
		if at < position || last != h.LastOffset() {
			w.fail("entry for offset %d at position %d: no batch that ends there begins there", last, at)
			break
		}
	}
	for w := &v.times; len(w.rest) > 0; w.rest = w.rest[w.width:] {
		at, last := int64(binary.BigEndian.Uint64(w.rest)), v.base+protocol.Offset(binary.BigEndian.Uint32(w.rest[8:]))
		if last > h.LastOffset() {
			break
		}
		if last < h.LastOffset() || at != h.MaxTimestamp {
			w.fail("entry for time %d: no batch with that largest time ends with offset %d", at, last)
			break
		}
	}
}

// stop is for damaged batches: what the entries say of them, and of what follows, cannot be compared.
func (v *indexVerifier) stop() { v.offsets.rest, v.times.rest = nil, nil }

// end reports. Entries that are left over point behind the last batch.
func (v *indexVerifier) end() {
	for _, w := range []*indexWalk{&v.offsets, &v.times} {
		if w.problem == "" && len(w.rest) > 0 {
			w.fail("%d entries point behind the last batch", len(w.rest)/w.width)
		}
		if w.problem != "" {
			v.p.found(Rebuilt, w.name, -1, protocol.NoOffset, "%s", w.problem)
		}
	}
}
