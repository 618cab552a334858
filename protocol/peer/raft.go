package peer

import (
	"encoding/binary"
	"fmt"
)

// The body of KeyRaft, version 0: messages of one raft group, in the order in which they are to be stepped.
//
//	0  group     4  0: the metadata
//	4  sections until the end, each one of
//
//	   whole:   1  kind 0 · size 4 · bytes
//	   chunk:   1  kind 1 · id 8 · offset 8 · total 8 · size 4 · bytes
//
// The bytes of a whole message are raft's own. What is too large for a frame comes in chunks, in order and on one connection; see Assembly.
const (
	kindWhole = 0
	kindChunk = 1

	raftHeader  = 4
	wholeHeader = 1 + 4
	// ChunkHeader is what a chunk takes besides its bytes, and with it the start of the body.
	ChunkHeader = raftHeader + 1 + 8 + 8 + 8 + 4
)

// Chunk is a part of something large: the bytes from Offset on of a message of Total bytes, which ID tells from others of the same sender.
type Chunk struct {
	ID            uint64
	Offset, Total int64
	Bytes         []byte
}

// BeginRaft appends the start of a body.
func BeginRaft(b []byte, group uint32) []byte { return binary.BigEndian.AppendUint32(b, group) }

// WholeSize is what a message of so many bytes takes in a body.
func WholeSize(message int) int { return wholeHeader + message }

// AppendWhole appends one message.
func AppendWhole(b, message []byte) []byte {
	b = append(b, kindWhole)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	return append(b, message...)
}

// AppendChunk appends one chunk.
func AppendChunk(b []byte, c Chunk) []byte {
	b = append(b, kindChunk)
	b = binary.BigEndian.AppendUint64(b, c.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Total))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Bytes)))
	return append(b, c.Bytes...)
}

// RaftScanner reads a body section by section. It allocates nothing; what it gives aliases the body.
type RaftScanner struct {
	Group   uint32
	Message []byte // of the section: a whole message, else nil
	Chunk   Chunk  // else this

	c cursor
}

// ScanRaft begins to read a body.
func ScanRaft(body []byte) RaftScanner {
	s := RaftScanner{c: cursor{b: body}}
	s.Group = s.c.uint32()
	return s
}

// Next goes to the next section; false at the end and when the body is malformed, which Err tells.
func (s *RaftScanner) Next() bool {
	s.Message, s.Chunk = nil, Chunk{}
	if s.c.bad || len(s.c.b) == 0 {
		return false
	}
	switch s.c.uint8() {
	case kindWhole:
		s.Message = s.c.bytes()
	case kindChunk:
		s.Chunk = Chunk{ID: s.c.uint64(), Offset: int64(s.c.uint64()), Total: int64(s.c.uint64())}
		s.Chunk.Bytes = s.c.bytes()
		if k := &s.Chunk; len(k.Bytes) == 0 || k.Offset < 0 || k.Total < 0 || k.Offset > k.Total-int64(len(k.Bytes)) {
			s.c.bad = true
		}
	default:
		s.c.bad = true
	}
	return !s.c.bad
}

// Err is ErrMalformed if the body could not be read to its end.
func (s *RaftScanner) Err() error { return s.c.end("raft messages") }

// Assembly puts the chunks of one sender together again: of one message at a time, the newest. The zero value takes nothing: set Max.
type Assembly struct {
	Max int64 // bytes of the largest message

	id    uint64
	total int64 // 0: no message is under way
	have  []byte
}

// Add takes the next chunk, and gives the whole message with its last one; the caller owns it. Memory is taken as bytes come, not as they are announced. The first chunk of another message
// ends the one before; later ones of a message that is not under way are ignored. An error means that the message is lost: a chunk does not follow the one before, or it is larger than Max.
func (a *Assembly) Add(c Chunk) ([]byte, error) {
	if c.Offset == 0 {
		a.Drop()
		a.id, a.total = c.ID, c.Total
	}
	switch {
	case c.ID != a.id || a.total == 0:
		return nil, nil
	case c.Total > a.Max:
		a.Drop()
		return nil, fmt.Errorf("message of %d bytes in chunks, at most %d are taken: %w", c.Total, a.Max, ErrMalformed)
	case c.Total != a.total || c.Offset != int64(len(a.have)) || c.Offset+int64(len(c.Bytes)) > c.Total:
		a.Drop()
		return nil, fmt.Errorf("chunk at %d of message %d does not follow what came before: %w", c.Offset, c.ID, ErrMalformed)
	}
	a.have = append(a.have, c.Bytes...)
	if int64(len(a.have)) < a.total {
		return nil, nil
	}
	whole := a.have
	a.Drop()
	return whole, nil
}

// Drop forgets what has come of a message.
func (a *Assembly) Drop() { a.id, a.total, a.have = 0, 0, nil }

// Held is the bytes that it holds.
func (a *Assembly) Held() int { return cap(a.have) }
