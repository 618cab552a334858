package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A reply as it stands on the socket; the length does not count itself, the tag section is there for flexible headers only:
//
//	| length (4) | correlation id (4) | 0 (1) | body: byte runs and ranges …
const maxReplyHeader = 9

const (
	// sendfileFrom is the smallest range of a file that is worth a sendfile; smaller ones are read into the buffer that goes out with their header.
	sendfileFrom = 8 << 10
	// copyUpTo is the largest byte run that is gathered with its neighbours; a larger one is sent from where it lies.
	copyUpTo = 8 << 10
	// gatherSize is the largest buffer for what is gathered.
	gatherSize = 64 << 10
	// sendAtMost is how much is sent under one write deadline.
	sendAtMost = 1 << 20
)

// output sends replies. It belongs to whoever has the writer's role, and holds a buffer only meanwhile.
type output struct {
	nc           net.Conn
	socket       socket
	raw          syscall.RawConn // nil: only nc.Write
	writeTimeout time.Duration
	metrics      *Metrics
	deadline     time.Time

	// What a peer that does not read holds is told to others.
	hold        hold
	begun       time.Time // when sendAll began
	sent, total int       // bytes of it

	claimed []*Call // see claimFinished

	buf    *buffer // what is gathered
	have   int
	header [maxReplyHeader]byte

	// For the callbacks of RawConn.Write, stored so that no call allocates.
	sendFn, sendfileFn func(fd uintptr) bool
	bytes              []byte // still to be sent by sendFn
	flags              int
	file               uintptr // of sendfileFn
	filePos            int64
	fileSize           int
	err                error
}

// sendAll sends the replies of the claimed calls; size is the sum of their sizes.
func (o *output) sendAll(size int) error {
	o.buf, o.have = takeBuffer(min(size, gatherSize)), 0
	o.begun, o.sent, o.total = time.Now(), 0, size
	defer func() {
		o.hold.blameless()
		o.buf.put()
		o.buf = nil
	}()
	for _, call := range o.claimed {
		if call.answer == replyNever {
			continue
		}
		if err := o.reply(call); err != nil {
			return err
		}
	}
	return o.flush(false)
}

func (o *output) reply(call *Call) error {
	r := &call.Reply
	if r.Len() > maxReply {
		return fmt.Errorf("reply of %d bytes to API key %d: %w", r.Len(), call.Key, errReplyTooLarge)
	}
	h := binary.BigEndian.AppendUint32(o.header[:0], uint32(r.Len()+4+flexibleSize(r)))
	h = binary.BigEndian.AppendUint32(h, uint32(call.CorrelationID))
	if r.flexible {
		h = append(h, 0)
	}
	if err := o.run(h); err != nil {
		return err
	}
	var body []byte
	if r.buf != nil {
		body = r.buf.b
	}
	sent := 0
	for i := range r.ranges {
		rg := &r.ranges[i]
		if err := o.run(body[sent:rg.at]); err != nil {
			return err
		}
		sent = rg.at
		if err := o.sourceRange(rg); err != nil {
			return err
		}
	}
	return o.run(body[sent:])
}

func flexibleSize(r *Reply) int {
	if r.flexible {
		return 1
	}
	return 0
}

// maxReply is what the length of a frame can tell.
const maxReply = math.MaxInt32 - maxReplyHeader

var errReplyTooLarge = errors.New("longer than a frame can be")

