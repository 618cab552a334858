package segment

import (
	"encoding/binary"

	"ottla/log/batch"
	"ottla/log/sabotage"
	"ottla/protocol"
)

// Stamp is a record's place in time and in the log.
type Stamp struct {
	Timestamp int64
	Offset    protocol.Offset
	Epoch     protocol.LeaderEpoch
}

// MaxTimestamp is the largest timestamp of a batch (-1 if there is none) and the last offset of the first batch that has it.
func (s *Segment) MaxTimestamp() (int64, protocol.Offset, error) {
	if err := s.learn(); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.max, s.maxAt, nil
}

// FirstTimestamp is the max timestamp of the first batch, -1 if there is none: log.roll.ms counts from it.
func (s *Segment) FirstTimestamp() (int64, error) {
	if err := s.learn(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, nil
}

// Newest is the time that retention looks at: the largest timestamp, or when the file was last written if no record has one.
func (s *Segment) Newest() (int64, error) {
	max, _, err := s.MaxTimestamp()
	if err == nil && max < 0 {
		max = s.modified
	}
	return max, err
}

// learn reads what a segment that was found on disk does not know yet: first and last batch in time. The index's last entry has the latter, as
// Seal has left it, if the batches agree.
func (s *Segment) learn() error {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.ready(); err != nil {
		return err
	}
	max, maxAt, first := protocol.NoTimestamp, s.base, protocol.NoTimestamp
	var e entry
	ok, err := s.times.last(&e)
	if err != nil {
		return err
	}
	if ok {
		max, maxAt = byTimestamp.key(e[:]), s.timeOffset(&e)
		if good, err := s.bearsOut(max, maxAt); err != nil {
			return err
		} else if !good {
			return s.rebuild()
		}
	}
	if s.Size() > 0 {
		h, err := s.Acquire()
		if err != nil {
			return err
		}
		defer h.Release()
		var c Cursor
		c.Start(h, 0, s.Size())
		defer c.Close()
		if _, err := c.Next(); err != nil {
			return err
		}
		first = c.Header.MaxTimestamp
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		s.known, s.max, s.maxAt, s.first = true, max, maxAt, first
	}
	return nil
}

func (s *Segment) timeOffset(e *entry) protocol.Offset {
	return s.base + protocol.Offset(int32(binary.BigEndian.Uint32(e[8:])))
}

// FirstAtOrAfter finds the first record at or past offset from whose timestamp is at least ts, as Kafka's LogSegment.findOffsetByTimestamp does.
// maxDecompressed bounds what one batch may inflate to.
func (s *Segment) FirstAtOrAfter(ts int64, from protocol.Offset, maxDecompressed int) (found Stamp, ok bool, err error) {
	start, err := s.timeFloor(ts)
	if err != nil {
		return Stamp{}, false, err
	}
	near, err := s.Floor(max(start, from))
	if err != nil {
		return Stamp{}, false, err
	}
	return s.scan(near.Position, func(h *batch.Header) bool { return h.MaxTimestamp >= ts && h.LastOffset() >= from },
		func(r *batch.Record) bool { return r.Timestamp >= ts && r.Offset >= from }, maxDecompressed)
}

// Latest finds the first record that has the segment's largest timestamp; under LogAppendTime, where all records of a batch have it, that is the batch's last (KIP-734).
func (s *Segment) Latest(maxDecompressed int) (found Stamp, ok bool, err error) {
	ts, at, err := s.MaxTimestamp()
	if err != nil {
		return Stamp{}, false, err
	}
	near, err := s.Floor(at)
	if err != nil {
		return Stamp{}, false, err
	}
	var last protocol.Offset
	return s.scan(near.Position, func(h *batch.Header) bool {
		last = h.BaseOffset
		if h.Attributes.LogAppendTime() {
			last = h.LastOffset()
		}
		return h.MaxTimestamp == ts && h.LastOffset() >= at
	}, func(r *batch.Record) bool { return r.Timestamp == ts && r.Offset >= last }, maxDecompressed)
}

// scan walks the batches from position and looks into those that batchFits for the first record that recordFits.
func (s *Segment) scan(position int64, batchFits func(*batch.Header) bool, recordFits func(*batch.Record) bool, maxDecompressed int) (Stamp, bool, error) {
	h, err := s.Acquire()
	if err != nil {
		return Stamp{}, false, err
	}
	defer h.Release()
	var c Cursor
	c.Start(h, position, s.Size())
	defer c.Close()
	var buf []byte
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return Stamp{}, false, err
		}
		if !batchFits(&c.Header) {
			continue
		}
		if buf, err = c.Batch(buf); err != nil {
			return Stamp{}, false, err
		}
		if found, ok, err := batch.Find(buf, recordFits, maxDecompressed); err != nil || ok {
			return Stamp{Timestamp: found.Timestamp, Offset: found.Offset, Epoch: c.Header.LeaderEpoch}, ok, err
		}
	}
}

// timeFloor is an offset before which (its own batch apart) no record is as late as ts. An entry that its batch does not bear out condemns the index, which is built anew, once.
func (s *Segment) timeFloor(ts int64) (protocol.Offset, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	for retry := true; ; retry = false {
		var e entry
		ok, err := s.times.floor(byTimestamp, ts, &e)
		if err != nil || !ok {
			return s.base, err
		}
		at := s.timeOffset(&e)
		ok, err = s.bearsOut(byTimestamp.key(e[:]), at)
		if err != nil || ok {
			return at, err
		}
		if !retry || !s.settled.Load() {
			return s.base, nil
		}
		if err := s.rebuild(); err != nil {
			return 0, err
		}
	}
}

// bearsOut tells whether the batch that ends with offset last has max as its largest timestamp.
func (s *Segment) bearsOut(max int64, last protocol.Offset) (bool, error) {
	h, err := s.Acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	from, err := s.Floor(last)
	if err != nil {
		return false, err
	}
	var c Cursor
	c.Start(h, from.Position, s.Size())
	defer c.Close()
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return false, err
		}
		if c.Header.LastOffset() >= last {
			return c.Header.LastOffset() == last && c.Header.MaxTimestamp == max || sabotage.On(sabotage.TrustIndex), nil
		}
	}
}
