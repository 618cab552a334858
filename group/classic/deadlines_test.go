package classic

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTimersFireWhenTheyAreDue compares the heap with a plain list, while timers are set, put off, brought forward and stopped.
func TestTimersFireWhenTheyAreDue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d deadlines
	timers := make([]*timer, 50)
	due := make([]time.Time, len(timers)) // zero: stopped
	for n := range timers {
		timers[n] = newTimer(nil)
	}
	now := time.UnixMilli(0)
	for range 20_000 {
		n := r.IntN(len(timers))
		switch r.IntN(4) {
		case 0, 1:
			due[n] = now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
			d.set(timers[n], due[n])
		case 2:
			due[n] = time.Time{}
			d.stop(timers[n])
		default:
			now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
			for fired := d.pop(now); fired != nil; fired = d.pop(now) {
				n := 0
				for timers[n] != fired {
					n++
				}
				if due[n].IsZero() || due[n].After(now) {
					t.Fatalf("a timer fires at %v, it is due at %v", now, due[n])
				}
				due[n] = time.Time{}
			}
			for n := range due {
				if !due[n].IsZero() && !due[n].After(now) {
					t.Fatalf("a timer due at %v has not fired at %v", due[n], now)
				}
				if next := d.next(); !due[n].IsZero() && (next.IsZero() || next.After(due[n])) {
					t.Fatalf("the next deadline is %v, a timer is due at %v", next, due[n])
				}
			}
		}
	}
}
