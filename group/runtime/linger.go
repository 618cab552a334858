package runtime

import (
	"sync"
	"time"
)

// linger holds back operations that can wait (see Runtime.WriteLater) until a moment that is the same for all shards: one append takes what came for a shard meanwhile, one flush
// of the disk what came for all of them, and their answers leave together.
type linger[M Machine] struct {
	worker *worker[M] // of the tick's own turns

	mu     sync.Mutex
	pace   pace
	shards []*shard[M] // those that something lingers in
	spare  []*shard[M] // memory for the next ones
	timer  *time.Timer // runs tick; nil until needed
	armed  bool        // a tick will come, or is at work
}

// lingers tells whether an operation that comes now is to wait for a tick. If so the caller has its shard take part.
func (l *linger[M]) lingers(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace.lingers(now)
}

// on tells whether operations linger because many come.
func (l *linger[M]) on() bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace.on && now.Sub(l.pace.began) < paceOver
}

// add has a shard, in which something lingers now, take part in the next tick.
func (l *linger[M]) add(s *shard[M]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shards = append(l.shards, s)
	l.arm()
}

// arm sees to it that a tick comes. The caller holds mu.
func (l *linger[M]) arm() {
	switch {
	case l.armed:
		return
	case l.timer == nil:
		l.timer = time.AfterFunc(l.pace.window(), l.tick)
	default:
		l.timer.Reset(l.pace.window())
	}
	l.armed = true
}

// tick takes the turns of all shards that something lingers in, and then settles: on one goroutine, as there is more to wait for than to do.
func (l *linger[M]) tick() {
	t := &l.worker.runtime.turns
	if !t.begin() {
		return // all was answered when the shards were resigned
	}
	l.mu.Lock()
	shards := l.shards
	l.shards = l.spare
	l.mu.Unlock()
	for _, s := range shards {
		if s.release() {
			l.worker.take(s)
		}
	}
	clear(shards)
	l.mu.Lock()
	l.spare = shards[:0]
	if l.armed = false; len(l.shards) > 0 {
		l.arm()
	}
	l.mu.Unlock()
	l.worker.runtime.Settle() // the next tick does not wait for it: a disk that hangs is not everybody's
	t.ended()
}

const (
	adaptive  = 10 * time.Millisecond // how long operations linger if that is up to us
	paceSpan  = 100 * time.Millisecond
	paceOver  = 2 * paceSpan     // without any operation: those who waited for us are gone
	paceLeast = 50               // operations in a span that make it worth while
	paceSure  = 3                // spans in a row that count: one alone may be a burst, or what follows it
	paceWary  = 10 * time.Second // after lingering has made others wait
)

// pace decides whether lingering is worth while. It is not for an operation that comes alone; nor for clients that send the next one when the last was answered, who would be as much
// slower. So what comes is counted, in spans of time: lingering begins when it is much, and ends when it is little, or half of what it was before: then it has made others wait
// for us, and is not tried again for a while.
type pace struct {
	fixed time.Duration // as configured; negative: up to us

	on     bool
	began  time.Time // of the span
	count  int       // operations in it
	sure   int       // spans in a row that spoke for a change
	before int       // least operations in those that spoke for lingering
	wary   time.Time // until when lingering does not begin
}

func (p *pace) window() time.Duration {
	if p.fixed < 0 {
		return adaptive
	}
	return p.fixed
}

// lingers counts an operation.
func (p *pace) lingers(now time.Time) bool {
	if p.fixed >= 0 {
		return p.fixed > 0
	}
	switch spent := now.Sub(p.began); {
	case spent >= paceOver:
		p.on, p.sure, p.began, p.count = false, 0, now, 0
	case spent >= paceSpan:
		p.decide(now, int(int64(p.count)*int64(paceSpan)/int64(spent)))
		p.began, p.count = now, 0
	}
	p.count++
	return p.on
}

// decide is called at the end of a span in which n operations came.
func (p *pace) decide(now time.Time, n int) {
	switch {
	case p.on && n < p.before/2:
		if p.sure++; p.sure == paceSure {
			p.on, p.sure, p.wary = false, 0, now.Add(paceWary)
		}
	case p.on:
		p.on, p.sure = n >= paceLeast, 0
	case n < paceLeast || now.Before(p.wary):
		p.sure = 0
	default:
		if p.sure++; p.sure == 1 || n < p.before {
			p.before = n
		}
		if p.sure == paceSure {
			p.on, p.sure = true, 0
		}
	}
}
