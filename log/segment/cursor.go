package segment

import (
	"errors"
	"fmt"
	"io"

	"ottla/log/batch"
	"ottla/protocol"
)

// DamageError says where the bytes of a segment stop being batches, and why.
type DamageError struct {
	Name     string
	Position int64
	Offset   protocol.Offset // that should come there; NoOffset if that is not known
	Err      error
}

func (e *DamageError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: position %d: %v", e.Name, e.Position, e.Err)
	}
	return fmt.Sprintf("%s: position %d, offset %d: %v", e.Name, e.Position, e.Offset, e.Err)
}

// Short tells whether the file merely ends too early: what a process leaves that died while it wrote.
func (e *DamageError) Short() bool { return errors.Is(e.Err, io.ErrUnexpectedEOF) }

func (e *DamageError) Unwrap() error { return e.Err }

// MaybeBefore tells whether it may be the batch before that is damaged.
func (e *DamageError) MaybeBefore() bool {
	var epoch *epochError
	return errors.As(e.Err, &epoch)
}

// Cursor walks the headers of the batches in a range of a file. It allocates nothing until it meets damage. Close it.
type Cursor struct {
	Header   batch.Header // of the batch that Next moved to
	Position int64        // where that batch begins

	h         *Handle
	next, end int64
	buf       *buffer
	from      int64 // position of buf[0]
	have      int   // bytes in buf
}

// Start walks from the batch that begins at from up to the byte at end. The cursor borrows h: it stays pinned by the caller.
func (c *Cursor) Start(h *Handle, from, end int64) {
	*c = Cursor{h: h, next: from, end: end, buf: takeBuffer()}
}

// Close gives the cursor's buffer back.
func (c *Cursor) Close() {
	if c.buf != nil {
		c.buf.free()
		c.buf = nil
	}
}

// Next moves to the following batch; false at the end. What is not a whole batch is a *DamageError; another error comes from the file.
func (c *Cursor) Next() (bool, error) {
	if c.next >= c.end {
		return false, nil
	}
	head, err := c.bytes()
	if err != nil {
		return false, err
	}
	if err := batch.ParseHeader(head, &c.Header); err != nil {
		return false, c.damage(err)
	}
	if int64(c.Header.Size()) > c.end-c.next {
		return false, c.damage(io.ErrUnexpectedEOF)
	}
	c.Position = c.next
	c.next += int64(c.Header.Size())
	return true, nil
}

// bytes is the header's bytes of the batch at next.
func (c *Cursor) bytes() ([]byte, error) {
	if c.end-c.next < batch.HeaderSize {
		return nil, c.damage(io.ErrUnexpectedEOF)
	}
	if at := c.next - c.from; c.have > 0 && at+batch.HeaderSize <= int64(c.have) {
		return c.buf[at:c.have], nil
	}
	c.from, c.have = c.next, 0
	n := int(min(bufferSize, c.end-c.next))
	if err := readFull(c.h, c.buf[:n], c.next); err != nil {
		if err == io.ErrUnexpectedEOF {
			err = c.damage(err)
		}
		return nil, err
	}
	c.have = n
	return c.buf[:n], nil
}

// Batch reads the whole batch that Next moved to, into b if it is large enough.
func (c *Cursor) Batch(b []byte) ([]byte, error) {
	n := c.Header.Size()
	if cap(b) < n {
		b = make([]byte, n) // no more than the file holds: Next has seen its end
	}
	b = b[:n]
	if err := readFull(c.h, b, c.Position); err != nil {
		return nil, err
	}
	return b, nil
}

func (c *Cursor) damage(err error) error {
	return &DamageError{Name: c.h.slot.name, Position: c.next, Offset: protocol.NoOffset, Err: err}
}
