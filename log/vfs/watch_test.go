package vfs

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchKnowsTheLongestCall: by operation and name, from its beginning to its end.
func TestWatchKnowsTheLongestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := NewWatch(NewFaulty(NewMem(), Rule{Ops: OpSync, Before: func() { <-release }}))
		f, err := w.Create("a")
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := w.Longest(); ok {
			t.Errorf("idle: %v", s)
		}
		begun, calls := w.Await(), w.Calls()
		for range 2 {
			go func() { _ = f.SyncData() }()
			time.Sleep(time.Second)
		}
		select {
		case <-begun:
		default:
			t.Error("nobody was woken")
		}
		if s, ok := w.Longest(); !ok || s != (Stall{"fsync", "a", 2 * time.Second}) || w.Calls() != calls+2 {
			t.Errorf("%v %v", s, ok)
		}
		close(release)
		synctest.Wait()
		if s, ok := w.Longest(); ok {
			t.Errorf("idle again: %v", s)
		}
	})
}

// TestWatchAllocatesNothing: also when more calls are under way than it can know.
func TestWatchAllocatesNothing(t *testing.T) {
	w := NewWatch(NewMem())
	f, err := w.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = f.SyncData() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for range watched {
		w.begin(&callName{"fsync", "b"})
	}
	if err := f.SyncData(); err != nil {
		t.Error(err)
	}
}

func BenchmarkWatch(b *testing.B) {
	w, what := NewWatch(NewMem()), callName{"fsync", "a"}
	for b.Loop() {
		w.begin(&what).end()
	}
}
