package segment

import (
	"encoding/binary"
	"errors"
	"slices"

	"ottla/log/batch"
	"ottla/protocol"
)

// Anchor is a batch boundary that both indexes of a segment agree on and from which the segment can be recovered, with what the indexes say of the bytes before.
type Anchor struct {
	Boundary
	indexed int64 // position of the newest index entry
	max     int64 // the newest entry of the time index, -1 if there is none
	maxAt   protocol.Offset
	first   int64
}

// Anchor looks for the last boundary at or before the batch that holds point from which Resume may start, when the files are as a killed process has left them. The
// indexes are read as a whole: sizes and order must fit, and the entries that are relied on must be borne out by their batches. false: the segment has to be recovered from its beginning.
func (s *Segment) Anchor(point protocol.Offset) (a Anchor, ok bool, err error) {
	s.settled.Store(false) // nobody builds the indexes anew meanwhile
	if ok, err := s.ascending(); err != nil || !ok {
		return a, false, err
	}
	s.checked.Store(true)
	var last entry
	if ok, err := s.offsets.last(&last); err != nil || !ok {
		return a, false, err
	}
	newest, ok, err := s.indexedBatch(&last)
	if err != nil || !ok {
		return a, false, err
	}
	a.Boundary, a.indexed = newest, newest.Position
	if err := a.lower(s, point); err != nil {
		return a, false, err
	}
	ok, err = s.anchorTime(&a)
	return a, ok, err
}

// anchorTime has the time index's newest entry bear on the anchor: the walk must pass the batch that it names.
func (s *Segment) anchorTime(a *Anchor) (ok bool, err error) {
	a.max, a.maxAt = protocol.NoTimestamp, s.base
	var last entry
	ok, err = s.times.last(&last)
	if err != nil {
		return false, err
	}
	if !ok {
		a.Boundary = Boundary{Offset: s.base}
	} else {
		a.max, a.maxAt = byTimestamp.key(last[:]), s.timeOffset(&last)
		if ok, err := s.bearsOut(a.max, a.maxAt); err != nil || !ok {
			return false, notDamage(err)
		}
		if err := a.lower(s, a.maxAt); err != nil {
			return false, err
		}
	}
	a.first, err = s.firstMax()
	return err == nil, notDamage(err)
}

// lower moves the anchor down to the floor of offset, or to the segment's beginning if the index does not know better.
func (a *Anchor) lower(s *Segment, offset protocol.Offset) error {
	var e entry
	ok, err := s.offsets.floor(byOffset, int64(offset-s.base), &e)
	if err != nil {
		return err
	}
	at := Boundary{Offset: s.base}
	if ok {
		if found, ok, err := s.indexedBatch(&e); err != nil {
			return err
		} else if ok {
			at = found
		}
	}
	if at.Position < a.Position {
		a.Boundary = at
	}
	return nil
}

// notDamage drops what is no error of the file system's.
func notDamage(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) || errors.Is(err, errIndexDamaged) {
		return nil
	}
	return err
}

// indexedBatch is the batch that an entry of the offset index names, if it is there and its CRC is right.
func (s *Segment) indexedBatch(e *entry) (Boundary, bool, error) {
	at := Boundary{Position: byPosition.key(e[:])}
	ok, err := s.startsBatch(&at, s.base+protocol.Offset(byOffset.key(e[:])))
	if err != nil || !ok {
		return at, false, err
	}
	h, err := s.Acquire()
	if err != nil {
		return at, false, err
	}
	defer h.Release()
	var c Cursor
	c.Start(h, at.Position, s.Size())
	defer c.Close()
	if ok, err := c.Next(); err != nil || !ok {
		return at, false, notDamage(err)
	}
	b, err := c.Batch(nil)
	return at, err == nil && batch.CheckCRC(b), err
}

// firstMax is the max timestamp of the first batch.
func (s *Segment) firstMax() (int64, error) {
	h, err := s.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	var c Cursor
	c.Start(h, 0, s.Size())
	defer c.Close()
	_, err = c.Next()
	return c.Header.MaxTimestamp, err
}

// ascending reads both index files and tells whether they are there, whole, in order and within the segment.
func (s *Segment) ascending() (bool, error) {
	position := s.Size()
	ok, err := s.offsets.inOrder(func(before, e []byte) bool {
		return byOffset.key(e) >= 0 && byPosition.key(e) >= 0 && byPosition.key(e) < position &&
			(before == nil || byOffset.key(e) > byOffset.key(before) && byPosition.key(e) > byPosition.key(before))
	})
	if err != nil || !ok {
		return false, err
	}
	offset := func(e []byte) int32 { return int32(binary.BigEndian.Uint32(e[8:])) }
	return s.times.inOrder(func(before, e []byte) bool {
		return offset(e) >= 0 && byTimestamp.key(e) >= 0 && (before == nil || byTimestamp.key(e) > byTimestamp.key(before) && offset(e) > offset(before))
	})
}

// inOrder reads the entries and tells whether each fits the one before. A file that is missing or ends within an entry is not in order.
func (x *index) inOrder(fits func(before, e []byte) bool) (bool, error) {
	if err := x.load(); err != nil {
		if notExist(err) || errors.Is(err, errIndexDamaged) {
			return false, nil
		}
		return false, err
	}
	var kept entry
	var before []byte
	ok := true
	err := x.each(func(e []byte) (bool, error) {
		ok = fits(before, e)
		before = kept[:copy(kept[:], e)]
		return ok, nil
	})
	return ok, err
}

// each visits the entries, oldest first, until visit returns false. The index is loaded.
func (x *index) each(visit func(e []byte) (more bool, err error)) error {
	x.mu.Lock()
	filed, tail := x.filed, slices.Clone(x.tail)
	x.mu.Unlock()
	b := takeBuffer()
	defer b.free()
	perBlock := bufferSize / x.width
	for done := 0; done < filed; {
		n := min(perBlock, filed-done)
		if err := x.readEntries(b[:n*x.width], done); err != nil {
			return err
		}
		if more, err := eachIn(b[:n*x.width], x.width, visit); err != nil || !more {
			return err
		}
		done += n
	}
	_, err := eachIn(tail, x.width, visit)
	return err
}

// readEntries fills b with entries from the file, from the given one on.
func (x *index) readEntries(b []byte, from int) error {
	h, err := x.acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	return readFull(h, b, int64(from)*int64(x.width))
}

func eachIn(entries []byte, width int, visit func(e []byte) (bool, error)) (bool, error) {
	for ; len(entries) > 0; entries = entries[width:] {
		if more, err := visit(entries[:width]); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// Resume is Recover for a segment whose bytes are as a killed process has left them: it checks the batches from a on, and believes the indexes for what lies before. r.Next and
// r.Epoch are what is expected at a. false: the indexes know of batches behind the damage, and are not to be believed; the segment has to be recovered from its beginning.
func (s *Segment) Resume(a Anchor, r Rules, interval int64, visit func(h *batch.Header, b []byte)) (rec Recovery, ok bool, err error) {
	h, err := s.writer()
	if err != nil {
		return rec, false, err
	}
	size, err := h.file.Size()
	if err != nil {
		return rec, false, err
	}
	s.mu.Lock()
	s.known, s.max, s.maxAt, s.first = true, a.max, a.maxAt, a.first
	s.mu.Unlock()
	s.indexed, s.noted = a.indexed, a.max
	s.size.Store(a.Position)
	rec, err = s.check(h, a.Position, size, r, interval, visit)
	return rec, err == nil && (rec.Damage == nil || rec.Damage.Position > a.indexed), err
}
