package log

import (
	"testing"
	"testing/synctest"

	"ottla/log/vfs"
	"ottla/protocol"
)

// TestSettleFlushesWithoutTheFlusher: no goroutine of the store runs, and what was wanted is durable when Settle returns.
func TestSettleFlushesWithoutTheFlusher(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	w := new(watcher)
	l := openLog(t, s, DefaultConfig(), w)
	if s.Unsettled() {
		t.Error("unsettled before anything was wanted")
	}
	mustAppend(t, l, records(0, "a", "b"), 0)
	l.WantFlush()
	if !s.Unsettled() {
		t.Error("settled before Settle")
	}
	s.Settle()
	if got := w.last(); got != 2 || s.Unsettled() {
		t.Errorf("durable up to %d, unsettled %t", got, s.Unsettled())
	}
}

// TestWhoDoesNotSettleIsServedByTheAlarm: a caller that breaks its word costs some milliseconds, no record.
func TestWhoDoesNotSettleIsServedByTheAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, vfs.NewMem())
		stop := run(s)
		defer stop()
		w := newDurableSignal()
		l := openLog(t, s, DefaultConfig(), w)
		mustAppend(t, l, records(0, "a"), 0)
		l.WantFlush()
		<-w.reached
	})
}

// TestSettlingBesideTheFlusherLosesNoWish: two passes cannot run at once; what is wanted while one runs is in the next, whoever runs it.
func TestSettlingBesideTheFlusherLosesNoWish(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	stop := run(s)
	defer stop()
	w := newDurableSignal()
	l := openLog(t, s, DefaultConfig(), w)
	for i := range 2000 {
		mustAppend(t, l, records(0, "a"), 0)
		if i%3 == 0 {
			l.RequestFlush()
		} else {
			l.WantFlush()
			s.Settle()
		}
		for int(l.DurableEndOffset()) <= i {
			<-w.reached
		}
	}
}

// durableSignal gives a token when the durable end has moved.
type durableSignal struct {
	NopObserver
	reached chan struct{}
}

func newDurableSignal() *durableSignal { return &durableSignal{reached: make(chan struct{}, 1)} }

func (d *durableSignal) Durable(*Log, protocol.Offset) {
	select {
	case d.reached <- struct{}{}:
	default:
	}
}
