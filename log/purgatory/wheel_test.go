package purgatory

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlines(t *testing.T) {
	for _, wait := range []time.Duration{-time.Hour, 0, time.Nanosecond, tick, 25 * time.Millisecond, time.Second, wheelSlots * tick, time.Minute, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			p, w, ring := New(), new(Waiter), newBell()
			time.Sleep(3 * time.Millisecond)
			start := time.Now()
			p.Start(w, ring, start.Add(wait))
			w.Bytes(new(List), 0)
			w.Ready(1)
			<-ring.ch
			if late := time.Since(start) - max(wait, 0); late < 0 || late > 2*tick {
				t.Errorf("a deadline in %v fired %v late", wait, late)
			}
			if r := w.Finish(); r != Expired {
				t.Errorf("reason %d", r)
			}
			nothingIsLinked(t, p)
		})
	}
}

func TestFarDeadlineAndNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ring := New(), newBell()
		var far, never Waiter
		p.Start(&far, ring, time.Now().AddDate(5000, 0, 0))
		far.Bytes(new(List), 0)
		far.Ready(1)
		p.Start(&never, ring, time.Time{})
		never.Bytes(new(List), 0)
		never.Ready(1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if ring.rings.Load() != 0 || far.Finish() != Waiting || never.Finish() != Waiting {
			t.Error("fired")
		}
	})
}

// TestIdleHasNoTimer: days pass without a tick once nothing waits any more.
func TestIdleHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w, ring := New(), new(Waiter), newBell()
		p.Start(w, ring, time.Now().Add(time.Minute))
		var l List
		w.Bytes(&l, 0)
		w.Ready(1)
		l.Advance(1, 1)
		w.Finish()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if p.wheel.next != 0 {
			t.Error("the timer is armed though nothing waits")
		}
		time.Sleep(240 * time.Hour)
		p.Start(w, ring, time.Now().Add(time.Second))
		start := time.Now()
		w.Bytes(&l, l.Visible())
		w.Ready(1)
		<-ring.ch // of the Advance
		<-ring.ch
		if late := time.Since(start) - time.Second; late < 0 || late > 2*tick {
			t.Errorf("%v late after a pause", late)
		}
		w.Finish()
	})
}
