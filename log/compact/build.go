package compact

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/protocol"
)

// Options is what both reads of a cleaning follow.
type Options struct {
	Now             int64 // milliseconds
	DeleteRetention int64 // delete.retention.ms
	MaxDecompressed int   // bytes that a batch may inflate to, whatever its size
	Pace            *Pace // bounds the I/O
	// Producers are the last data offsets of the producers whose last sequence the log has to remember.
	Producers map[protocol.ProducerID]protocol.Offset
}

var errCRC = errors.New("CRC is wrong")

// scanner walks over whole batches, checked.
type scanner struct {
	o      Options
	cursor segment.Cursor
	s      *segment.Segment
	buf    []byte
	reader batch.Reader
}

// batches calls visit for each batch of s, which ends before offset end, from the one that holds offset from on, until it returns false. b is valid until visit returns.
//
// Base offsets lie outside the CRC. With one that has jumped ahead a new segment would reach over those behind it, and a start that finds its swap file would remove them.
func (c *scanner) batches(ctx context.Context, s *segment.Segment, from, end protocol.Offset, visit func(h *batch.Header, b []byte) (bool, error)) error {
	file, err := s.Acquire()
	if err != nil {
		return err
	}
	defer file.Release()
	near := segment.Boundary{Offset: s.Base()}
	if from > s.Base() {
		if near, err = s.Floor(from); err != nil {
			return err
		}
	}
	c.s = s
	next := near.Offset
	c.cursor.Start(file, near.Position, s.Size())
	defer c.cursor.Close()
	for {
		ok, err := c.cursor.Next()
		if err != nil || !ok {
			return err
		}
		h := &c.cursor.Header
		if h.BaseOffset < next || h.NextOffset() > end {
			return c.damage(fmt.Errorf("offsets %d to %d, expected some from %d to before %d", h.BaseOffset, h.LastOffset(), next, end))
		}
		if next = h.NextOffset(); next <= from {
			continue
		}
		if err := c.read(ctx); err != nil {
			return err
		}
		if more, err := visit(h, c.buf); err != nil || !more {
			return err
		}
	}
}

// read has the batch's bytes in buf. What is copied gets a new CRC, so the old one is checked.
func (c *scanner) read(ctx context.Context) (err error) {
	if err := c.o.Pace.Take(ctx, c.cursor.Header.Size()); err != nil {
		return err
	}
	if c.buf, err = c.cursor.Batch(c.buf); err != nil {
		return err
	}
	if !batch.CheckCRC(c.buf) {
		return c.damage(errCRC)
	}
	return nil
}

func (c *scanner) damage(err error) error {
	return &segment.DamageError{Name: c.s.Name(), Position: c.cursor.Position, Err: err}
}

// endOf is the offset before which segs[i] ends, where the last of them ends before end.
func endOf(segs []*segment.Segment, i int, end protocol.Offset) protocol.Offset {
	if i+1 < len(segs) {
		return segs[i+1].Base()
	}
	return end
}

// Build puts the keys of the records of neighbouring segments, the last of which ends before end, from offset from on into m, until all are in or m is full, and returns the offset that follows the last record that is covered: all
// before it, from from on, are in m; and whether it was for m that this is not the end. Errors: *segment.DamageError for bytes that are no sound batch, segment.ErrGone if a segment is dropped meanwhile, those of the file and of ctx.
func Build(ctx context.Context, m *OffsetMap, segs []*segment.Segment, from, end protocol.Offset, o Options) (covered protocol.Offset, full bool, err error) {
	c := scanner{o: o}
	defer c.reader.Close()
	covered = from
	for i, s := range segs {
		err := c.batches(ctx, s, from, endOf(segs, i, end), func(h *batch.Header, b []byte) (bool, error) {
			full, err = c.put(m, h, b, from, &covered)
			return !full, err
		})
		if err != nil || full {
			return covered, full, err
		}
	}
	return covered, false, nil
}

// put notes the records of one batch.
func (c *scanner) put(m *OffsetMap, h *batch.Header, b []byte, from protocol.Offset, covered *protocol.Offset) (full bool, err error) {
	if !untouchable(h) {
		switch err := c.reader.Reset(b, c.o.inflatable(h)); {
		case tooLarge(err):
			*covered = h.NextOffset()
			return false, nil
		case err != nil:
			return false, c.damage(err)
		}
		var rec batch.Record
		for {
			ok, err := c.reader.Next(&rec)
			if err != nil {
				return false, c.damage(err)
			}
			if !ok {
				break
			}
			if rec.Offset < from || rec.Key == nil {
				continue
			}
			if !m.Put(rec.Key, rec.Offset) {
				return true, nil
			}
			*covered = rec.Offset + 1
		}
	}
	*covered = h.NextOffset()
	return false, nil
}

// largeBatch is the bytes that the records of any batch may inflate to, and inflation how many times its size those of a larger one may, for it to be compacted: they lie in memory as a whole.
const (
	largeBatch = 64 << 20
	inflation  = 4
)

// inflatable is how many bytes the records of a batch may inflate to. A batch with more stays as it is and its keys do not count, like one of a transaction.
func (o *Options) inflatable(h *batch.Header) int {
	return min(o.MaxDecompressed, max(largeBatch, inflation*h.Size()))
}

func tooLarge(err error) bool { return errors.Is(err, kerr.MessageTooLarge) }

// untouchable tells whether a batch is part of a transaction: it stays as it is and its keys do not count.
func untouchable(h *batch.Header) bool { return h.Attributes.Control() || h.Attributes.Transactional() }
