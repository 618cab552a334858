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

// patience is how long somebody waits for memory before others lose theirs, and what a peer may always be late.
const patience = time.Second

// largeFrame is where frames begin that queue by themselves, for three quarters of the memory: behind those of a client that does not send them smaller ones would wait long.
const largeFrame = 1 << 20

// acquireFrame waits for n bytes to hold a frame; false if the connection or the server ended first. Nothing of either budget may be held meanwhile. The order is that of
// the queues: whoever has its turn among the large ones waits for others that have memory, and for nobody without.
func (s *Server) acquireFrame(n int, gone <-chan struct{}) bool {
	if n > largeFrame && !s.large.acquire(n, gone, s.stop) {
		return false
	}
	if s.budget.acquire(n, gone, s.stop) {
		return true
	}
	if n > largeFrame {
		s.large.release(n)
	}
	return false
}

// tryAcquireFrame is acquireFrame without waiting.
func (s *Server) tryAcquireFrame(n int) bool {
	if n > largeFrame && !s.large.tryAcquire(n) {
		return false
	}
	if s.budget.tryAcquire(n) {
		return true
	}
	if n > largeFrame {
		s.large.release(n)
	}
	return false
}

func (s *Server) releaseFrame(n int) {
	s.budget.release(n)
	if n > largeFrame {
		s.large.release(n)
	}
}

var errMemoryWanted = errors.New("too slow while others wait for the memory that it holds")

// hold is what a connection has of a budget. Its owner writes it, Server.reclaim reads it.
type hold struct {
	bytes atomic.Int64
	due   atomic.Int64 // from when on the peer is at fault, in nanoseconds of Unix time; 0: it is not
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

// reclaim closes connections that are late until need bytes come back, those that hold most first.
func (s *Server) reclaim(of func(*Conn) *hold, need int64) {
	now := time.Now()
	s.mu.Lock()
	late := slices.DeleteFunc(s.conns.all(), func(c *Conn) bool { return !of(c).late(now) })
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
