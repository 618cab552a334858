package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// ErrMalformed: the bytes are not what their key and version say.
var ErrMalformed = errors.New("malformed call of a node")

// cursor reads a body. The first read that does not fit sets bad; every later one then gives zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int64) []byte {
	if n < 0 || n > int64(len(c.b)) {
		c.b, c.bad = nil, true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) uint8() uint8 {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if p := c.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if p := c.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if p := c.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// string reads a string of at most max bytes; it does not alias the body.
func (c *cursor) string(max int) string {
	n := int(c.uint16())
	if n > max {
		c.b, c.bad = nil, true
	}
	return string(c.take(int64(n)))
}

// bytes reads bytes behind their length in four bytes; they alias the body.
func (c *cursor) bytes() []byte { return c.take(int64(c.uint32())) }

// end is an error unless everything was read and was right.
func (c *cursor) end(what string) error {
	if c.bad || len(c.b) != 0 {
		return fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	return nil
}

func (c *cursor) node() protocol.Node {
	var n protocol.Node
	n.ID = protocol.BrokerID(c.uint32())
	copy(n.Directory[:], c.take(int64(len(n.Directory))))
	n.Roles = protocol.Roles(c.uint8())
	return n
}

// A node's size is the same for all.
const nodeSize = 4 + 16 + 1

func appendNode(b []byte, n protocol.Node) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n.ID))
	b = append(b, n.Directory[:]...)
	return append(b, byte(n.Roles))
}

// appendString writes at most max bytes of s.
func appendString(b []byte, s string, max int) []byte {
	s = s[:min(len(s), max)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// maxMessage is how much of an error's words travels, in bytes.
const maxMessage = 1 << 10

// An error is what every reply but that of KeyRaft begins with:
//
//	0  code   2  Kafka's error code; 0: none
//	2  words  string
func appendError(b []byte, err error) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(protocol.ErrorCode(err)))
	words := ""
	if m := protocol.ErrorMessage(err); m != nil {
		words = strings.ToValidUTF8((*m)[:min(len(*m), maxMessage)], "")
	}
	return appendString(b, words, maxMessage)
}

// err reads an error back; nil for code 0.
func (c *cursor) err() error {
	code, words := int16(c.uint16()), c.string(maxMessage)
	if c.bad || code == 0 {
		return nil
	}
	var kind *kerr.Error
	if !errors.As(kerr.ErrorForCode(code), &kind) {
		kind = kerr.UnknownServerError
	}
	return protocol.Errorf(kind, "%s", words)
}
