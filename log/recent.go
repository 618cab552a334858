package log

import (
	"sync"

	"ottla/log/segment"
	"ottla/protocol"
)

// recent remembers where some offsets lie, so that readers at the tail and readers that go on where they ended need no index search. Two small tables, direct-mapped by
// a hash: one is filled by appends, the other by reads, so that a burst of one does not wipe out the other. An entry names its segment object, not only its base offset:
// truncation makes a new object, and what a slow reader still puts in for the old one is never found.
type recent struct {
	mu    sync.Mutex // never held across I/O
	slots *[2 * recentSize]place
}

const recentSize = 64 // of each table; a power of two

// place is a boundary: the batch that begins (or will begin) with offset begins at position.
type place struct {
	segment  *segment.Segment
	offset   protocol.Offset
	position int64
}

type table int

const (
	appended table = 0
	visited  table = recentSize
)

// slot spreads offsets that differ by a constant, as those of equal batches do.
func (t table) slot(o protocol.Offset) int {
	return int(t) + int(uint64(o)*0x9e3779b97f4a7c15>>(64-6))
}

func (r *recent) add(t table, s *segment.Segment, o protocol.Offset, position int64) {
	r.mu.Lock()
	if r.slots == nil {
		r.slots = new([2 * recentSize]place)
	}
	r.slots[t.slot(o)] = place{s, o, position}
	r.mu.Unlock()
}

// find is the position of offset o in s.
func (r *recent) find(s *segment.Segment, o protocol.Offset) (int64, bool) {
	if o == s.Base() {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots == nil {
		return 0, false
	}
	for _, t := range [...]table{appended, visited} {
		if p := &r.slots[t.slot(o)]; p.segment == s && p.offset == o {
			return p.position, true
		}
	}
	return 0, false
}

// drop frees the tables: the segments they name are going, or nobody has read for long.
func (r *recent) drop() {
	r.mu.Lock()
	r.slots = nil
	r.mu.Unlock()
}
