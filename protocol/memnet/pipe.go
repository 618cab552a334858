package memnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// capacity is how many bytes one direction holds before its writer waits.
const capacity = 256 << 10

// pipe is one direction of a connection.
type pipe struct {
	network  *Network
	from, to netip.Addr

	mu       sync.Mutex
	change   sync.Cond
	sent     []segment // oldest first
	size     int
	cut      bool
	finished bool // the writer has closed: EOF after what was sent
	broken   bool // the reader has closed: writes fail

	readDeadline, writeDeadline deadline
	arrival                     *time.Timer // for the oldest segment, while a reader waits for it
}

// segment is the bytes of one Write and when they arrive.
type segment struct {
	data []byte
	at   time.Time
}

// deadline wakes the waiters of a pipe when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newPipe(n *Network, from, to netip.Addr) *pipe {
	p := &pipe{network: n, from: from, to: to}
	_, p.cut = n.cuts[pair(from, to)]
	p.change.L = &p.mu
	return p
}

// wake is a timer's function. It takes the lock so that a waiter that has just looked at the clock is asleep by then.
func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change.Broadcast()
}

func (d *deadline) set(p *pipe, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, p.wake)
	}
	p.change.Broadcast()
}

func (d *deadline) passed() bool { return !d.at.IsZero() && time.Until(d.at) <= 0 }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.broken:
			return 0, net.ErrClosed
		case p.readDeadline.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.arrived():
			return p.take(b), nil
		case p.finished && len(p.sent) == 0 && !p.cut:
			return 0, io.EOF
		}
		p.change.Wait()
	}
}

// arrived tells whether bytes can be read, and has the reader woken when they will be. The caller holds mu.
func (p *pipe) arrived() bool {
	if p.cut || len(p.sent) == 0 {
		return false
	}
	wait := time.Until(p.sent[0].at)
	if wait <= 0 {
		return true
	}
	if p.arrival == nil {
		p.arrival = time.AfterFunc(wait, p.wake)
	} else {
		p.arrival.Reset(wait)
	}
	return false
}

// take moves what has arrived into b. The caller holds mu.
func (p *pipe) take(b []byte) int {
	n := 0
	for n < len(b) && len(p.sent) > 0 && time.Until(p.sent[0].at) <= 0 {
		s := &p.sent[0]
		k := copy(b[n:], s.data)
		n += k
		if s.data = s.data[k:]; len(s.data) == 0 {
			p.sent = p.sent[1:]
		}
	}
	p.size -= n
	p.change.Broadcast()
	return n
}

func (p *pipe) write(b []byte) (int, error) {
	p.network.mu.Lock()
	latency := p.network.latency
	p.network.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for {
		switch {
		case p.finished:
			return n, net.ErrClosed
		case p.writeDeadline.passed():
			return n, os.ErrDeadlineExceeded
		case p.broken:
			return n, syscall.EPIPE
		case len(b) == 0:
			return n, nil
		}
		if room := min(capacity-p.size, len(b)); room > 0 {
			p.sent = append(p.sent, segment{data: append([]byte(nil), b[:room]...), at: time.Now().Add(latency)})
			p.size += room
			n += room
			b = b[room:]
			p.change.Broadcast()
			continue
		}
		p.change.Wait()
	}
}

func (p *pipe) setCut(cut bool) {
	p.mu.Lock()
	p.cut = cut
	p.mu.Unlock()
	p.change.Broadcast()
}

// finish is the writer's close, abandon the reader's.
func (p *pipe) finish() {
	p.mu.Lock()
	p.finished = true
	p.writeDeadline.stop()
	p.mu.Unlock()
	p.change.Broadcast()
}

func (p *pipe) abandon() {
	p.mu.Lock()
	p.broken = true
	p.sent, p.size = nil, 0
	p.readDeadline.stop()
	if p.arrival != nil {
		p.arrival.Stop()
	}
	p.mu.Unlock()
	p.change.Broadcast()
}
