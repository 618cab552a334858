package peer

import (
	"encoding/binary"
	"math"
	"time"

	"ottla/protocol"
)

const (
	maxPrincipal = 1 << 10
	maxForwarded = 1 << 10 // of a client id: protocol/wire takes no longer one
)

// Forward is a request that one node was asked and another is to decide. The body of KeyForward, version 0:
//
//	0  principal type   string
//	   principal name   string
//	   client id        string
//	   key              2
//	   version          2
//	   time left        4  milliseconds from when it comes; no clock is compared with another
//	   body             4 size, bytes: as the client would have sent it in that version
//
// Authorisation was the node's that the client asked: it is a node's word that the principal is that, and may do it.
type Forward struct {
	Principal    protocol.Principal
	ClientID     string
	Key, Version int16
	TimeLeft     time.Duration
	Body         []byte // aliases what was parsed
}

// Append appends the body of the call.
func (f *Forward) Append(b []byte) []byte {
	b = appendString(b, f.Principal.Type, maxPrincipal)
	b = appendString(b, f.Principal.Name, maxPrincipal)
	b = appendString(b, f.ClientID, maxForwarded)
	b = binary.BigEndian.AppendUint16(b, uint16(f.Key))
	b = binary.BigEndian.AppendUint16(b, uint16(f.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(f.TimeLeft.Milliseconds(), 0), math.MaxInt32)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Body)))
	return append(b, f.Body...)
}

// ParseForward reads the body of a call. ErrMalformed.
func ParseForward(body []byte) (f Forward, err error) {
	c := cursor{b: body}
	f.Principal = protocol.Principal{Type: c.string(maxPrincipal), Name: c.string(maxPrincipal)}
	f.ClientID = c.string(maxForwarded)
	f.Key, f.Version = int16(c.uint16()), int16(c.uint16())
	f.TimeLeft = time.Duration(c.uint32()&math.MaxInt32) * time.Millisecond
	f.Body = c.bytes()
	return f, c.end("forwarded request")
}

// Decided is the reply to a Forward:
//
//	0  error   2, string
//	   offset  8  of the metadata: what was decided is in every image from there on
//	   body       the rest: as the client gets it, in the version of the request
type Decided struct {
	Err    error // a wire error of the whole request; the others are in Body
	Offset protocol.Offset
	Body   []byte // aliases what was parsed
}

// Append appends the body of the reply.
func (d *Decided) Append(b []byte) []byte {
	b = appendError(b, d.Err)
	b = binary.BigEndian.AppendUint64(b, uint64(d.Offset))
	return append(b, d.Body...)
}

// ParseDecided reads the body of a reply. ErrMalformed.
func ParseDecided(body []byte) (d Decided, err error) {
	c := cursor{b: body}
	d.Err = c.err()
	d.Offset = protocol.Offset(c.uint64())
	d.Body = c.take(int64(len(c.b)))
	return d, c.end("reply to a forwarded request")
}
