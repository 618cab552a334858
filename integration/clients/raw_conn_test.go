//go:build clients

package clients

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawConn is the smallest client there is: one connection, one request at a time, no retries, no opinion about what it sends.
type rawConn struct {
	net.Conn
	correlation int32
}

// rawSilence is how long a broker may take for one answer; every case stays far below.
const rawSilence = 4 * time.Second

func dialRaw(address string) (*rawConn, error) {
	c, err := net.DialTimeout("tcp", address, rawSilence)
	if err != nil {
		return nil, err
	}
	return &rawConn{Conn: c}, nil
}

// rawHeader is a request header: version 1, or 2 with tags when flexible.
type rawHeader struct {
	key, version int16
	clientID     *string
	flexible     bool
	tags         []byte // the tag section of a flexible header; nil is an empty one
}

func headerOf(req kmsg.Request) rawHeader {
	id := "raw"
	return rawHeader{key: req.Key(), version: req.GetVersion(), clientID: &id, flexible: req.IsFlexible()}
}

// frame is a whole request: size, header, body.
func (c *rawConn) frame(h rawHeader, body []byte) []byte {
	c.correlation++
	b := kbin.AppendInt16(make([]byte, 4, 64+len(body)), h.key)
	b = kbin.AppendInt16(b, h.version)
	b = kbin.AppendInt32(b, c.correlation)
	b = kbin.AppendNullableString(b, h.clientID)
	if h.flexible {
		if h.tags == nil {
			b = append(b, 0)
		}
		b = append(b, h.tags...)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

var errClosed = errors.New("connection closed")

// send writes bytes. A peer that has gone is noticed by receive.
func (c *rawConn) send(b []byte) error {
	if err := c.SetDeadline(time.Now().Add(rawSilence)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return closedBy(err)
}

// receive reads one response, without its size.
func (c *rawConn) receive() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, closedBy(err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > 64<<20 {
		return nil, fmt.Errorf("a response of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, closedBy(err)
}

// closedBy turns every way in which a peer ends a connection into one error.
func closedBy(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer")
	}
	return errClosed
}

// decodeRaw reads a response's header and body; leftOver is how many bytes of the body the schema does not explain.
func decodeRaw(kind kmsg.Response, version int16, correlation int32, b []byte) (leftOver int, err error) {
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		return 0, fmt.Errorf("correlation id %d for %d", got, correlation)
	}
	b = b[4:]
	kind.SetVersion(version)
	if kind.IsFlexible() && kind.Key() != 18 {
		if len(b) == 0 || b[0] != 0 {
			return 0, errors.New("a flexible response header without its empty tag section")
		}
		b = b[1:]
	}
	if err := kind.ReadFrom(b); err != nil {
		return 0, fmt.Errorf("decode: %w", err)
	}
	return len(b) - len(kind.AppendTo(nil)), nil
}
