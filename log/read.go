package log

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/segment"
	"ottla/protocol"
)

// Read finds whole batches from the one that holds offset from, up to limit (a batch boundary, or the log's end), at most maxBytes of one segment; atLeastOne takes one batch
// even if it is larger. A range ends on a batch boundary, so a fetch inside a batch returns the batch from its start and the next fetch hits a boundary. out is pinned: the
// caller calls out.Source.Release once if Source is not nil. It is empty when there is nothing between from and limit. Nothing is allocated.
//
// Errors: OFFSET_OUT_OF_RANGE outside [log start, log end], KAFKA_STORAGE_ERROR.
func (l *Log) Read(from, limit protocol.Offset, maxBytes int, atLeastOne bool, out *Range) error {
	*out = Range{}
	if err := l.ensure(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := l.read(from, limit, maxBytes, atLeastOne, out)
		if err == nil {
			return nil
		}
		// The segment went away between the look at the list and the opening of the file: the new list knows better.
		if try < lookAgain && gone(err) {
			continue
		}
		return l.readFailed(err)
	}
}

// lookAgain bounds how often a reader follows a list of segments that changes under it.
const lookAgain = 5

// readFailed makes err one for clients. What cannot be read any more takes the log offline; too many open files, or an answer to the client, does not, nor does damage in one place.
func (l *Log) readFailed(err error) error {
	var (
		wire   *kerr.Error
		damage *segment.DamageError
	)
	switch {
	case errors.As(err, &damage): // first: why the bytes are no batch would be an answer to a producer
		if fatal := l.met(err); fatal != nil {
			l.fail(fatal)
		}
		return storageError(fmt.Errorf("%w: %s", ErrDamaged, damage))
	case errors.As(err, &wire):
		return err
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
	default:
		l.fail(err)
	}
	return storageError(err)
}

func gone(err error) bool { return errors.Is(err, segment.ErrGone) || errors.Is(err, fs.ErrNotExist) }

func (l *Log) read(from, limit protocol.Offset, maxBytes int, atLeastOne bool, out *Range) error {
	start, end := protocol.Offset(l.start.Load()), protocol.Offset(l.end.Load())
	if from < start || from > end {
		return outOfRange(from, start, end)
	}
	limit = min(limit, end)
	if bad := l.bad.Load(); bad != nil && len(*bad) > 0 {
		var err error
		if limit, err = bad.limit(from, limit); err != nil {
			return err
		}
	}
	if from >= limit || maxBytes <= 0 && !atLeastOne {
		return nil
	}
	segs := *l.segments.Load()
	if start := protocol.Offset(l.start.Load()); from < start {
		return outOfRange(from, start, end) // retention took its segment between the two looks
	}
	// Compaction may have left nothing at or past from in a segment: then the next one has it. Without it nothing but a lost file leaves such a gap, and nobody may be led over it.
	for i := max(0, segmentAt(segs, from)); i < len(segs) && segs[i].Base() < limit; i++ {
		last := i == len(segs)-1 || segs[i+1].Base() > limit
		found, err := l.readSegment(segs[i], from, limit, last, maxBytes, atLeastOne, out)
		if found || err != nil {
			return err
		}
		if !last && l.gapFree() {
			return &segment.DamageError{Name: segs[i].Name(), Position: segs[i].Size(), Err: fmt.Errorf("records from offset %d on are missing: the next segment begins at %d", from, segs[i+1].Base())}
		}
	}
	return nil
}

// gapFree tells whether the offsets of a loaded log follow each other without gaps: nothing was ever compacted.
func (l *Log) gapFree() bool {
	return !l.config.Load().Compact && l.cleaned.Load() == neverCleaned
}

