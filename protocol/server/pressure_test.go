package server

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const goodPatience = 2 * time.Second

// askGood sends one large request of a client that behaves, and wants its answer soon.
func askGood(t *testing.T, f *fixture, c net.Conn) {
	t.Helper()
	body := strings.Repeat("g", 300<<10)
	start := time.Now()
	go func() { _, _ = c.Write(request(keyBig, 9, body)) }()
	wantReply(t, c, 9, body)
	if took := time.Since(start); took > goodPatience {
		t.Errorf("a good client's request took %v", took)
	}
}

func drainInto(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestAnnouncedFramesDoNotHoldTheMemory: a few clients announce frames that take the whole budget and send them not at all, or byte by byte.
func TestAnnouncedFramesDoNotHoldTheMemory(t *testing.T) {
	tests := map[string]func(c net.Conn, whole []byte){
		"eight bytes": func(c net.Conn, whole []byte) { _, _ = c.Write(whole[:8]) },
		"a trickle": func(c net.Conn, whole []byte) {
			for i := range 1000 {
				if _, err := c.Write(whole[i*100 : (i+1)*100]); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		},
		"what the smallest buffer holds": func(c net.Conn, whole []byte) { _, _ = c.Write(whole[:smallBuffer]) },
		"one byte short": func(c net.Conn, whole []byte) {
			_, _ = c.Write(whole[:9])
			time.Sleep(time.Millisecond)
			_, _ = c.Write(whole[9 : len(whole)-1])
		},
	}
	for name, attack := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startMem(t, Options{MemoryBudget: 16 << 20, Dispatcher: dispatcherFunc(echo)})
				good := f.dial()
				askGood(t, f, good)
				whole := request(keyBig, 1, strings.Repeat("b", 7<<20))
				var attackers sync.WaitGroup
				for range 50 {
					c := f.dial()
					attackers.Go(func() { drainInto(c) })
					attackers.Go(func() { attack(c, whole) })
				}
				for range 5 {
					time.Sleep(time.Second)
					askGood(t, f, good)
				}
				good.Close()
				f.shutdown()
				attackers.Wait()
			})
		})
	}
}

// TestStrangersDoNotHoldUpThoseWhoSend: many clients announce frames of the size that the good one sends, so that they queue where it does, and send some of them.
func TestStrangersDoNotHoldUpThoseWhoSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{MemoryBudget: 16 << 20, Dispatcher: dispatcherFunc(echo)})
		good := f.dial()
		askGood(t, f, good)
		whole := request(keyBig, 1, strings.Repeat("b", 1<<20-1<<10))
		var attackers sync.WaitGroup
		for range 1000 {
			c := f.dial()
			attackers.Go(func() { drainInto(c) })
			attackers.Go(func() { _, _ = c.Write(whole[:2*smallBuffer]) })
		}
		synctest.Wait()
		for range 5 {
			start := time.Now()
			askGood(t, f, good)
			if took := time.Since(start); took != 0 {
				t.Errorf("a client that sends what it announces waited %v", took)
			}
			time.Sleep(time.Second / 3)
		}
		late := f.dial() // a stranger itself: behind the others, who lose their turn one after the other
		start := time.Now()
		body := strings.Repeat("l", 300<<10)
		go func() { _, _ = late.Write(request(keyBig, 9, body)) }()
		wantReply(t, late, 9, body)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("a new client's request took %v", took)
		}
		late.Close()
		good.Close()
		f.shutdown()
		attackers.Wait()
	})
}

