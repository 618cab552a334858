package segment

import (
	"errors"
	"io"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// Extent is a part of a segment that is not what was written: the offsets From to before To, the bytes from Position to before End. It begins and ends where batches do.
type Extent struct {
	From, To      protocol.Offset
	Position, End int64
	Damage        *DamageError
}

// scrubChunk is how many bytes are read at once; a batch that is larger is read alone.
const scrubChunk = 1 << 20

// ScrubOptions is what Scrub goes by. All functions but Bad may be nil.
type ScrubOptions struct {
	End   int64                                       // the byte that ends the walk
	Next  protocol.Offset                             // the offset that begins there; 0 if that is not known
	Pace  func(bytes int) error                       // called before each read; an error ends the walk
	Bad   func(Extent)                                // what is damaged, in order
	Visit func(position int64, h *batch.Header) error // every sound batch; an error ends the walk
	Again func()                                      // the walk begins anew: what the others were told is void
}

// Scrub reads the batches and checks all that can be checked. Behind damage it goes on at the next batch that is sound: the following one if only the CRC is wrong, else the next one
// that the index knows. Gaps between offsets are taken for what compaction has left, which it may have done long ago; but where a batch goes back behind its predecessor, one before may
// have jumped ahead: then a second walk takes every gap for damage. The page cache holds the same as before.
func (s *Segment) Scrub(o ScrubOptions) error {
	h, err := s.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	w := scrubber{s: s, h: h, o: &o}
	disorder, err := w.walk()
	if err != nil || !disorder {
		return err
	}
	if o.Again != nil {
		o.Again()
	}
	w.contiguous = true
	_, err = w.walk()
	return err
}

// walk goes through the segment once and tells whether there was a batch out of order.
func (w *scrubber) walk() (disorder bool, err error) {
	w.at, w.buf, w.rec = 0, w.buf[:0], Recovery{Next: w.s.base, Epoch: protocol.NoLeaderEpoch}
	for w.at < w.o.End {
		from, offset := w.at, w.rec.Next
		err := w.next()
		var (
			damage *DamageError
			order  *orderError
		)
		if err == nil {
			continue
		}
		if !errors.As(err, &damage) {
			return false, err
		}
		if disorder = disorder || errors.As(err, &order); disorder && !w.contiguous {
			return true, nil
		}
		if w.at == from { // not even its length can be believed
			to, err := w.s.soundAfter(from, Boundary{Offset: w.o.Next, Position: w.o.End})
			if err != nil {
				return false, err
			}
			w.at, w.rec.Next, w.rec.Epoch = to.Position, to.Offset, protocol.NoLeaderEpoch
		}
		w.o.Bad(Extent{From: offset, To: w.rec.Next, Position: from, End: w.at, Damage: damage})
	}
	return disorder, nil
}

// scrubber is the state of one walk. at is the next batch.
type scrubber struct {
	s          *Segment
	h          *Handle
	o          *ScrubOptions
	contiguous bool // offsets have no gaps
	at         int64
	rec        Recovery
	buf        []byte
	from       int64 // position of buf[0]
}

// next checks the batch at at and moves behind it, also if its CRC alone is wrong.
func (w *scrubber) next() error {
	b, err := w.bytes(batch.HeaderSize)
	if err != nil {
		return err
	}
	var head batch.Header
	if err := batch.ParseHeader(b, &head); err != nil {
		return w.damage(err)
	}
	if err := w.s.inPlace(&head, &w.rec, w.contiguous); err != nil {
		return w.damage(err)
	}
	if w.o.Next > 0 && head.NextOffset() > w.o.Next {
		return w.damage(&orderError{head.BaseOffset, w.rec.Next})
	}
	if b, err = w.bytes(int64(head.Size())); err != nil {
		return err
	}
	if !batch.CheckCRC(b) {
		err = w.damage(errCRC)
		if !w.followed(&head) {
			return err
		}
	}
	if err == nil && w.o.Visit != nil {
		if err := w.o.Visit(w.at, &head); err != nil {
			return err
		}
	}
	w.at += int64(head.Size())
	w.rec.Next, w.rec.Epoch = head.NextOffset(), head.LeaderEpoch
	return err
}

// followed tells whether what comes behind a batch with a wrong CRC bears out its length and its offsets.
func (w *scrubber) followed(head *batch.Header) bool {
	at := w.at + int64(head.Size())
	if at == w.o.End {
		return true
	}
	b := make([]byte, batch.HeaderSize)
	var following batch.Header
	if at+batch.HeaderSize > w.o.End || readFull(w.h, b, at) != nil || batch.ParseHeader(b, &following) != nil {
		return false
	}
	rec := Recovery{Next: head.NextOffset(), Epoch: head.LeaderEpoch}
	return w.s.inPlace(&following, &rec, w.contiguous) == nil
}

func (w *scrubber) damage(err error) error {
	return &DamageError{Name: w.s.log.name, Position: w.at, Offset: w.rec.Next, Err: err}
}

// bytes is at least n bytes from at on.
func (w *scrubber) bytes(n int64) ([]byte, error) {
	if n > w.o.End-w.at {
		return nil, w.damage(io.ErrUnexpectedEOF)
	}
	if have := w.from + int64(len(w.buf)) - w.at; len(w.buf) > 0 && have >= n {
		return w.buf[w.at-w.from:], nil
	}
	size := int(min(max(n, scrubChunk), w.o.End-w.at))
	if w.o.Pace != nil {
		if err := w.o.Pace(size); err != nil {
			return nil, err
		}
	}
	if cap(w.buf) < size {
		w.buf = make([]byte, size)
	}
	w.buf, w.from = w.buf[:size], w.at
	got, err := vfs.ReadAside(w.h.file, w.buf, w.at)
	if got < size && (err == nil || err == io.EOF) {
		w.buf = w.buf[:got]
		if int64(got) >= n {
			return w.buf, nil
		}
		err = w.damage(io.ErrUnexpectedEOF)
	} else if got == size {
		err = nil
	}
	return w.buf, err
}

// soundAfter is the first batch behind position that the index knows and that is what the index says; end if there is none.
func (s *Segment) soundAfter(position int64, end Boundary) (Boundary, error) {
	if err := s.offsets.load(); err != nil {
		return end, notDamageOrMissing(err)
	}
	found := end
	err := s.offsets.each(func(e []byte) (bool, error) {
		if at := byPosition.key(e); at <= position || at >= end.Position {
			return true, nil
		}
		var copied entry
		copy(copied[:], e)
		b, ok, err := s.indexedBatch(&copied)
		if ok {
			found = b
		}
		return !ok, err
	})
	return found, err
}

func notDamageOrMissing(err error) error {
	if notExist(err) {
		return nil
	}
	return notDamage(err)
}

// Where every batch says that it is one.
const (
	magicAt = 16
	magic   = 2
)

// SoundBehind tells whether a sound batch stands anywhere in the file behind position: then a batch at position whose length goes past the file's end was not cut short, its
// length is wrong.
func (s *Segment) SoundBehind(position int64) (bool, error) {
	h, err := s.Acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	size, err := h.file.Size()
	if err != nil || size-position <= batch.HeaderSize {
		return false, err
	}
	b := make([]byte, size-position)
	if err := readFull(h, b, position); err != nil {
		return false, err
	}
	for rest := b[1:]; len(rest) >= batch.HeaderSize; rest = rest[1:] {
		var head batch.Header
		if rest[magicAt] == magic && batch.ParseHeader(rest, &head) == nil && batch.CheckCRC(rest) { // the first costs nothing
			return true, nil
		}
	}
	return false, nil
}
