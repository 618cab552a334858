package purgatory

import (
	"math/bits"
	"sync"
	"time"
)

const (
	tick       = 10 * time.Millisecond
	wheelSlots = 1024 // a power of two; one turn is 10.24 s
	noDeadline = 0    // ticks of real deadlines start at 1
)

// wheel holds the deadlines: a waiter hangs in the slot of its tick modulo the number of slots, so adding and removing take constant time. A deadline more than
// a turn ahead is passed over when its slot comes up too early. One timer is armed for the first slot that is not empty; when nothing waits any more it is left to run
// out once and is then not armed again, which is cheaper than to stop it after every reply.
type wheel struct {
	epoch time.Time // tick 0

	mu    sync.Mutex
	slots [wheelSlots]*Waiter
	busy  [wheelSlots / 64]uint64 // one bit per slot that is not empty
	count int
	now   int64 // the last tick that was expired
	timer *time.Timer
	next  int64 // the tick for which the timer is armed; 0 if it is not
}

// tickOf rounds a deadline up to the next tick: a waiter may expire up to two ticks late, never early.
func (wh *wheel) tickOf(deadline time.Time) int64 {
	if deadline.IsZero() {
		return noDeadline
	}
	return max(1, int64((deadline.Sub(wh.epoch)-1)/tick)+1)
}

func (wh *wheel) add(w *Waiter) {
	wh.mu.Lock()
	defer wh.mu.Unlock()
	if wh.count == 0 {
		wh.now = int64(time.Since(wh.epoch) / tick) // nothing waited meanwhile: no slot needs to be looked at
	}
	w.deadline = max(w.deadline, wh.now+1)
	slot := w.deadline % wheelSlots
	w.slotPrev, w.slotNext = nil, wh.slots[slot]
	if w.slotNext != nil {
		w.slotNext.slotPrev = w
	}
	wh.slots[slot] = w
	wh.busy[slot/64] |= 1 << (slot % 64)
	w.inWheel = true
	wh.count++
	if wh.next == 0 || w.deadline < wh.next {
		wh.arm(w.deadline)
	}
}

// remove takes w out if it is still in. After it returns the wheel does not touch w.
func (wh *wheel) remove(w *Waiter) {
	wh.mu.Lock()
	defer wh.mu.Unlock()
	if w.inWheel {
		wh.unlink(w)
	}
}

func (wh *wheel) unlink(w *Waiter) {
	slot := w.deadline % wheelSlots
	if w.slotPrev != nil {
		w.slotPrev.slotNext = w.slotNext
	} else {
		wh.slots[slot] = w.slotNext
	}
	if w.slotNext != nil {
		w.slotNext.slotPrev = w.slotPrev
	}
	if wh.slots[slot] == nil {
		wh.busy[slot/64] &^= 1 << (slot % 64)
	}
	w.slotNext, w.slotPrev, w.inWheel = nil, nil, false
	wh.count--
}

// arm sets the timer for the given tick. The caller holds mu.
func (wh *wheel) arm(at int64) {
	wh.next = at
	wait := time.Until(wh.epoch.Add(time.Duration(at) * tick))
	if wh.timer == nil {
		wh.timer = time.AfterFunc(wait, wh.expire)
		return
	}
	wh.timer.Reset(wait)
}

// expire completes the waiters whose deadline has passed. It is the timer's function; two calls may overlap when the timer was set again meanwhile.
func (wh *wheel) expire() {
	wh.mu.Lock()
	now := int64(time.Since(wh.epoch) / tick)
	var fired *wakes
	for wh.now < now && wh.count > 0 {
		at := wh.nextBusy(wh.now + 1)
		if at > now {
			break
		}
		fired = wh.expireSlot(at%wheelSlots, now, fired)
		wh.now = at
	}
	wh.now = max(wh.now, now)
	wh.next = 0
	if wh.count > 0 {
		wh.arm(wh.nextBusy(wh.now + 1))
	}
	wh.mu.Unlock()
	fired.call()
}

// expireSlot completes what is due in one slot. The caller holds mu.
func (wh *wheel) expireSlot(slot, now int64, fired *wakes) *wakes {
	for w := wh.slots[slot]; w != nil; {
		following := w.slotNext
		if w.deadline <= now {
			wh.unlink(w)
			if w.complete(Expired) {
				fired = fired.add(w)
			}
		}
		w = following
	}
	return fired
}

// nextBusy is the first tick from the given one on whose slot is not empty. The caller holds mu and knows that there is one.
func (wh *wheel) nextBusy(from int64) int64 {
	for at := from; ; {
		slot := at % wheelSlots
		if word := wh.busy[slot/64] >> (slot % 64); word != 0 {
			return at + int64(bits.TrailingZeros64(word))
		}
		at += 64 - slot%64
	}
}