// TestStrangersBufferGrowsWithItsFrame: memory for all of a stranger's frame is taken, but allocated only for what has come, and the frame is whole in the end.
func TestStrangersBufferGrowsWithItsFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const strangers, size = 4, 7 << 20
		f := startMem(t, Options{MemoryBudget: 4 * strangers * size, Dispatcher: dispatcherFunc(echo)})
		body := strings.Repeat("0123456", size/7)
		whole := request(keyBig, 1, body)
		var conns [strangers]net.Conn
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range conns {
			conns[i] = f.dial()
			send(t, conns[i], whole[:2*smallBuffer])
		}
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if used := f.strangers.used; used < strangers*size {
			t.Errorf("%d bytes are taken for %d frames of %d", used, strangers, size)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > size/4 {
			t.Errorf("%d bytes were allocated for the beginnings of frames", n)
		}
		for _, c := range conns {
			go func() { _, _ = c.Write(append(slices.Clone(whole[2*smallBuffer:]), request(keyEcho, 2, "next")...)) }()
			wantReply(t, c, 1, body)
			wantReply(t, c, 2, "next")
			c.Close()
		}
		synctest.Wait()
		if f.strangers.used != 0 || f.budget.used != 0 {
			t.Errorf("%d and %d bytes stay taken", f.strangers.used, f.budget.used)
		}
		f.shutdown()
	})
}

// TestFrameBehindAFullRingHoldsNoMemory: requests that stay parked, and behind them a frame that there is no slot for.
func TestFrameBehindAFullRingHoldsNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		park := newParking()
		f := startMem(t, Options{MemoryBudget: 16 << 20, MaxInFlight: 4, Dispatcher: dispatcherFunc(func(c *Call) {
			if c.Key == keyBig {
				echo(c)
				return
			}
			park.Dispatch(c)
		})})
		good := f.dial()
		for range 5 {
			c := f.dial()
			for i := range int32(4) {
				send(t, c, request(keyEcho, i, ""))
			}
			go func() { _, _ = c.Write(request(keyBig, 5, strings.Repeat("b", 7<<20))) }()
		}
		synctest.Wait()
		if used := f.budget.used; used > 1<<20 {
			t.Errorf("%d bytes are held by frames that wait for a slot", used)
		}
		askGood(t, f, good)
		good.Close()
		f.shutdown()
	})
}

// TestRepliesThatNobodyReadsAreBounded: many clients ask for large replies and do not take them; the memory for those stays bounded, and a good client is served.
func TestRepliesThatNobodyReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, budget = 900 << 10, 16 << 20
		var made atomic.Int64
		f := startMem(t, Options{MemoryBudget: budget, Dispatcher: dispatcherFunc(func(c *Call) {
			if c.Key == keyBig {
				echo(c)
				return
			}
			if err := c.AwaitRoom(); err != nil {
				c.Close(err)
				return
			}
			made.Add(1)
			c.Reply.SetBuf(append(c.Reply.Buf(), make([]byte, size)...))
			time.Sleep(time.Millisecond) // as good as a slow one on a busy processor
			c.Done()
		})})
		good := f.dial()
		defer f.shutdown()
		for range 100 {
			c := f.dial()
			defer c.Close()
			send(t, c, request(keyEcho, 1, ""))
		}
		time.Sleep(patience / 2)
		if n := made.Load() * size; n > budget/2+2*size*int64(runtime.GOMAXPROCS(0)) {
			t.Errorf("%d bytes of replies wait for clients that do not read", n)
		}
		for range 5 {
			send(t, good, request(keyEcho, 1, ""))
			start := time.Now()
			wantReply(t, good, 1, string(make([]byte, size)))
			if took := time.Since(start); took > 20*time.Second { // in its turn, behind those who were there first
				t.Errorf("a good client's request took %v", took)
			}
		}
	})
}

// TestPipelinedLateRepliesAreMadeOneByOne: parked calls with large replies that become ready together.
func TestPipelinedLateRepliesAreMadeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 700 << 10
		calls := make(chan *Call, 64)
		var made atomic.Int64
		late := finisherFunc(func(c *Call) {
			if made.Add(1); c.Alive() {
				c.Reply.SetBuf(append(c.Reply.Buf(), make([]byte, size)...))
			}
		})
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) { c.Park(late); calls <- c })})
		c := f.dial()
		for i := range int32(32) {
			send(t, c, request(keyEcho, i, ""))
		}
		for range 32 {
			(<-calls).Wake()
		}
		synctest.Wait()
		if n := made.Load(); n > 3 {
			t.Errorf("%d replies were made for a client that reads none", n)
		}
		for i := range int32(32) {
			wantReply(t, c, i, string(make([]byte, size)))
		}
		c.Close()
		f.shutdown()
	})
}

