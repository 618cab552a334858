package server

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// settler wakes what was parked when it settles; while stuck is not nil, it waits for that first.
type settler struct {
	parking
	stuck chan struct{}
	left  atomic.Int32
}

func (s *settler) Dispatch(c *Call) {
	s.left.Add(1)
	s.parking.Dispatch(c)
}

func (s *settler) Unsettled() bool { return s.left.Load() > 0 }

func (s *settler) Settle() {
	if s.stuck != nil {
		<-s.stuck
	}
	for s.left.Load() > 0 {
		s.left.Add(-1)
		if c, _ := s.next(false); c != nil {
			c.Wake()
		}
	}
}

func newSettler() *settler { return &settler{parking: *newParking()} }

// TestAPassSettles sends several requests at once, nothing but settling answers them: also where they are more than the ring holds.
func TestAPassSettles(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		s := newSettler()
		f := start(Options{Dispatcher: s, Settler: s, MaxInFlight: 8})
		c := f.dial()
		defer c.Close()
		for _, n := range []int32{5, 50} {
			var b []byte
			for i := range n {
				b = append(b, request(keyEcho, i, "hello")...)
			}
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				wantReply(t, c, i, fmt.Sprint("late ", i))
			}
		}
	})
}

// TestRepliesLeaveWhileAPassSettles: a disk that hangs in Settle holds up the connection's reader, not the replies to calls that are finished by somebody else.
func TestRepliesLeaveWhileAPassSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSettler()
		s.stuck = make(chan struct{})
		f := startMem(t, Options{Dispatcher: s, Settler: s})
		c := f.dial()
		defer c.Close()
		if _, err := c.Write(request(keyEcho, 7, "hello")); err != nil {
			t.Fatal(err)
		}
		call, _ := s.next(true)
		s.left.Add(-1)
		synctest.Wait()
		call.Wake() // a time-out, for instance
		wantReply(t, c, 7, "late 7")
		close(s.stuck)
		c.Close()
		f.shutdown()
	})
}
