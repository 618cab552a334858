//go:build gates

package gates

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is for a node that does not answer at all.
const patience = 30 * time.Second

// conn is a connection that allocates nothing while it measures.
type conn struct {
	net.Conn
	head  [4]byte
	reply []byte
}

func dial(t *testing.T, address string) *conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it holds nothing
	return &conn{Conn: c, reply: make([]byte, 1<<20)}
}

func frame(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("gates")).AppendRequest(nil, req, 1)
}

// receive reads one reply without its length. It is valid until the next.
func (c *conn) receive() ([]byte, error) {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return nil, err
	}
	b := c.reply[:binary.BigEndian.Uint32(c.head[:])]
	_, err := io.ReadFull(c.Conn, b)
	return b, err
}

// burst writes frames at once and reads as many replies as they ask for.
func (c *conn) burst(frames []byte, replies int) error {
	if _, err := c.Write(frames); err != nil {
		return err
	}
	for range replies {
		if _, err := c.receive(); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a request whose version is set and decodes the answer.
func (c *conn) ask(req kmsg.Request) (kmsg.Response, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(frame(req)); err != nil {
		return nil, err
	}
	b, err := c.receive()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)
	}
	resp := req.ResponseKind()
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != apiVersionsKey {
		b = b[1:] // header tags
	}
	return resp, resp.ReadFrom(b)
}

// apiVersionsKey is the API whose reply header never has tags.
const apiVersionsKey = 18
