// Package timeline keeps state that is ahead of what is committed: maps and values that can be read as they were at an earlier mark, and go back to it.
//
// A coordinator applies records when they are appended, and answers readers from the state as of the high watermark; a failed append takes the state back to
// it. The current state costs what a Go map costs. Behind it, each mark that is still kept holds only what was overwritten since.
//
// Nothing here is safe for concurrent use. Values are replaced, never changed in place: a value that was read at a mark is the reader's to keep.
package timeline

import (
	"fmt"
	"slices"
)

// none is what Committed answers before the first mark.
const none = -1

// Timeline is the marks that maps and values share. Before the first mark nothing that is overwritten is kept: a log is loaded without history.
type Timeline struct {
	marks []mark // ascending
	spare []layered
}

// mark is an offset whose state can be had. touched are the maps and values that changed between it and the next one, each with a layer of its own for it.
type mark struct {
	offset  int64
	touched []layered
}

// layered is a map or a value as its timeline sees it.
type layered interface {
	forget() // drops the oldest layer
	revert() // brings back what the newest layer holds, and drops it
}

// New returns a timeline without marks.
func New() *Timeline { return &Timeline{} }

// Mark says that the state as it is now is that as of offset. Offsets ascend.
func (t *Timeline) Mark(offset int64) {
	if n := len(t.marks); n > 0 && t.marks[n-1].offset >= offset {
		panic(fmt.Sprintf("timeline: mark %d after %d", offset, t.marks[n-1].offset))
	}
	t.marks = append(t.marks, mark{offset: offset, touched: t.spare})
	t.spare = nil
}

// Forget says that nobody reads below offset any more: what only older marks needed is dropped. The state as of offset stays readable, so the last mark at or below
// it is kept.
func (t *Timeline) Forget(offset int64) {
	n := t.find(offset)
	if n <= 0 {
		return
	}
	for i := range t.marks[:n] {
		for _, s := range t.marks[i].touched {
			s.forget()
		}
		t.recycle(&t.marks[i])
	}
	t.marks = slices.Delete(t.marks, 0, n)
}

// Revert takes every map and value back to what it was at the mark offset, which must be kept. Later marks are gone.
func (t *Timeline) Revert(offset int64) {
	n := t.find(offset)
	if n < 0 || t.marks[n].offset != offset {
		panic(fmt.Sprintf("timeline: no mark %d to go back to", offset))
	}
	for i := len(t.marks) - 1; i >= n; i-- {
		for _, s := range t.marks[i].touched {
			s.revert()
		}
		t.recycle(&t.marks[i])
	}
	t.marks = slices.Delete(t.marks, n+1, len(t.marks))
}

// recycle empties m, whose layers are gone.
func (t *Timeline) recycle(m *mark) {
	clear(m.touched)
	t.spare, m.touched = m.touched[:0], nil
}

// Committed is the lowest mark that is kept, -1 before the first.
func (t *Timeline) Committed() int64 {
	if len(t.marks) == 0 {
		return none
	}
	return t.marks[0].offset
}

// find is the index of the last mark at or below offset, -1 if there is none.
func (t *Timeline) find(offset int64) int {
	n := len(t.marks) - 1
	for n >= 0 && t.marks[n].offset > offset {
		n--
	}
	return n
}

// at is the mark that a read as of offset means.
func (t *Timeline) at(offset int64) int64 {
	n := t.find(offset)
	if n < 0 {
		panic(fmt.Sprintf("timeline: nothing is kept as of %d: the lowest mark is %d", offset, t.Committed()))
	}
	return t.marks[n].offset
}

// newest is the mark that keeps what is overwritten now; nil before the first.
func (t *Timeline) newest() *mark {
	if len(t.marks) == 0 {
		return nil
	}
	return &t.marks[len(t.marks)-1]
}