// TestHoldIsBoundedAndComesBack: what parked calls hold is bounded, and given back when they are answered or their connection goes.
func TestHoldIsBoundedAndComesBack(t *testing.T) {
	for name, hangsUp := range map[string]bool{"answered": false, "connection gone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				park := newParking()
				var refused atomic.Int32
				f := startMem(t, Options{MemoryBudget: 4 << 20, Dispatcher: dispatcherFunc(func(c *Call) {
					if !c.Hold(100 << 10) {
						refused.Add(1)
						echo(c)
						return
					}
					park.Dispatch(c)
				})})
				c := f.dial()
				for i := range int32(20) {
					send(t, c, request(keyEcho, i, ""))
				}
				synctest.Wait()
				if n := len(park.calls); n != 10 || refused.Load() != 10 {
					t.Errorf("%d calls hold 100 KiB each of half of 2 MiB, %d do not", n, refused.Load())
				}
				if !hangsUp {
					for range 10 {
						(<-park.calls).Wake()
					}
					for i := range int32(10) {
						_, _, err := readReply(c)
						if err != nil {
							t.Fatal(i, err)
						}
					}
				}
				c.Close()
				synctest.Wait()
				if used := f.replies.used; used != 0 {
					t.Errorf("%d bytes stay held", used)
				}
				f.shutdown()
			})
		})
	}
}

// TestRepliesHoldNoBytesOfOthers is CVE-2026-35554's class: buffers go from frames to replies and from client to client, and no byte may travel with them.
func TestRepliesHoldNoBytesOfOthers(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
			switch mine := bytes.Repeat([]byte{c.ClientID[0]}, len(c.Body)); {
			case !bytes.Equal(mine, c.Body):
				t.Errorf("client %q got a frame with other bytes", c.ClientID)
				c.Close(io.ErrUnexpectedEOF)
			case c.CorrelationID%3 == 0:
				clear(c.Body)
				c.Park(finisherFunc(func(c *Call) { c.Reply.SetBuf(append(c.Reply.Buf(), mine...)) }))
				go c.Wake()
			default:
				c.Reply.SetBuf(append(c.Reply.Buf(), mine...))
				clear(c.Body) // the frame is the handler's to write on until Dispatch returns
				c.Done()
			}
		})})
		done := make(chan struct{})
		for i := range 6 {
			go func() {
				defer func() { done <- struct{}{} }()
				c := f.dial()
				defer c.Close()
				id := string(rune('a' + i))
				for n := range int32(60) {
					size := int(n*n) * (i + 1) % 40_000
					body := strings.Repeat(id, size)
					if _, err := c.Write(append(requestFrom(id, keyEcho, n, body), requestFrom(id, keyEcho, n+1, body)...)); err != nil {
						t.Error(err)
						return
					}
					for range 2 {
						if _, b, err := readReply(c); err != nil || string(b) != body {
							t.Errorf("client %s got %d bytes, %d of them its own, %v", id, len(b), strings.Count(string(b), id), err)
							return
						}
					}
				}
			}()
		}
		for range 6 {
			<-done
		}
	})
}

func TestReplyThatIsTooLongForAFrameClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(func(c *Call) {
			for range 3 {
				c.Reply.Range(endless{}, 0, 1<<30)
			}
			c.Done()
		})})
		c := f.dial()
		send(t, c, request(keyEcho, 1, ""))
		wantClosed(t, c)
		f.shutdown()
		if lines := f.logs.lines(); len(lines) != 1 || !strings.Contains(lines[0], errReplyTooLarge.Error()) {
			t.Errorf("log: %q", lines)
		}
	})
}

type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (endless) FD() (uintptr, bool)                   { return 0, false }
func (endless) Release()                              {}

func TestSoftwareIsCapped(t *testing.T) {
	c := new(Conn)
	c.SetSoftware(strings.Repeat("n", 60_000), "1.2")
	if name, version := c.Software(); len(name) != maxSoftware || version != "1.2" {
		t.Errorf("%d bytes of the name, version %q", len(name), version)
	}
}
