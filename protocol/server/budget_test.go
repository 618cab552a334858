package server

import (
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{total: 100}
		gone, stop := make(chan struct{}), make(chan struct{})
		if !b.acquire(60, gone, stop) {
			t.Fatal("not granted")
		}
		var order []int
		var mu sync.Mutex
		for i, n := range []int{90, 10, 1000, 30} { // the small ones may not pass the large one; 1000 means all there is
			go func() {
				if b.acquire(n, gone, stop) {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(time.Second)
					b.release(n)
				}
			}()
			synctest.Wait()
		}
		if b.tryAcquire(1) {
			t.Error("tryAcquire passed the queue")
		}
		b.release(60)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(order) != 4 || b.used != 0 {
			t.Fatalf("order %v, %d used", order, b.used)
		}
		if order[0]+order[1] != 1 || order[2] != 2 || order[3] != 3 { // 90 and 10 fit together
			t.Errorf("order %v", order)
		}
	})
}

func TestBudgetGivesUp(t *testing.T) {
	for name, which := range map[string]int{"connection gone": 0, "server stops": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := budget{total: 100}
				ends := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
				b.acquire(100, nil, nil)
				got, behind := make(chan bool, 1), make(chan bool, 1)
				go func() { got <- b.acquire(100, ends[0], ends[1]) }()
				synctest.Wait()
				go func() { behind <- b.acquire(50, nil, nil) }()
				synctest.Wait()
				b.release(50)
				close(ends[which])
				if <-got || !<-behind {
					t.Error("granted to the one that gave up, or not to the one behind")
				}
				b.release(50)
				b.release(50)
				if b.used != 0 || len(b.waiters) != 0 {
					t.Errorf("%d used, %d wait", b.used, len(b.waiters))
				}
			})
		})
	}
}

// TestBudgetNeverExceeded has many goroutines take, give back and give up.
func TestBudgetNeverExceeded(t *testing.T) {
	b := budget{total: 1000}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			closed := make(chan struct{})
			close(closed)
			for range 2000 {
				n := 1 + r.IntN(600)
				var gone chan struct{}
				if r.IntN(4) == 0 {
					gone = closed
				}
				if !b.acquire(n, gone, nil) {
					continue
				}
				b.mu.Lock()
				if b.used > b.total || b.used < int64(n) {
					t.Errorf("%d used of %d", b.used, b.total)
				}
				b.mu.Unlock()
				b.release(n)
			}
		})
	}
	wg.Wait()
	if b.used != 0 || len(b.waiters) != 0 {
		t.Errorf("%d used, %d wait", b.used, len(b.waiters))
	}
}

// TestLargeFramesShareTheBudget: twenty connections with frames that fit only one at a time are all served, small requests meanwhile too, and nothing stays held.
func TestLargeFramesShareTheBudget(t *testing.T) {
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		f := start(Options{MemoryBudget: 5 << 20, Dispatcher: dispatcherFunc(echo)})
		body := strings.Repeat("b", 4<<20)
		var wg sync.WaitGroup
		for i := range int32(20) {
			c := f.dial()
			wg.Go(func() {
				defer c.Close()
				wg.Go(func() { _, _ = c.Write(request(keyBig, i, body)) })
				if got, b, err := readReply(c); got != i || string(b) != body || err != nil {
					t.Errorf("reply %d with %d bytes, %v", got, len(b), err)
				}
			})
		}
		small := f.dial()
		for i := range int32(50) {
			send(t, small, request(keyEcho, i, "small"))
			wantReply(t, small, i, "small")
		}
		small.Close()
		wg.Wait()
	})
}

// TestBudgetIsReleasedWhenFramesNeverComplete: clients that hang up or stall within a large frame, and one that waits for the budget when the server stops.
func TestBudgetIsReleasedWhenFramesNeverComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{MemoryBudget: 5 << 20, FrameTimeout: 10 * time.Second, Dispatcher: dispatcherFunc(echo)})
		part := request(keyBig, 1, strings.Repeat("b", 4<<20))[:100_000]
		hangsUp, stalls, waits := f.dial(), f.dial(), f.dial()
		for _, c := range []net.Conn{hangsUp, stalls, waits} {
			send(t, c, part)
			synctest.Wait()
		}
		hangsUp.Close()
		synctest.Wait()
		held := func() (int64, int) {
			f.budget.mu.Lock()
			defer f.budget.mu.Unlock()
			f.strangers.mu.Lock()
			defer f.strangers.mu.Unlock()
			return f.budget.used, len(f.strangers.waiters)
		}
		if used, waiting := held(); used != 4<<20+1<<20 || waiting != 1 {
			t.Errorf("%d bytes held and %d waiting after one of three hung up", used, waiting)
		}
		time.Sleep(75 * time.Second) // 10 s and a second per 64 KiB
		if used, waiting := held(); used == 0 || waiting != 0 {
			t.Errorf("%d bytes held and %d waiting after one of two stalled", used, waiting)
		}
		again := f.dial()
		send(t, again, part)
		synctest.Wait()
		if _, waiting := held(); waiting != 1 {
			t.Errorf("%d waiting", waiting)
		}
		f.shutdown()
	})
}
