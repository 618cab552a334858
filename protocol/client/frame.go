package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"ottla/protocol/wire"
)

// A call is a request of the Kafka protocol, a reply one of its responses; lengths do not count themselves. The tags are there, and none, in flexible versions of Kafka's own keys:
//
//	| length 4 | key 2 | version 2 | correlation id 4 | client id string | (tags 1) | body
//	| length 4 | correlation id 4 | (tags 1) | body
const (
	lengthSize     = 4
	replyHeader    = lengthSize + 4
	firstPart      = 64 << 10 // of a reply: memory for the rest is taken as it comes
	frameRate      = 64 << 10
	readBufferSize = 16 << 10
)

var errBadReply = errors.New("reply out of place")

func appendFrame(key, version int16, correlation int32, clientID string, body []byte) []byte {
	flexible := wire.Flexible(key, version)
	size := 2 + 2 + 4 + 2 + len(clientID) + len(body)
	if flexible {
		size++
	}
	b := make([]byte, 0, lengthSize+size)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	if flexible {
		b = append(b, 0)
	}
	return append(b, body...)
}

// withoutTags is a reply's body behind the tags of its header.
func withoutTags(reply []byte) ([]byte, error) {
	if len(reply) == 0 || reply[0] != 0 {
		return nil, fmt.Errorf("reply whose header has tags: %w", errBadReply)
	}
	return reply[1:], nil
}

// readReply reads one reply. It waits as long as it takes for the first byte, and no longer than within, and the frame rate, for the rest.
func readReply(nc net.Conn, r *bufio.Reader, most int, within time.Duration) (correlation int32, body []byte, err error) {
	if _, err := r.Peek(1); err != nil {
		return 0, nil, err
	}
	if r.Buffered() < replyHeader {
		if err := nc.SetReadDeadline(time.Now().Add(within)); err != nil {
			return 0, nil, err
		}
	}
	var h [replyHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(h[:]))) - 4
	if size < 0 || size > most {
		return 0, nil, fmt.Errorf("reply of %d bytes, at most %d are taken: %w", size, most, errBadReply)
	}
	if r.Buffered() < size {
		if err := nc.SetReadDeadline(time.Now().Add(within + time.Duration(size/frameRate)*time.Second)); err != nil {
			return 0, nil, err
		}
	}
	body, err = readBody(r, size)
	if err == nil {
		err = nc.SetReadDeadline(time.Time{})
	}
	return int32(binary.BigEndian.Uint32(h[lengthSize:])), body, err
}

func readBody(r io.Reader, size int) ([]byte, error) {
	if size <= firstPart {
		b := make([]byte, size)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var b bytes.Buffer
	b.Grow(firstPart)
	if _, err := io.CopyN(&b, r, int64(size)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
