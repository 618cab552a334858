package segment

import (
	"errors"
	"fmt"
	"math"
	"path"

	"ottla/log/batch"
	"ottla/log/sabotage"
	"ottla/protocol"
)

// Recovery is what Recover or Resume found.
type Recovery struct {
	Next   protocol.Offset      // one past the last good record
	Epoch  protocol.LeaderEpoch // of the last good batch
	Bytes  int64                // that were read and checked
	Damage *DamageError         // why the rest of the file, if any, is no continuation; nil if the file is good to its end
}

// Rules are what Recover demands of a batch beyond a good header and CRC, because base offset and leader epoch lie outside the CRC.
type Rules struct {
	Next       protocol.Offset      // no batch begins below
	Epoch      protocol.LeaderEpoch // no batch has an older one
	Contiguous bool                 // offsets have no gaps: nothing was ever compacted away
}

// Recover reads every batch of the file and builds both indexes anew. It stops at the first batch that is torn, damaged or out of place and makes the segment end there;
// the file is as it was until Cut. The segment counts as
// unsynced afterwards. visit sees every good batch and its bytes. An error is one of the file system's.
func (s *Segment) Recover(r Rules, interval int64, visit func(h *batch.Header, b []byte)) (Recovery, error) {
	h, err := s.writer()
	if err != nil {
		return Recovery{}, err
	}
	size, err := h.file.Size()
	if err != nil {
		return Recovery{}, err
	}
	s.forget()
	if sabotage.On(sabotage.TrustIndex) {
		interval, s.offsets.ready, s.times.ready = math.MaxInt64, false, false
		s.checked.Store(false)
	}
	return s.check(h, 0, size, r, interval, visit)
}

// check walks from the batch at from to size, adds what is good to the segment, which ends at from, and stops at what is not.
func (s *Segment) check(h *Handle, from, size int64, r Rules, interval int64, visit func(h *batch.Header, b []byte)) (Recovery, error) {
	rec := Recovery{Next: r.Next, Epoch: r.Epoch}
	var c Cursor
	c.Start(h, from, size)
	defer c.Close()
	var buf []byte
	for {
		ok, err := c.Next()
		if errors.As(err, &rec.Damage) {
			rec.Damage.Offset = rec.Next
			return rec, nil
		}
		if err != nil || !ok {
			return rec, err
		}
		if buf, err = c.Batch(buf); err != nil {
			return rec, err
		}
		rec.Bytes += int64(len(buf))
		err = s.inPlace(&c.Header, &rec, r.Contiguous)
		if err == nil && !batch.CheckCRC(buf) && !sabotage.On(sabotage.AcceptTorn) {
			err = errCRC
		}
		if err != nil {
			rec.Damage = &DamageError{Name: s.log.name, Position: c.Position, Offset: rec.Next, Err: err}
			return rec, nil
		}
		s.Added(&c.Header, interval)
		visit(&c.Header, buf)
		rec.Next, rec.Epoch = c.Header.NextOffset(), c.Header.LeaderEpoch
	}
}

var errCRC = errors.New("CRC is wrong")

// inPlace checks what the CRC does not cover.
func (s *Segment) inPlace(h *batch.Header, rec *Recovery, contiguous bool) error {
	switch {
	case h.BaseOffset < rec.Next || contiguous && h.BaseOffset > rec.Next:
		return &orderError{h.BaseOffset, rec.Next}
	case !s.Fits(int64(h.Size()), h.LastOffset()):
		return fmt.Errorf("last offset %d is out of reach of base offset %d", h.LastOffset(), s.base)
	case h.LeaderEpoch < rec.Epoch:
		return &epochError{h.LeaderEpoch, rec.Epoch}
	}
	return nil
}

// orderError says that a batch does not follow the one before. Which of the two is wrong cannot be told, where gaps are allowed: neither offset is covered by a CRC.
type orderError struct{ base, expected protocol.Offset }

func (e *orderError) Error() string {
	return fmt.Sprintf("base offset is %d, expected %d", e.base, e.expected)
}

// epochError says that leader epochs fall. Which of the two is wrong cannot be told: neither is covered by a CRC.
type epochError struct{ epoch, before protocol.LeaderEpoch }

