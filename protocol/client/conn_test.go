package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol"
	"ottla/protocol/memnet"
	"ottla/protocol/peer"
)

func TestCallsArePipelinedAndMatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		n.network.SetLatency(10 * time.Millisecond)
		c := n.mustDial(n.options())
		began := time.Now()
		replies := make(chan string, 300)
		for i := range 300 {
			body := strings.Repeat("x", i)
			c.Go(t.Context(), peer.KeyForward, 0, []byte(body), func(reply []byte, err error) {
				if err != nil || string(reply) != body {
					t.Errorf("call %d: %d bytes, %v", i, len(reply), err)
				}
				replies <- body
			})
		}
		for i := range 300 {
			if body := <-replies; len(body) != i {
				t.Errorf("reply %d has %d bytes", i, len(body))
			}
		}
		if d := time.Since(began); d > 100*time.Millisecond { // virtual: one after the other would take six seconds
			t.Errorf("300 calls took %v, one way is 10 ms", d)
		}
		if c.Node().ID != 1 || c.Address() != nodeAddress {
			t.Errorf("connected to %+v at %s", c.Node(), c.Address())
		}
		c.Close()
		if !errors.Is(c.Err(), ErrClosed) || Reset(c.Err()) {
			t.Errorf("ended with %v", c.Err())
		}
		if _, err := c.Call(t.Context(), peer.KeyForward, 0, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a call after the end: %v", err)
		}
		n.stop()
	})
}

func TestHelloErrorsAreDistinct(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*node, *Options)
		want   error
	}{
		"wrong secret":  {func(n *node, o *Options) { o.Secret = secretOf(n.t, "another horse battery") }, peer.ErrWrongSecret},
		"other cluster": {func(n *node, _ *Options) { n.is.ClusterID = "another" }, peer.ErrOtherCluster},
		"other node":    {func(n *node, _ *Options) { n.is.ID = 9 }, ErrOtherNode},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := startNode(t, memnet.New())
				o := n.options()
				c.change(n, &o)
				if conn, err := n.dial(o); !errors.Is(err, c.want) {
					t.Errorf("%v, %v", conn, err)
				}
				n.stop()
			})
		})
	}
}

func TestHelloHasALimit(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"silence":      func(net.Conn) {},
		"half a reply": func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 100, 0, 0, 0, 1, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New()
				scripted(t, network, serve)
				began := time.Now()
				o := Options{Dial: network.Host("10.0.0.2"), Secret: secretOf(t, "correct horse battery"), Self: func() peer.Identity { return peer.Identity{} }, HelloTimeout: 3 * time.Second}
				if _, err := Dial(context.Background(), o, Target{protocol.NoBroker, nodeAddress}); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") || time.Since(began) != 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// A caller that gives up gets its answer at once; the reply that comes later is nobody's, and the connection goes on.
func TestDeadlineOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		c := n.mustDial(n.options())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.Call(ctx, peer.KeyJoin, 0, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := c.Call(ctx, peer.KeyJoin, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that had ended: %v", err)
		}
		n.wakeParked()
		if reply, err := c.Call(t.Context(), peer.KeyForward, 0, []byte("next")); err != nil || string(reply) != "next" {
			t.Errorf("%q, %v", reply, err)
		}
		c.Close()
		n.stop()
	})
}

func TestEndAnswersWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		c := n.mustDial(n.options())
		ended := make(chan error, 2)
		for range 2 {
			c.Go(t.Context(), peer.KeyJoin, 0, nil, func(_ []byte, err error) { ended <- err })
		}
		synctest.Wait()
		n.stop()
		for range 2 {
			if err := <-ended; !Reset(err) {
				t.Errorf("a call in flight: %v", err)
			}
		}
		<-c.Done()
		if !Reset(c.Err()) {
			t.Errorf("ended with %v", c.Err())
		}
		c.Close()
	})
}

// What waits to be written, and what waits for a reply, has a limit: calls are refused, one-way calls wait, and nothing is lost of what was taken.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		o := n.options()
		o.MaxQueued, o.MaxInFlight = 100_000, 3
		c := n.mustDial(o)
		answers := make(chan error, 9)
		for range 4 {
			c.Go(t.Context(), peer.KeyJoin, 0, nil, func(_ []byte, err error) { answers <- err })
		}
		if err := <-answers; !errors.Is(err, ErrBusy) {
			t.Errorf("the fourth: %v", err)
		}
		synctest.Wait()
		n.wakeParked()
		for range 3 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		n.mu.Lock()
		n.mute = true
		n.mu.Unlock()
		sent, most := 0, int64(0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		for ; ; sent++ {
			err := c.Send(ctx, peer.KeyRaft, 0, bytes.Repeat([]byte{'r'}, 10_000))
			c.mu.Lock()
			most = max(most, c.queued)
			c.mu.Unlock()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				break
			}
			if sent > 10_000 {
				t.Fatal("a peer that takes nothing is sent without end")
			}
		}
		cancel()
		if most > 200_000 {
			t.Errorf("%d bytes were queued", most)
		}
		c.Go(t.Context(), peer.KeyForward, 0, make([]byte, 50_000), func(_ []byte, err error) { answers <- err })
		if err := <-answers; !errors.Is(err, ErrBusy) {
			t.Errorf("a call behind a full queue: %v", err)
		}
		n.mu.Lock()
		n.mute = false
		n.mu.Unlock()
		close(n.unmute)
		synctest.Wait()
		if got := len(n.got()); got != sent {
			t.Errorf("%d of %d arrived", got, sent)
		}
		c.Close()
		n.stop()
	})
}

