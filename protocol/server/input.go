package server

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// input is what the reader holds. Between passes that is nothing but a few bytes, unless the beginning of a frame has come: those with less than eight bytes
// lie in head, others in a buffer that holds all of the frame, or a stranger's so far. Buffers larger than the smallest are charged to the memory budget.
type input struct {
	buf     *buffer    // nil between passes
	have    int        // bytes in buf
	limit   int        // how far buf is filled
	charged frameClaim // taken from the budget; size 0: nothing
	hold    hold       // tells others about charged
	largest int        // bytes of the largest frame that came whole
	// granted is the bytes that had come when the peer's turn for memory came after it had had patience to send more; 0 else.
	granted int

	head     [peekSize]byte // valid while buf is nil, then also the first bytes of buf
	headSize int

	// usual is the size of the buffer that a pass begins with: it grows when reads fill it, and shrinks after many small ones.
	usual, smallReads int

	patient int // calls of the last ones that were patient, one after the other; see lobby.go

	started    bool      // a request has come
	lastUsed   time.Time // when the last one came, or as much later as readTimedOut found
	frameStart time.Time // when the frame began whose rest is awaited; zero if none is
	frameSize  int       // its size, 0 if not known yet
	deadline   time.Time // as set on the socket
	idleArmed  bool      // deadline is that of an idle connection
	clientID   string    // of the last request

	// For the callback of RawConn.Read, stored so that no call allocates.
	readFn func(fd uintptr) bool
	atOnce bool // do not wait
	n      int
	err    error
}

// pending is the bytes read and not yet dispatched.
func (in *input) pending() []byte {
	if in.buf == nil {
		return in.head[:in.headSize]
	}
	return in.buf.b[:in.have]
}

// take begins a pass with a buffer: of the usual size if the budget has it at once, else a small one, which is not charged.
func (in *input) take(c *Conn) {
	size := max(in.usual, smallBuffer)
	if size > smallBuffer {
		if claim := c.claim(size, false); claim.tryAcquire() {
			in.charge(claim)
		} else {
			size = smallBuffer
		}
	}
	in.buf = takeBuffer(size)
	in.have = copy(in.buf.b, in.head[:in.headSize])
	in.limit = len(in.buf.b)
}

// setLimit has a large frame read to its end and no further, so that the next one need not be moved; small ones come together.
func (in *input) setLimit(frameSize int) {
	in.limit = len(in.buf.b)
	if frameSize > largeBuffer {
		in.limit = min(in.limit, frameSize)
		in.usual = smallBuffer // the next one's beginning has to be moved too: let it be short
	}
}

// waitSmall keeps the beginning of a large frame in the smallest buffer, until that is full.
func (in *input) waitSmall(c *Conn, rest []byte) {
	if len(in.buf.b) == smallBuffer {
		in.have = copy(in.buf.b, rest)
		return
	}
	small := takeBuffer(smallBuffer)
	n := copy(small.b, rest)
	in.drop(c)
	in.buf, in.have = small, n
}

// move puts the beginning of a frame into a buffer of at least n bytes.
func (in *input) move(rest []byte, n int) {
	larger := takeBuffer(n)
	in.have = copy(larger.b, rest)
	in.buf.put()
	in.buf = larger
}

// drop gives the buffer back.
func (in *input) drop(c *Conn) {
	if in.buf != nil {
		in.uncharge()
		in.buf.put()
		in.buf, in.have = nil, 0
	}
}

// charge notes what was taken from the budget.
func (in *input) charge(f frameClaim) {
	in.charged = f
	in.hold.stranger.Store(f.stranger)
	in.hold.bytes.Store(int64(f.size))
}

func (in *input) uncharge() {
	if f := in.charged; f.size > 0 {
		in.charge(frameClaim{})
		f.release()
	}
}

// waitingRoom is what the socket of a peer holds at least that has had patience to send.
const waitingRoom = 32 << 10

// pace tells others from when on the peer is late with its frame. One that has waited for memory had time to fill its socket: until that much was read it is late almost at once.
func (in *input) pace(now time.Time, within time.Duration) {
	if in.granted > 0 && in.have < in.granted+waitingRoom {
		in.hold.until(now.Add(impatience / 2))
		return
	}
	in.granted = 0
	in.hold.pace(now, in.frameStart, in.have, in.frameSize, within)
}

// Buffers grow and shrink by this factor; shrinking takes so many reads that filled less than that part.
const (
	growth        = 4
	readsToShrink = 16
)

// adapt learns from a read of n bytes.
func (in *input) adapt(n int) {
	usual := max(in.usual, smallBuffer)
	switch {
	case in.buf != nil && in.have == in.limit:
		in.usual, in.smallReads = min(usual*growth, largeBuffer), 0
	case n >= usual/growth:
		in.smallReads = 0
	default:
		if in.smallReads++; in.smallReads == readsToShrink {
			in.usual, in.smallReads = max(usual/growth, smallBuffer), 0
		}
	}
}

// readReady is the callback of RawConn.Read: it reads what there is; if that is nothing, it gives the buffer back and has the runtime wait, unless atOnce.
func (c *Conn) readReady(fd uintptr) bool {
	in := &c.in
	fresh := in.buf == nil
	if fresh {
		in.take(c)
	}
	for {
		n, err := unix.Read(int(fd), in.buf.b[in.have:in.limit])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if fresh {
				in.drop(c)
			}
			return in.atOnce
		case err != nil:
			in.err = err
			return true
		case n == 0:
			in.err = io.EOF
			return true
		default:
			in.n = n
			in.have += n
			return true
		}
	}
}
