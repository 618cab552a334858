package purgatory

import (
	"testing"
	"time"

	"ottla/protocol"
)

type silent struct{}

func (silent) Wake() {}

// parkAndWake is a long poll on several partitions that a Produce ends.
func parkAndWake(p *Purgatory, w *Waiter, lists []List, offset protocol.Offset) {
	p.Start(w, silent{}, time.Now().Add(500*time.Millisecond))
	for i := range lists {
		w.Bytes(&lists[i], lists[i].Visible())
	}
	w.Offset(&lists[0], offset)
	w.Ready(100)
	lists[0].Advance(offset, 100)
	w.Finish()
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	p, w, lists := New(), new(Waiter), make([]List, 10)
	offset := protocol.Offset(0)
	if n := testing.AllocsPerRun(1000, func() { offset++; parkAndWake(p, w, lists, offset) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParkAndWake(b *testing.B) {
	for name, k := range map[string]int{"1": 1, "100": 100} {
		b.Run("partitions="+name, func(b *testing.B) {
			p, w, lists := New(), new(Waiter), make([]List, k)
			b.ReportAllocs()
			offset := protocol.Offset(0)
			for b.Loop() {
				offset++
				parkAndWake(p, w, lists, offset)
			}
		})
	}
}

func BenchmarkAdvanceWithoutWaiters(b *testing.B) {
	var l List
	b.ReportAllocs()
	offset := protocol.Offset(0)
	for b.Loop() {
		offset++
		l.Advance(offset, 100)
	}
}
