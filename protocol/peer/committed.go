package peer

import (
	"encoding/binary"

	"ottla/protocol"
)

// Committed is the reply to KeyCommitted, version 0, whose call has no body:
//
//	0  error   2, string
//	   offset  8  of the metadata: whoever has all before it has all that was committed when the call came
type Committed struct {
	Err    error
	Offset protocol.Offset
}

// Append appends the body of the reply.
func (c *Committed) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(appendError(b, c.Err), uint64(c.Offset))
}

// ParseCommitted reads the body of a reply. ErrMalformed.
func ParseCommitted(body []byte) (r Committed, err error) {
	c := cursor{b: body}
	r.Err = c.err()
	r.Offset = protocol.Offset(c.uint64())
	return r, c.end("reply to what is committed")
}
