package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol/memnet"
	"ottla/protocol/peer"
)

// watched is a peer and what it told.
type watched struct {
	*Peer
	ups, downs, gone atomic.Int32
	lastDown         atomic.Pointer[error]
	stop             func()
}

func watch(t *testing.T, o PeerOptions) *watched {
	w := &watched{}
	o.Use = func(ctx context.Context, c *Conn) {
		w.ups.Add(1)
		select {
		case <-c.Done():
		case <-ctx.Done():
		}
	}
	o.Down = func(cause error) { w.downs.Add(1); w.lastDown.Store(&cause) }
	o.Gone = func() { w.gone.Add(1) }
	if o.Target == nil {
		o.Target = func() (Target, bool) { return Target{1, nodeAddress}, true }
	}
	w.Peer = NewPeer(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return w
}

func (w *watched) want(t *testing.T, when string, ups, downs, gone int32) {
	t.Helper()
	if w.ups.Load() != ups || w.downs.Load() != downs || w.gone.Load() != gone {
		t.Errorf("%s: %d up, %d down, %d gone; want %d, %d, %d", when, w.ups.Load(), w.downs.Load(), w.gone.Load(), ups, downs, gone)
	}
}

// A process that is killed is gone within 100 ms, and is connected to again when it is back.
func TestPeerOfAProcessThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		w := watch(t, PeerOptions{Options: n.options()})
		synctest.Wait()
		w.want(t, "connected", 1, 0, 0)
		if w.Conn() == nil {
			t.Error("no connection")
		}
		n.stop()
		time.Sleep(100 * time.Millisecond)
		w.want(t, "killed", 1, 1, 1)
		if !Reset(*w.lastDown.Load()) || w.Conn() != nil {
			t.Errorf("lost by %v, connection %v", *w.lastDown.Load(), w.Conn())
		}
		time.Sleep(10 * time.Second)
		w.want(t, "still away", 1, 1, 1)
		n.start()
		time.Sleep(2 * time.Second)
		w.want(t, "back", 2, 1, 1)
		w.stop()
		n.stop()
	})
}

// A connection that is reset while the process lives, one that times out, and a host that is silent: none of them is gone.
func TestPeerThatIsNotGone(t *testing.T) {
	t.Run("reset", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := startNode(t, memnet.New())
			w := watch(t, PeerOptions{Options: n.options()})
			for i := range int32(5) {
				synctest.Wait()
				w.Conn().End(syscall.ECONNRESET) // as one that comes from outside
				time.Sleep(time.Second)
				w.want(t, "after a reset", i+2, i+1, 0)
			}
			w.stop()
			n.stop()
		})
	})
	t.Run("timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := startNode(t, memnet.New())
			o := n.options()
			o.WriteTimeout = time.Second
			w := watch(t, PeerOptions{Options: o})
			synctest.Wait()
			n.network.Cut("10.0.0.1", "10.0.0.2")
			c := w.Conn()
			for c.Send(t.Context(), peer.KeyRaft, 0, make([]byte, 100_000)) == nil {
			}
			time.Sleep(time.Minute)
			w.want(t, "cut off", 1, 1, 0)
			n.network.Heal("10.0.0.1", "10.0.0.2")
			time.Sleep(10 * time.Second)
			w.want(t, "healed", 2, 1, 0)
			w.stop()
			n.stop()
		})
	})
}

func TestRefused(t *testing.T) {
	refuse := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	hang := errors.New("hang")
	for name, c := range map[string]struct {
		answers []error
		want    bool
	}{
		"all three": {[]error{refuse, refuse, refuse}, true}, "the last is accepted": {[]error{refuse, refuse, nil}, false}, "unreachable": {[]error{syscall.EHOSTUNREACH}, false},
		"silence": {[]error{hang}, false}, "silence at last": {[]error{refuse, refuse, hang}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			dials := 0
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				err := c.answers[dials]
				dials++
				switch {
				case err == nil:
					a, _ := net.Pipe()
					return a, nil
				case errors.Is(err, hang):
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return nil, err
			}
			began := time.Now()
			if got := Refused(t.Context(), dial, "x"); got != c.want || time.Since(began) > 100*time.Millisecond || dials != len(c.answers) {
				t.Errorf("%s: %v after %v and %d dials", name, got, time.Since(began), dials)
			}
		})
	}
}

// Attempts come more and more seldom, but never much; news of the address ends a pause.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		var asked atomic.Int32
		var known atomic.Bool
		node := &node{t: t, network: n, secret: secretOf(t, "correct horse battery"), unmute: make(chan struct{})}
		node.is.ID = 1
		w := watch(t, PeerOptions{Options: node.options(), Backoff: 50 * time.Millisecond, MaxBackoff: time.Minute, Target: func() (Target, bool) {
			asked.Add(1)
			return Target{1, nodeAddress}, known.Load()
		}})
		time.Sleep(time.Hour)
		if a := asked.Load(); a < 50 || a > 140 {
			t.Errorf("%d attempts in an hour", a)
		}
		node.start()
		known.Store(true)
		w.Wake()
		synctest.Wait()
		w.want(t, "woken", 1, 0, 0)
		w.stop()
		node.stop()
	})
}
