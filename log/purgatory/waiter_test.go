package purgatory

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ottla/protocol"
)

// bell counts its rings and lets a test wait for one.
type bell struct {
	rings atomic.Int32
	ch    chan struct{}
}

func newBell() *bell { return &bell{ch: make(chan struct{}, 16)} }

func (b *bell) Wake() {
	b.rings.Add(1)
	b.ch <- struct{}{}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

func TestFiring(t *testing.T) {
	tests := map[string]struct {
		run      func(w *Waiter, a, b *List)
		rings    int32
		reason   Reason
		outcomes []Reason
	}{
		"offset reached before registration": {
			run:   func(w *Waiter, a, b *List) { a.Advance(5, 10); w.Offset(a, 5); w.Ready(0) },
			rings: 1, reason: Reached, outcomes: []Reason{Reached},
		},
		"offset reached after Ready": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); w.Ready(0); a.Advance(4, 1); a.Advance(5, 1) },
			rings: 1, reason: Reached, outcomes: []Reason{Reached},
		},
		"reached between Offset and Ready": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); a.Advance(9, 1); w.Ready(0) },
			rings: 1, reason: Reached, outcomes: []Reason{Reached},
		},
		"one of two offsets": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); w.Offset(b, 1); w.Ready(0); a.Advance(5, 1) },
			rings: 0, reason: Waiting, outcomes: []Reason{Reached, Waiting},
		},
		"a failed offset lets the other go on": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); w.Offset(b, 1); w.Ready(0); a.Fail(); b.Advance(1, 1) },
			rings: 1, reason: Failed, outcomes: []Reason{Failed, Reached},
		},
		"a failed offset alone": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); w.Offset(b, 1); w.Ready(0); a.Fail() },
			rings: 0, reason: Waiting, outcomes: []Reason{Failed, Waiting},
		},
		"failed before Ready": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 5); a.Fail(); w.Ready(0) },
			rings: 1, reason: Failed, outcomes: []Reason{Failed},
		},
		"failed before registration": {
			run:   func(w *Waiter, a, b *List) { a.Fail(); w.Bytes(a, 0); w.Ready(1) },
			rings: 1, reason: Failed, outcomes: []Reason{Failed},
		},
		"a failed reader fires at once": {
			run:   func(w *Waiter, a, b *List) { w.Bytes(a, 0); w.Bytes(b, 0); w.Ready(1); b.Fail() },
			rings: 1, reason: Failed, outcomes: []Reason{Waiting, Failed},
		},
		"Advance ends a failure and may go back": {
			run: func(w *Waiter, a, b *List) {
				a.Advance(9, 0)
				a.Fail()
				a.Advance(3, 0)
				w.Offset(a, 4)
				w.Ready(0)
			},
			rings: 0, reason: Waiting, outcomes: []Reason{Waiting},
		},
		"a lower Advance changes nothing": {
			run:   func(w *Waiter, a, b *List) { a.Advance(9, 0); a.Advance(3, 0); w.Offset(a, 9); w.Ready(0) },
			rings: 1, reason: Reached, outcomes: []Reason{Reached},
		},
		"bytes of two partitions add up": {
			run: func(w *Waiter, a, b *List) {
				w.Bytes(a, 0)
				w.Bytes(b, 0)
				w.Ready(10)
				a.Advance(1, 6)
				b.Advance(1, 4)
			},
			rings: 1, reason: Reached, outcomes: []Reason{Waiting, Waiting},
		},
		"not enough bytes": {
			run:   func(w *Waiter, a, b *List) { w.Bytes(a, 0); w.Ready(10); a.Advance(1, 9) },
			rings: 0, reason: Waiting, outcomes: []Reason{Waiting},
		},
		"bytes between the read and registration": {
			run:   func(w *Waiter, a, b *List) { seen := a.Visible(); a.Advance(1, 10); w.Bytes(a, seen); w.Ready(10) },
			rings: 1, reason: Reached, outcomes: []Reason{Waiting},
		},
		"bytes before Ready": {
			run:   func(w *Waiter, a, b *List) { w.Bytes(a, 0); a.Advance(1, 10); w.Ready(10); a.Advance(2, 10) },
			rings: 1, reason: Reached, outcomes: []Reason{Waiting},
		},
		"nothing needed": {
			run:   func(w *Waiter, a, b *List) { w.Bytes(a, 0); w.Ready(0) },
			rings: 1, reason: Reached, outcomes: []Reason{Waiting},
		},
		"offset and bytes are both needed": {
			run: func(w *Waiter, a, b *List) {
				w.Offset(a, 1)
				w.Bytes(b, 0)
				w.Ready(3)
				b.Advance(1, 3)
				a.Advance(1, 0)
			},
			rings: 1, reason: Reached, outcomes: []Reason{Reached, Waiting},
		},
		"one list twice": {
			run:   func(w *Waiter, a, b *List) { w.Offset(a, 2); w.Offset(a, 1); w.Ready(0); a.Advance(2, 0) },
			rings: 1, reason: Reached, outcomes: []Reason{Reached, Reached},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, w, ring := New(), new(Waiter), newBell()
			for use := range 3 { // the third has nodes and links left by the others
				var a, b List
				ring.rings.Store(0)
				p.Start(w, ring, soon())
				tt.run(w, &a, &b)
				if got := ring.rings.Load(); got != tt.rings {
					t.Fatalf("use %d: woken %d times, want %d", use, got, tt.rings)
				}
				if got := w.Finish(); got != tt.reason {
					t.Fatalf("use %d: reason %d, want %d", use, got, tt.reason)
				}
				for i, want := range tt.outcomes {
					if got := w.Outcome(i); got != want {
						t.Errorf("use %d: outcome %d is %d, want %d", use, i, got, want)
					}
				}
				nothingIsLinked(t, p, &a, &b)
				a.Advance(100, 100)
				b.Fail()
				if got := ring.rings.Load(); got != tt.rings {
					t.Fatalf("use %d: woken after Finish", use)
				}
			}
		})
	}
}