// readSegment looks into one segment; partly says that limit lies in it. found is true as well when the batch there is too large for the caller.
func (l *Log) readSegment(s *segment.Segment, from, limit protocol.Offset, partly bool, maxBytes int, atLeastOne bool, out *Range) (found bool, err error) {
	h, err := s.Acquire()
	if err != nil {
		return false, err
	}
	position, size, err := l.span(s, h, from, limit, partly, maxBytes, atLeastOne)
	if err != nil || size == 0 {
		h.Release()
		return size == 0 && position >= 0 && err == nil, err
	}
	l.dir.metrics().read()
	*out = Range{Source: h, Position: position, Size: int(size)}
	return true, nil
}

// span is the range of bytes to return. A position of -1 means that the segment holds nothing at or past from.
func (l *Log) span(s *segment.Segment, h *segment.Handle, from, limit protocol.Offset, partly bool, maxBytes int, atLeastOne bool) (position, size int64, err error) {
	end := s.Size()
	if partly {
		if end, err = l.position(s, h, limit, end); err != nil {
			return 0, 0, err
		}
	}
	position, ok := l.recent.find(s, from)
	if !ok {
		if position, ok, err = s.Find(h, from, l.ranges().past(s, from), end); err != nil {
			return 0, 0, err
		}
		if !ok {
			return -1, 0, nil
		}
	}
	if position >= end {
		return -1, 0, nil
	}
	if end-position <= int64(maxBytes) {
		return position, end - position, nil
	}
	size, err = l.cut(s, h, position, end, int64(maxBytes), atLeastOne)
	return position, size, err
}

// position is where the batch boundary o lies in s, whose first size bytes are considered.
func (l *Log) position(s *segment.Segment, h *segment.Handle, o protocol.Offset, size int64) (int64, error) {
	if at, ok := l.recent.find(s, o); ok {
		return at, nil
	}
	if at, ok := l.ranges().position(s, o); ok {
		return at, nil
	}
	at, _, err := s.Find(h, o, l.ranges().past(s, o), size)
	if err == nil {
		l.recent.add(visited, s, o, at)
	}
	return at, err
}

// cut shortens [position, end) to at most maxBytes, on a batch boundary: one that the index knows if there is one in reach, else the last that a walk over the headers meets.
// The boundary is remembered, because the same reader comes back for it.
func (l *Log) cut(s *segment.Segment, h *segment.Handle, position, end, maxBytes int64, atLeastOne bool) (size int64, err error) {
	at, err := s.FloorPosition(position + maxBytes)
	if err != nil {
		return 0, err
	}
	if at.Position > position {
		l.recent.add(visited, s, at.Offset, at.Position)
		return at.Position - position, nil
	}
	var c segment.Cursor
	c.Start(h, position, end)
	defer c.Close()
	var next protocol.Offset
	for {
		ok, err := c.Next()
		if err != nil {
			return 0, err
		}
		n := c.Position - position + int64(c.Header.Size())
		if !ok || n > maxBytes && (size > 0 || !atLeastOne) {
			break
		}
		size, next = n, c.Header.NextOffset()
	}
	if size > 0 {
		l.recent.add(visited, s, next, position+size)
	}
	return size, nil
}

// headers calls visit for each batch from the one that holds offset from on, until it returns false or the log ends.
func (l *Log) headers(segs []*segment.Segment, from protocol.Offset, visit func(c *segment.Cursor) (bool, error)) error {
	for i := max(0, segmentAt(segs, from)); i < len(segs); i++ {
		if more, err := walkSegment(segs[i], from, l.ranges().past(segs[i], from), visit); err != nil || !more {
			return err
		}
	}
	return nil
}

// walkSegment begins at the batch boundary least, or later.
func walkSegment(s *segment.Segment, from protocol.Offset, least int64, visit func(c *segment.Cursor) (bool, error)) (more bool, err error) {
	h, err := s.Acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	near, err := s.Floor(from)
	if err != nil {
		return false, err
	}
	var c segment.Cursor
	c.Start(h, max(least, near.Position), s.Size())
	defer c.Close()
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return true, err
		}
		if c.Header.LastOffset() < from {
			continue
		}
		if more, err := visit(&c); err != nil || !more {
			return false, err
		}
	}
}