func (e *epochError) Error() string {
	return fmt.Sprintf("leader epoch %d follows %d", e.epoch, e.before)
}

// forget makes the segment an empty one whose indexes are in memory; the files are as they were.
func (s *Segment) forget() {
	s.mu.Lock()
	s.known, s.max, s.maxAt, s.first = true, protocol.NoTimestamp, s.base, protocol.NoTimestamp
	s.mu.Unlock()
	s.offsets.reset()
	s.times.reset()
	s.checked.Store(true)
	s.settled.Store(false)
	s.indexed, s.noted = 0, protocol.NoTimestamp
	s.size.Store(0)
}

// reset empties the index; the next spill empties the file.
func (x *index) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ready, x.filed, x.tail = true, 0, nil
}

// Cut makes the file end where the segment does, after Recover has found damage. It is durable when it returns: otherwise a second crash could bring the old tail back behind
// what was appended since.
func (s *Segment) Cut() error {
	h, err := s.writer()
	if err != nil {
		return err
	}
	if err := h.file.Truncate(s.size.Load()); err != nil {
		return err
	}
	return h.file.Sync()
}

// rebuild makes the entries of both indexes from the batches' headers, in memory, and replaces what the segment had. Readers may do so for a segment that is no longer
// written to; the files follow when the log closes.
func (s *Segment) rebuild() error {
	h, err := s.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	fresh := newSegment(s.log.files, s.dir, s.base)
	fresh.offsets.held, fresh.times.held = true, true
	if err := fresh.walk(h, s.Size(), defaultInterval); err != nil {
		return err
	}
	if err := fresh.Seal(0); err != nil {
		return err
	}
	s.offsets.adopt(&fresh.offsets)
	s.times.adopt(&fresh.times)
	s.checked.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.max, s.maxAt, s.first = true, fresh.max, fresh.maxAt, fresh.first
	return nil
}

// defaultInterval is Kafka's default of index.interval.bytes.
const defaultInterval = 4096

// walk adds the batches of the first size bytes of h to the empty s.
func (s *Segment) walk(h *Handle, size, interval int64) error {
	s.forget()
	var c Cursor
	c.Start(h, 0, size)
	defer c.Close()
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return err
		}
		s.Added(&c.Header, interval)
	}
}

// adopt takes another index's entries, all in memory. The file is replaced by the next spill.
func (x *index) adopt(y *index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ready, x.filed, x.tail = true, 0, y.tail
}

// Prefix copies the first size bytes into a file of its own and puts that in the place of the segment's. The result is durable (content, and name once the folder is synced)
// and ready for Write. Readers find the old bytes through s until it is closed, which the caller does when it has published the new one.
func (s *Segment) Prefix(size, interval, nowMs int64) (*Segment, error) {
	from, err := s.Acquire()
	if err != nil {
		return nil, err
	}
	defer from.Release()
	swap := newSegment(s.log.files, s.dir, s.base)
	swap.log.name += cleanedSuffix // not .swap: a start would finish that
	to, err := swap.log.create()
	if err != nil {
		return nil, err
	}
	defer to.Release()
	if err := copyFile(to, from, size); err != nil {
		return nil, err
	}
	swap.log.retire()

	if err := s.seclude(); err != nil {
		return nil, err
	}
	next := newSegment(s.log.files, s.dir, s.base)
	next.modified = nowMs
	if err := next.log.files.fs.Rename(swap.log.name, next.log.name); err != nil {
		return nil, err
	}
	return next, next.walk(to, size, interval)
}

// copyFile copies the first size bytes and syncs them.
func copyFile(to, from *Handle, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; {
		n := min(int64(len(buf)), size-at)
		if err := readFull(from, buf[:n], at); err != nil {
			return err
		}
		if _, err := to.file.WriteAt(buf[:n], at); err != nil {
			return err
		}
		at += n
	}
	return to.file.Sync()
}

// Leftover tells whether a file of a partition's folder is what an interrupted operation has left, and may be removed when the log is loaded.
func Leftover(name string) bool {
	switch path.Ext(name) {
	case DeletedSuffix, swapSuffix, cleanedSuffix:
		return true
	}
	return false
}