func nothingIsLinked(t *testing.T, p *Purgatory, lists ...*List) {
	t.Helper()
	for i, l := range lists {
		offsets, bytes := l.Waiting()
		if offsets || bytes || l.offsets.head != nil || l.offsets.tail != nil || l.bytes.head != nil || l.bytes.tail != nil {
			t.Errorf("list %d is not empty", i)
		}
	}
	p.wheel.mu.Lock()
	defer p.wheel.mu.Unlock()
	if p.wheel.count != 0 || p.wheel.busy != [len(p.wheel.busy)]uint64{} || p.wheel.slots != [wheelSlots]*Waiter{} {
		t.Errorf("wheel is not empty")
	}
}

func TestStartBeforeFinishPanics(t *testing.T) {
	p, w := New(), new(Waiter)
	p.Start(w, newBell(), soon())
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	p.Start(w, newBell(), soon())
}

// TestAdvanceIsNeverLost has readers that read, register and wait, and a writer that stops after the last one needed byte: a lost wake-up would hang them.
func TestAdvanceIsNeverLost(t *testing.T) {
	const readers, lists, rounds, step = 4, 3, 400, 7
	p := New()
	var parts [lists]List
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			w, ring := new(Waiter), newBell()
			for round := range int64(rounds) {
				// Every list passes offset round+1 and (round+1)*step bytes: wait for that point in each way.
				p.Start(w, ring, soon())
				for i := range parts {
					w.Offset(&parts[i], protocol.Offset(round+1))
				}
				w.Ready(0)
				<-ring.ch
				if r := w.Finish(); r != Reached {
					t.Errorf("reason %d", r)
				}
				p.Start(w, ring, soon())
				seen := parts[0].Visible()
				w.Bytes(&parts[0], seen)
				w.Ready((round+1)*step - seen)
				<-ring.ch
				if r := w.Finish(); r != Reached {
					t.Errorf("reason %d", r)
				}
			}
		})
	}
	for i := range parts {
		wg.Go(func() {
			for o := range rounds {
				parts[i].Advance(protocol.Offset(o+1), step)
			}
		})
	}
	wg.Wait()
	nothingIsLinked(t, p, &parts[0], &parts[1], &parts[2])
}

// TestFiresOnce lets offset, bytes, failure and deadline race for one waiter, with a Finish that does not wait.
func TestFiresOnce(t *testing.T) {
	p := New()
	w := new(Waiter)
	for round := range 500 {
		ring := newBell()
		var a, b List
		p.Start(w, ring, time.Now().Add(time.Duration(round%3)*time.Millisecond))
		w.Offset(&a, 1)
		w.Bytes(&b, 0)
		var wg sync.WaitGroup
		wg.Go(func() { a.Advance(1, 1) })
		wg.Go(func() { b.Advance(1, 1) })
		if round%2 == 0 {
			wg.Go(func() { b.Fail() })
		}
		w.Ready(1)
		if round%4 == 0 {
			w.Finish() // a dead connection
			wg.Wait()
		} else {
			wg.Wait()
			<-ring.ch
			if w.Finish() == Waiting {
				t.Fatal("woken without a reason")
			}
		}
		if n := ring.rings.Load(); n > 1 {
			t.Fatalf("woken %d times", n)
		}
		nothingIsLinked(t, p, &a, &b)
	}
}
