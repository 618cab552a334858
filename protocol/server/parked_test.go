package server

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// parking parks every call and hands it to the test.
type parking struct {
	calls    chan *Call
	ends     chan struct{} // a token per Finish
	finished atomic.Int32
	alive    atomic.Int32
}

func newParking() *parking {
	return &parking{calls: make(chan *Call, 1024), ends: make(chan struct{}, 4096)}
}

func (p *parking) Dispatch(c *Call) {
	c.Park(p)
	p.calls <- c
}

// next is the next parked call; nil if there is none and it is not to wait. A nil in the channel ends a waiting caller.
func (p *parking) next(wait bool) (call *Call, open bool) {
	if wait {
		call = <-p.calls
		return call, call != nil
	}
	select {
	case call = <-p.calls:
		return call, call != nil
	default:
		return nil, true
	}
}

func (p *parking) Finish(c *Call) {
	defer func() { p.ends <- struct{}{} }()
	p.finished.Add(1)
	if c.Alive() {
		p.alive.Add(1)
		c.Reply.SetBuf(fmt.Appendf(c.Reply.Buf(), "late %d", c.CorrelationID))
	}
}

// TestRepliesKeepTheirOrder mixes replies at once, late ones woken in random order by several goroutines, some before Dispatch returns, and ones without answer.
func TestRepliesKeepTheirOrder(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		const requests, wakers = 3000, 4
		park := newParking()
		f := start(Options{MaxInFlight: 16, Dispatcher: dispatcherFunc(func(c *Call) {
			switch c.CorrelationID % 5 {
			case 0:
				echo(c)
			case 1:
				c.NoReply()
			case 2:
				c.Park(park)
				c.Wake()
			default:
				park.Dispatch(c)
			}
		})})
		var wg sync.WaitGroup
		for i := range wakers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				var held []*Call
				for {
					call, open := park.next(len(held) == 0)
					if call != nil {
						held = append(held, call)
					}
					if len(held) > 3 || call == nil && len(held) > 0 {
						k := r.IntN(len(held))
						held[k].Wake()
						held[k] = held[len(held)-1]
						held = held[:len(held)-1]
					}
					if !open && len(held) == 0 {
						return
					}
				}
			})
		}
		c := f.dial()
		go func() {
			for i := int32(0); i < requests; {
				var b []byte
				for range 1 + i%20 {
					b = append(b, request(keyEcho, i, "now")...)
					i++
				}
				if _, err := c.Write(b); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		r := bufio.NewReader(c)
		for i := range int32(requests) {
			switch i % 5 {
			case 0:
				wantReply(t, r, i, "now")
			case 1:
			default:
				wantReply(t, r, i, fmt.Sprintf("late %d", i))
			}
		}
		for range wakers {
			park.calls <- nil
		}
		wg.Wait()
		c.Close()
	})
}

func TestFinishWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		park := newParking()
		f := startMem(t, Options{Dispatcher: park})
		c := f.dial()
		send(t, c, append(request(keyEcho, 1, ""), request(keyEcho, 2, "")...))
		first, second := <-park.calls, <-park.calls
		second.Wake()
		synctest.Wait()
		if n := park.finished.Load(); n != 0 {
			t.Fatalf("%d calls finished though the oldest waits", n)
		}
		first.Wake()
		wantReply(t, c, 1, "late 1")
		wantReply(t, c, 2, "late 2")
		f.shutdown()
	})
}

func TestParkedCallsOfADeadConnectionAreFinished(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		park := newParking()
		c := start(Options{Dispatcher: park}).dial()
		send(t, c, append(request(keyEcho, 1, ""), request(keyEcho, 2, "")...))
		first, second := <-park.calls, <-park.calls
		second.Wake()
		c.Close()
		<-park.ends
		<-park.ends
		if park.finished.Load() != 2 || park.alive.Load() != 0 || first.Alive() {
			t.Errorf("%d finished, %d of them alive", park.finished.Load(), park.alive.Load())
		}
		first.Wake() // late, and harmless
		if park.finished.Load() != 2 {
			t.Error("finished twice")
		}
	})
}

func TestRingFullStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		park := newParking()
		f := startMem(t, Options{Dispatcher: park, MaxInFlight: 3})
		c := f.dial()
		for i := range int32(10) {
			send(t, c, request(keyEcho, i, ""))
		}
		for i := range int32(10) {
			synctest.Wait()
			if got, want := len(park.calls), min(3, 10-int(i)); i == 0 && got != want {
				t.Fatalf("%d calls dispatched, want %d", got, want)
			}
			(<-park.calls).Wake()
			wantReply(t, c, i, fmt.Sprintf("late %d", i))
		}
		f.shutdown()
	})
}

