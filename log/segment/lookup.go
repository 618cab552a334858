package segment

import (
	"encoding/binary"
	"errors"
	"io/fs"

	"ottla/log/batch"
	"ottla/log/sabotage"
	"ottla/protocol"
)

func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// ready loads the indexes; those that are missing or cannot be right are built anew from the batches.
func (s *Segment) ready() error {
	if s.checked.Load() {
		return nil
	}
	err := s.offsets.load()
	if err == nil {
		err = s.times.load()
	}
	if err == nil {
		err = s.plausible()
	}
	if err == nil {
		s.checked.Store(true)
		return nil
	}
	if !notExist(err) && !errors.Is(err, errIndexDamaged) {
		return err
	}
	return s.rebuild()
}

// plausible checks that the last entries lie within the segment, and that there are as many as the batches demand.
func (s *Segment) plausible() error {
	var e entry
	indexed, err := s.offsets.last(&e)
	if err != nil {
		return err
	}
	at := int64(0)
	if indexed {
		if at = byPosition.key(e[:]); byOffset.key(e[:]) < 0 || at < 0 || at >= s.Size() {
			return errIndexDamaged
		}
	}
	timed, err := s.times.last(&e)
	if err != nil {
		return err
	}
	if timed && int32(binary.BigEndian.Uint32(e[8:])) < 0 {
		return errIndexDamaged
	}
	newest := protocol.NoTimestamp
	if timed {
		newest = byTimestamp.key(e[:])
	}
	return s.complete(at, newest)
}

// complete tells whether entries are missing: the last batch may not be newer than the newest entry, which Seal has written, and the batches behind the last offset entry may not
// be many. at is where that entry points.
func (s *Segment) complete(at, newest int64) error {
	if s.Size() == 0 {
		return nil
	}
	h, err := s.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	var c Cursor
	c.Start(h, at, s.Size())
	defer c.Close()
	for n := 0; ; n++ {
		ok, err := c.Next()
		if err != nil {
			return notDamage(err) // it tells nothing about the index
		}
		if !ok {
			break
		}
		if n > 1 && c.Position-at > maxUnindexed {
			return errIndexDamaged
		}
	}
	if c.Header.MaxTimestamp > newest {
		return errIndexDamaged
	}
	return nil
}

// maxUnindexed is more than index.interval.bytes usually is: with a longer distance between two entries the index is built anew, which does no harm.
const maxUnindexed = 64 << 10

// Boundary is where a batch begins: the offset of its first record, and the byte.
type Boundary struct {
	Offset   protocol.Offset
	Position int64
}

// Floor is the nearest batch that the index knows at or before the one that holds offset.
func (s *Segment) Floor(offset protocol.Offset) (Boundary, error) {
	return s.lookup(byOffset, int64(offset-s.base))
}

// FloorPosition is the last batch that the index knows and that begins at or before position.
func (s *Segment) FloorPosition(position int64) (Boundary, error) {
	return s.lookup(byPosition, position)
}

// lookup asks the offset index, and believes it only if the batch that it points to is the one it says. Otherwise the index is built anew, once.
func (s *Segment) lookup(f field, key int64) (Boundary, error) {
	if err := s.ready(); err != nil {
		return Boundary{}, err
	}
	first := Boundary{Offset: s.base}
	for retry := true; ; retry = false {
		var e entry
		ok, err := s.offsets.floor(f, key, &e)
		if err != nil || !ok {
			return first, err
		}
		at := Boundary{Position: byPosition.key(e[:])}
		ok, err = s.startsBatch(&at, s.base+protocol.Offset(byOffset.key(e[:])))
		if err != nil || ok {
			return at, err
		}
		if !retry || !s.settled.Load() {
			return first, nil
		}
		if err := s.rebuild(); err != nil {
			return Boundary{}, err
		}
	}
}

// startsBatch tells whether the batch that ends with offset last begins at at.Position, and fills in at.Offset if it does.
func (s *Segment) startsBatch(at *Boundary, last protocol.Offset) (bool, error) {
	if at.Position < 0 || at.Position+batch.HeaderSize > s.Size() {
		return false, nil
	}
	h, err := s.Acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	b := takeBuffer()
	defer b.free()
	if err := readFull(h, b[:batch.HeaderSize], at.Position); err != nil {
		return false, err
	}
	var head batch.Header
	if batch.ParseHeader(b[:batch.HeaderSize], &head) != nil || head.LastOffset() != last && !sabotage.On(sabotage.TrustIndex) {
		return false, nil
	}
	at.Offset = head.BaseOffset
	return true, nil
}

// Find is the position of the first batch whose last offset is at least offset, and whether there is one. limit is the bytes of the segment that are to be considered, and least a
// batch boundary that is not past that batch: what lies before is not looked at.
func (s *Segment) Find(h *Handle, offset protocol.Offset, least, limit int64) (position int64, found bool, err error) {
	from, err := s.Floor(offset)
	if err != nil {
		return 0, false, err
	}
	var c Cursor
	c.Start(h, max(least, from.Position), limit)
	defer c.Close()
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return limit, false, err
		}
		if c.Header.LastOffset() >= offset {
			return c.Position, true, nil
		}
	}
}

// NextOffset walks from the index's last entry to the end: one past the last record, the base offset if there is none.
func (s *Segment) NextOffset() (next protocol.Offset, err error) { return s.NextBefore(s.Size()) }

// NextBefore is one past the last record of the batches that lie before the byte at limit, the base offset if there are none.
func (s *Segment) NextBefore(limit int64) (next protocol.Offset, err error) {
	h, err := s.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	from, err := s.FloorPosition(limit - 1)
	if err != nil {
		return 0, err
	}
	var c Cursor
	c.Start(h, from.Position, limit)
	defer c.Close()
	next = s.base
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return next, err
		}
		next = c.Header.NextOffset()
	}
}
