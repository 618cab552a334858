package server

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// What happens when the memory for requests or replies is used up. Whoever needs some waits its turn; after patience it has the connections closed that hold memory
// and wait for nothing but their own peer: one that began a frame and does not send it, or asked for replies and does not read them. Without that a few bytes would be
// enough to keep everybody out for as long as a large frame may take.

const (
	// patience is how long somebody waits for memory before others lose theirs, and what a peer may always be late.
	patience = time.Second
	// impatience is how often others lose theirs from then on, as long as anybody waits.
	impatience = patience / 10
)

// largeFrame is where frames begin that queue by themselves, for three quarters of the memory: behind those of a client that does not send them smaller ones would wait long.
const largeFrame = 1 << 20

// frameClaim is memory for a frame, as it is taken and given back. A frame of more than growth times the largest that its connection has sent whole is a stranger's:
// those queue by themselves for half of the memory, so that whoever sends what it announces never stands behind those who do not.
type frameClaim struct {
	size     int    // bytes
	from     *share // whose they are
	stranger bool
}

// room is the bytes of the buffer for a frame of which so many have come. A stranger's grows with them, though memory for all of it was taken: so growing waits for nobody,
// and those who never send what they announce have nothing allocated and cleared for it.
func (f frameClaim) room(come int) int {
	if f.stranger {
		return min(f.size, growth*come)
	}
	return f.size
}

// queues is where a claim queues, one after the other in this order, so that whoever waits in one of them waits for those in later ones and for nobody in earlier ones. Unused places are nil.
func (f frameClaim) queues() [3]*budget {
	q := [3]*budget{2: f.from.frames}
	if f.stranger {
		q[0] = f.from.strangers
	}
	if f.size > largeFrame {
		q[1] = f.from.large
	}
	return q
}

// acquireFrame waits for memory to hold a frame; false if the connection or the server ended first. Nothing of either budget may be held meanwhile.
func (s *Server) acquireFrame(f frameClaim, gone <-chan struct{}) bool {
	return f.take(func(b *budget) bool { return b.acquire(f.size, gone, s.stop) })
}

// tryAcquire is acquireFrame without waiting.
func (f frameClaim) tryAcquire() bool {
	return f.take(func(b *budget) bool { return b.tryAcquire(f.size) })
}

// take takes of all queues, or of none.
func (f frameClaim) take(take func(*budget) bool) bool {
	q := f.queues()
	for i, b := range q {
		if b == nil || take(b) {
			continue
		}
		giveBack(q[:i], f.size)
		return false
	}
	return true
}

func (f frameClaim) release() {
	q := f.queues()
	giveBack(q[:], f.size)
}

func giveBack(queues []*budget, n int) {
	for _, b := range queues {
		if b != nil {
			b.release(n)
		}
	}
}

var errMemoryWanted = errors.New("too slow while others wait for the memory that it holds")

// hold is what a connection has of a budget. Its owner writes it, Server.reclaim reads it.
type hold struct {
	bytes atomic.Int64
	due   atomic.Int64 // from when on the peer is at fault, in nanoseconds of Unix time; 0: it is not

	stranger atomic.Bool // bytes are of Server.strangers too
}

// pace is what the peer of a transfer is held to under pressure: something must come within patience, and all of it at the pace at which it takes no longer than within.
func (h *hold) pace(now, begun time.Time, done, all int, within time.Duration) {
	share := float64(done) / float64(max(all, 1))
	h.until(now.Add(min(patience, begun.Sub(now)+patience+time.Duration(share*float64(within)))))
}

func (h *hold) until(due time.Time) { h.due.Store(due.UnixNano()) }

// blameless says that what goes on is not the peer's to end.
func (h *hold) blameless() { h.due.Store(0) }

func (h *hold) late(now time.Time) bool {
	due := h.due.Load()
	return due != 0 && due < now.UnixNano() && h.bytes.Load() > 0
}

func frameHold(c *Conn) *hold { return &c.in.hold }
func replyHold(c *Conn) *hold { return &c.out.hold }

// anyHold and strangersHold say whose memory is of use.
func anyHold(*hold) bool         { return true }
func strangersHold(h *hold) bool { return h.stranger.Load() }

// reclaim closes connections of a share that are late until need bytes come back, those that hold most first.
func (s *Server) reclaim(from *share, of func(*Conn) *hold, useful func(*hold) bool, need int64) {
	now := time.Now()
	s.mu.Lock()
	late := slices.DeleteFunc(s.conns.all(), func(c *Conn) bool { return c.share() != from || !of(c).late(now) || !useful(of(c)) })
	s.mu.Unlock()
	slices.SortFunc(late, func(a, b *Conn) int { return cmp.Compare(of(b).bytes.Load(), of(a).bytes.Load()) })
	for _, c := range late {
		if need <= 0 {
			return
		}
		need -= of(c).bytes.Load()
		c.kill(errMemoryWanted)
	}
}