// A peer that takes no bytes, or stops in the middle of a reply, is given up; that is no reset.
func TestAPeerThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		o := n.options()
		o.WriteTimeout = 2 * time.Second
		c := n.mustDial(o)
		n.network.Cut("10.0.0.1", "10.0.0.2")
		for c.Send(t.Context(), peer.KeyRaft, 0, make([]byte, 100_000)) == nil {
		}
		if err := c.Err(); err == nil || Reset(err) {
			t.Errorf("ended with %v", err)
		}
		c.Close()
		n.network.Heal("10.0.0.1", "10.0.0.2")
		n.stop()
	})
}

// hostile answers the Hello of a connection, and then each call with what reply gives.
func hostile(t *testing.T, s peer.Secret, reply func(id uint32) []byte) func(net.Conn) {
	return func(c net.Conn) {
		go func() {
			var a peer.Answerer
			r := bufio.NewReader(c)
			for {
				var h [14]byte
				if _, err := io.ReadFull(r, h[:]); err != nil {
					return
				}
				body := make([]byte, int(binary.BigEndian.Uint32(h[:]))-10)
				if _, err := io.ReadFull(r, body); err != nil {
					return
				}
				name := int(binary.BigEndian.Uint16(h[12:]))
				id := binary.BigEndian.Uint32(h[8:])
				if key := int16(binary.BigEndian.Uint16(h[4:])); key != peer.KeyHello {
					_, _ = c.Write(reply(id))
					continue
				}
				answer, _, _, err := a.Answer(nil, s, peer.Identity{Node: protocol.Node{ID: 1}}, peer.NewNonce(), 0, body[name:])
				if err != nil {
					t.Error(err)
				}
				b := binary.BigEndian.AppendUint32(nil, uint32(len(answer)+4))
				_, _ = c.Write(append(binary.BigEndian.AppendUint32(b, id), answer...))
			}
		}()
	}
}

func TestRepliesAreNotTrusted(t *testing.T) {
	frame := func(size, id uint32, body ...byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, size)
		return append(binary.BigEndian.AppendUint32(b, id), body...)
	}
	for name, reply := range map[string]func(id uint32) []byte{
		"nobody's":         func(id uint32) []byte { return frame(4, id+7) },
		"answered twice":   func(id uint32) []byte { return append(frame(4, id), frame(4, id)...) },
		"shorter than one": func(id uint32) []byte { return frame(3, id) },
		"negative":         func(id uint32) []byte { return frame(0x80000000, id) },
		"too large":        func(id uint32) []byte { return frame(1<<20+5, id) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, s := memnet.New(), secretOf(t, "correct horse battery")
				scripted(t, network, hostile(t, s, reply))
				o := Options{Dial: network.Host("10.0.0.2"), Secret: s, Self: func() peer.Identity { return peer.Identity{} }, MaxReply: 1 << 20}
				c, err := Dial(t.Context(), o, Target{1, nodeAddress})
				if err != nil {
					t.Fatal(err)
				}
				_, _ = c.Call(t.Context(), peer.KeyForward, 0, nil)
				<-c.Done()
				if !errors.Is(c.Err(), errBadReply) || Reset(c.Err()) {
					t.Errorf("ended with %v", c.Err())
				}
				c.Close()
			})
		})
	}
}

// A reply that is announced and does not come costs little, and no longer than its time.
func TestAnnouncedRepliesCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, s := memnet.New(), secretOf(t, "correct horse battery")
		scripted(t, network, hostile(t, s, func(id uint32) []byte {
			return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 500<<20), id), make([]byte, 1000)...)
		}))
		o := Options{Dial: network.Host("10.0.0.2"), Secret: s, Self: func() peer.Identity { return peer.Identity{} }, MaxReply: 1 << 30, FrameTimeout: time.Second}
		c, err := Dial(t.Context(), o, Target{1, nodeAddress})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := c.Call(t.Context(), peer.KeyForward, 0, nil); err == nil || Reset(err) {
			t.Errorf("%v", err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
			t.Errorf("%d bytes allocated", n)
		}
		c.Close()
	})
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 0, 0, 0, 1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, z := net.Pipe()
		defer a.Close()
		defer z.Close()
		id, body, err := readReply(a, bufio.NewReader(bytes.NewReader(b)), 1<<20, time.Second)
		if err == nil && (len(b) < 8+len(body) || uint32(id) != binary.BigEndian.Uint32(b[4:])) {
			t.Errorf("%x: id %d, %d bytes", b, id, len(body))
		}
	})
}

// No goroutine per call: thousands in flight cost what one does.
func TestGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, memnet.New())
		c := n.mustDial(n.options())
		synctest.Wait()
		before := runtime.NumGoroutine()
		answered := make(chan error, 900)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		for range 900 {
			c.Go(ctx, peer.KeyJoin, 0, nil, func(_ []byte, err error) { answered <- err })
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 1 {
			t.Errorf("%d goroutines more for 900 calls", n)
		}
		n.wakeParked()
		for range 900 {
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		c.Close()
		n.stop()
	})
}

func TestResetIsNoTimeout(t *testing.T) {
	for _, err := range []error{io.EOF, syscall.ECONNRESET, &net.OpError{Err: syscall.EPIPE}} {
		if !Reset(err) {
			t.Errorf("%v is none", err)
		}
	}
	for _, err := range []error{nil, context.DeadlineExceeded, ErrClosed, errBadReply, syscall.ETIMEDOUT} {
		if Reset(err) {
			t.Errorf("%v is one", err)
		}
	}
}