func TestCloseLetsEarlierRepliesLeave(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		park := newParking()
		f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
			switch c.CorrelationID {
			case 1:
				echo(c)
			case 2:
				park.Dispatch(c)
			case 3:
				c.Close(errors.New("no more of \x1b[31m this"))
			default:
				t.Errorf("call %d dispatched after Close", c.CorrelationID)
				c.NoReply()
			}
		})})
		c := f.dial()
		var b []byte
		for i := range int32(4) {
			b = append(b, requestFrom("evil\n\x00"+strings.Repeat("x", 500), keyEcho, i+1, "body")...)
		}
		send(t, c, b)
		wantReply(t, c, 1, "body")
		(<-park.calls).Wake()
		wantReply(t, c, 2, "late 2")
		wantClosed(t, c)
		f.shutdown()
		lines := f.logs.lines()
		if len(lines) != 1 || !strings.Contains(lines[0], "no more of") || strings.ContainsAny(lines[0], "\x00\x1b") || len(lines[0]) > 600 {
			t.Errorf("log: %q", lines)
		}
	})
}

func TestShutdown(t *testing.T) {
	tests := map[string]struct {
		wake  bool
		reply bool
	}{
		"what becomes ready leaves":    {wake: true, reply: true},
		"what stays parked is dropped": {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				park := newParking()
				f := startMem(t, Options{Dispatcher: park})
				idle, c, half := f.dial(), f.dial(), f.dial()
				send(t, c, request(keyEcho, 1, ""))
				send(t, half, request(keyEcho, 1, "")[:9])
				call := <-park.calls
				synctest.Wait()
				if tt.wake {
					time.AfterFunc(shutdownGrace/2, call.Wake)
				}
				start := time.Now()
				f.shutdown()
				if took := time.Since(start); took > shutdownGrace {
					t.Errorf("took %v", took)
				}
				if tt.reply {
					wantReply(t, c, 1, "late 1")
				}
				wantClosed(t, c)
				wantClosed(t, idle)
				wantClosed(t, half)
				if park.finished.Load() != 1 {
					t.Errorf("finished %d times", park.finished.Load())
				}
			})
		})
	}
}

func TestShutdownGivesUpOnASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) {
			c.Reply.SetBuf(append(c.Reply.Buf(), make([]byte, 4<<20)...))
			c.Done()
		})})
		c := f.dial()
		send(t, c, request(keyEcho, 1, ""))
		synctest.Wait()
		start := time.Now()
		if err := f.Shutdown(t.Context()); err != nil || time.Since(start) > shutdownGrace+drainTime {
			t.Errorf("shutdown: %v after %v", err, time.Since(start))
		}
		if lines := f.logs.lines(); len(lines) != 1 {
			t.Errorf("log: %q", lines)
		}
		if err := <-f.served; err != nil {
			t.Error(err)
		}
		f.nothingIsHeld()
		c.Close()
	})
}

// TestGoroutinesDoNotGrowWithRequests: at most two per connection, however many requests wait.
func TestGoroutinesDoNotGrowWithRequests(t *testing.T) {
	park := newParking()
	f := startTCP(t, Options{Dispatcher: park, MaxInFlight: 200})
	c := f.dial()
	send(t, c, request(keyEcho, 0, ""))
	first := <-park.calls
	before := runtime.NumGoroutine()
	var b []byte
	for i := range int32(150) {
		b = append(b, request(keyEcho, i+1, "")...)
	}
	send(t, c, b)
	calls := []*Call{first}
	for range 150 {
		calls = append(calls, <-park.calls)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines with 151 requests in flight, %d with one", n, before)
	}
	for _, call := range calls {
		call.Wake()
	}
	r := bufio.NewReader(c)
	for i := range int32(151) {
		wantReply(t, r, i, fmt.Sprintf("late %d", i))
	}
}

// TestHangUpIsNoticedBehindAFullRing: a client that leaves while its ring is full of long polls, with more sent than is read.
func TestHangUpIsNoticedBehindAFullRing(t *testing.T) {
	park := newParking()
	f := startTCP(t, Options{Dispatcher: park, MaxInFlight: 2})
	c := f.dial()
	for i := range int32(50) {
		send(t, c, request(keyEcho, i, strings.Repeat("x", 1000)))
	}
	<-park.calls
	<-park.calls
	c.Close()
	<-park.ends
	<-park.ends
}
