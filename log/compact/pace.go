package compact

import (
	"context"
	"time"
)

// Pace bounds the bytes that a cleaner reads and writes per second (log.cleaner.io.max.bytes.per.second). It is used by one goroutine. A nil Pace bounds nothing.
type Pace struct {
	perSecond float64
	free      time.Time // when what was taken so far is paid for
}

// paceSlack is how far work may run ahead, so that small batches do not sleep one by one.
const paceSlack = 100 * time.Millisecond

// NewPace returns nil if bytesPerSecond is not positive, or so large that it bounds nothing.
func NewPace(bytesPerSecond float64) *Pace {
	if bytesPerSecond <= 0 || bytesPerSecond >= 1<<50 {
		return nil
	}
	return &Pace{perSecond: bytesPerSecond}
}

// Take waits until n more bytes may be moved. The only error is that ctx is done.
func (p *Pace) Take(ctx context.Context, n int) error {
	if p == nil {
		return ctx.Err()
	}
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) / p.perSecond * float64(time.Second)))
	ahead := p.free.Sub(now)
	if ahead <= paceSlack {
		return ctx.Err()
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