// run sends bytes, small ones gathered.
func (o *output) run(b []byte) error {
	if len(b) > copyUpTo {
		if err := o.flush(true); err != nil {
			return err
		}
		return o.write(b, false)
	}
	for len(b) > 0 {
		n := copy(o.buf.b[o.have:], b)
		o.have += n
		b = b[n:]
		if len(b) > 0 {
			if err := o.flush(true); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourceRange sends a range: large ones of files by sendfile on plain TCP, others through the buffer.
func (o *output) sourceRange(r *sourceRange) error {
	if fd, ok := r.source.FD(); ok && o.raw != nil && r.size >= sendfileFrom {
		if err := o.flush(true); err != nil {
			return err
		}
		return o.writeFile(fd, r.pos, r.size)
	}
	for pos, left := r.pos, r.size; left > 0; {
		if o.have == len(o.buf.b) {
			if err := o.flush(true); err != nil {
				return err
			}
		}
		part := o.buf.b[o.have:min(len(o.buf.b), o.have+left)]
		if n, err := r.source.ReadAt(part, pos); n < len(part) {
			return fmt.Errorf("%w: read %d of %d bytes: %v", errShortRange, n, len(part), err) // an io.EOF of the file is not one of the client
		}
		o.have += len(part)
		pos += int64(len(part))
		left -= len(part)
	}
	return nil
}

var errShortRange = errors.New("file is shorter than the range pinned in it")

// flush sends what is gathered. more tells the kernel that other bytes follow at once, so that they share segments; it must be true then only: the peer would wait.
func (o *output) flush(more bool) error {
	n := o.have
	o.have = 0
	if n == 0 {
		return nil
	}
	return o.write(o.buf.b[:n], more)
}

func (o *output) write(b []byte, more bool) error {
	o.metrics.sent(len(b))
	for len(b) > 0 {
		if err := o.armDeadline(); err != nil {
			return err
		}
		part := b[:min(len(b), sendAtMost)]
		n, err := len(part), error(nil)
		if o.raw == nil {
			n, err = o.nc.Write(part)
		} else {
			o.bytes, o.flags, o.err = part, unix.MSG_NOSIGNAL, nil
			if more || len(b) > len(part) {
				o.flags |= unix.MSG_MORE
			}
			err = o.callback(o.sendFn)
			n -= len(o.bytes)
			o.bytes = nil
		}
		if err != nil {
			return writeError(err)
		}
		b = b[n:]
		o.sent += n
	}
	return nil
}

// writeFile sends exactly n bytes of a file by sendfile, which neither uses nor moves the file's own position.
func (o *output) writeFile(fd uintptr, pos int64, n int) error {
	o.metrics.sent(n)
	o.file, o.filePos = fd, pos
	for n > 0 {
		if err := o.armDeadline(); err != nil {
			return err
		}
		o.fileSize, o.err = min(n, sendAtMost), nil
		asked := o.fileSize
		if err := o.callback(o.sendfileFn); err != nil {
			return writeError(err)
		}
		n -= asked - o.fileSize
		o.sent += asked - o.fileSize
	}
	return nil
}

func (o *output) callback(f func(uintptr) bool) error {
	if err := o.raw.Write(f); err != nil {
		return err
	}
	return o.err
}

// send is the callback for bytes. After some progress a full socket ends the call instead of the wait, so that every wait has a deadline of its own.
func (o *output) send(fd uintptr) bool {
	progress := false
	for len(o.bytes) > 0 {
		n, err := unix.SendmsgN(int(fd), o.bytes, nil, nil, o.flags)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return progress
		case err != nil:
			o.err = err
			return true
		default:
			o.bytes = o.bytes[n:]
			progress = true
		}
	}
	return true
}

// sendfile is the callback for ranges of files. The count is exact: asking for more would leave the socket corked.
func (o *output) sendfile(fd uintptr) bool {
	progress := false
	for o.fileSize > 0 {
		n, err := unix.Sendfile(int(fd), int(o.file), &o.filePos, o.fileSize)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return progress
		case err != nil:
			o.err = err
			return true
		case n == 0:
			o.err = errShortRange
			return true
		default:
			o.fileSize -= n
			progress = true
		}
	}
	return true
}

// armDeadline moves the write deadline only when half of it is gone: a peer that takes nothing is cut off after between half and all of the time-out.
func (o *output) armDeadline() error {
	now := time.Now()
	o.hold.pace(now, o.begun, o.sent, o.total, o.writeTimeout)
	if o.deadline.Sub(now) >= o.writeTimeout/2 {
		return nil
	}
	o.deadline = now.Add(o.writeTimeout)
	return o.socket.SetWriteDeadline(o.deadline)
}

func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errWriteTimeout
	}
	return err
}
