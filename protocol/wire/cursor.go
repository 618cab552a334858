package wire

import "encoding/binary"

// cursor reads the protocol's primitive types off a frame. The first read that does not fit, or that breaks a bound, sets bad and empties the cursor;
// every later read then gives zero. So a caller checks bad where it matters: before a count is used, and at the end.
type cursor struct {
	b   []byte // what is left
	bad bool
}

func (c *cursor) fail() {
	c.bad = true
	c.b = nil
}

// take returns the next n bytes, with their capacity cut so that appending to them cannot run into the rest of the frame.
func (c *cursor) take(n int64) []byte {
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) int8() int8 {
	if p := c.take(1); p != nil {
		return int8(p[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if p := c.take(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if p := c.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if p := c.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

func (c *cursor) uuid() (id [16]byte) {
	copy(id[:], c.take(16))
	return id
}

// uvarint reads an unsigned varint of at most 32 bits in at most five bytes. Like Kafka it accepts forms longer than needed.
func (c *cursor) uvarint() uint32 {
	var v uint64
	for i := 0; i < 5 && i < len(c.b); i++ {
		v |= uint64(c.b[i]&0x7f) << (7 * i)
		if c.b[i] < 0x80 {
			c.b = c.b[i+1:]
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	c.fail()
	return 0
}

// length reads a length or count before its elements: an int16 or int32 (as wide says), or a uvarint that is one more than the length. -1 is null; nothing lower is accepted.
func (c *cursor) length(flexible bool, wide bool) int64 {
	var n int64
	switch {
	case flexible:
		n = int64(c.uvarint()) - 1
	case wide:
		n = int64(c.int32())
	default:
		n = int64(c.int16())
	}
	if n < -1 {
		c.fail()
	}
	if c.bad {
		return 0
	}
	return n
}

// count reads the count of an array that may not be null. No element is smaller than a byte, so a count beyond what is left is refused.
func (c *cursor) count(flexible bool) int {
	n := c.length(flexible, true)
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return 0
	}
	return int(n)
}

// string reads a string that may not be null.
func (c *cursor) string(flexible bool) []byte { return c.take(c.length(flexible, false)) }

// nullableString gives nil for null, and never nil for an empty string.
func (c *cursor) nullableString(flexible bool) []byte {
	n := c.length(flexible, false)
	if n < 0 {
		return nil
	}
	return c.take(n)
}

// nullableBytes gives nil for null, and never nil for empty bytes.
func (c *cursor) nullableBytes(flexible bool) []byte {
	n := c.length(flexible, true)
	if n < 0 {
		return nil
	}
	return c.take(n)
}

// tags is one section of tagged fields being read, within its bounds.
//
//	count uvarint · { tag uvarint · size uvarint · size bytes } ...
type tags struct {
	left  int
	bytes int64 // still allowed in this section
}

func (c *cursor) tags() tags {
	n := c.uvarint()
	if n > MaxTags {
		c.fail()
		n = 0
	}
	return tags{left: int(n), bytes: MaxTagBytes}
}

// next gives the next tagged field as a cursor of its own, false at the end or when c has gone bad.
func (t *tags) next(c *cursor) (tag uint32, field cursor, ok bool) {
	if t.left == 0 || c.bad {
		return 0, cursor{}, false
	}
	t.left--
	tag = c.uvarint()
	size := int64(c.uvarint())
	if t.bytes -= size; t.bytes < 0 {
		c.fail()
	}
	field.b = c.take(size)
	return tag, field, !c.bad
}

// close tells c that a tagged field was read: it must have been valid and of exactly its size.
func (c *cursor) close(field *cursor) {
	if field.bad || len(field.b) != 0 {
		c.fail()
	}
}

// skipTags steps over a section of tagged fields.
func (c *cursor) skipTags() {
	t := c.tags()
	for ok := true; ok; {
		_, _, ok = t.next(c)
	}
}
