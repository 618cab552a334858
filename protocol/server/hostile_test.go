package server

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ottla/protocol/memnet"
)

func TestHostileFramesCloseTheConnection(t *testing.T) {
	frame := func(length uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), rest...)
	}
	echoKey := []byte{0, keyEcho, 0, 3, 0, 0, 0, 1}
	tests := map[string][]byte{
		"length 0":               frame(0, echoKey...),
		"length -1":              frame(0xffffffff, echoKey...),
		"length -2^31":           frame(0x80000000, echoKey...),
		"length 2^31-1":          frame(0x7fffffff, echoKey...),
		"shorter than a header":  frame(7, echoKey...),
		"one more than allowed":  frame(testMaxFrame+1, echoKey...),
		"too large for its key":  frame(testMaxBigFrame+1, 0, keyBig, 0, 3),
		"large for an odd key":   frame(testMaxFrame+1, 0x7f, 0xff, 0, 3),
		"large, only eight come": frame(testMaxFrame+1, 0, keyEcho, 0, 3),
		"client id too long":     frame(10, 0, keyEcho, 0, 3, 0, 0, 0, 1, 0x7f, 0xff),
		"negative client id":     frame(10, 0, keyEcho, 0, 3, 0, 0, 0, 1, 0x80, 0),
		"an HTTP request":        []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a TLS hello":            {0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3},
	}
	for name, bad := range tests {
		t.Run(name, func(t *testing.T) {
			networks(t, func(t *testing.T, start func(Options) *fixture) {
				f := start(Options{Dispatcher: dispatcherFunc(echo)})
				c := f.dial()
				send(t, c, append(request(keyEcho, 1, "before"), bad...))
				wantReply(t, c, 1, "before")
				wantClosed(t, c)
				f.shutdown()
				if lines := f.logs.lines(); len(lines) != 1 {
					t.Errorf("log: %q", lines)
				}
			})
		})
	}
}

// TestLargeLengthCostsNothingBeforeItsBytes: a client that announces a frame too large for its key costs no buffer.
func TestLargeLengthCostsNothingBeforeItsBytes(t *testing.T) {
	f := startTCP(t, Options{Dispatcher: dispatcherFunc(echo)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		c := f.dial()
		send(t, c, []byte{0x7f, 0xff, 0xff, 0xff, 0, keyBig, 0, 3})
		wantClosed(t, c)
		c.Close()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("20 refused frames allocated %d bytes", n)
	}
}

func TestDeadlines(t *testing.T) {
	o := Options{
		Dispatcher:       dispatcherFunc(echo),
		FirstByteTimeout: 3 * time.Second, FrameTimeout: 5 * time.Second, IdleTimeout: time.Minute, WriteTimeout: 7 * time.Second,
	}
	whole := request(keyBig, 1, strings.Repeat("x", 200_000))
	tests := map[string]struct {
		act      func(c net.Conn)
		min, max time.Duration
		log      string
	}{
		"silent from the start": {act: func(net.Conn) {}, min: 3 * time.Second, max: 3 * time.Second, log: errFirstByte.Error()},
		"one byte of a length":  {act: func(c net.Conn) { _, _ = c.Write(whole[:1]) }, min: 5 * time.Second, max: 5 * time.Second, log: errFrameTimeout.Error()},
		"a byte every second": {act: func(c net.Conn) {
			for i := range whole {
				if _, err := c.Write(whole[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, min: 5 * time.Second, max: 8*time.Second + time.Second, log: errFrameTimeout.Error()},
		"a large frame may take longer": {act: func(c net.Conn) { _, _ = c.Write(whole[:100_000]) },
			min: 8 * time.Second, max: 8 * time.Second, log: errFrameTimeout.Error()},
		"second frame incomplete": {act: func(c net.Conn) {
			_, _ = c.Write(request(keyEcho, 1, ""))
			time.Sleep(30 * time.Second)
			_, _ = c.Write(whole[:9])
		}, min: 38 * time.Second, max: 38 * time.Second, log: errFrameTimeout.Error()},
		"idle": {act: func(c net.Conn) {
			for range 3 {
				_, _ = c.Write(request(keyEcho, 1, ""))
				time.Sleep(50 * time.Second)
			}
		}, min: 160 * time.Second, max: 160 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startMem(t, o)
				c := f.dial()
				start := time.Now()
				done := make(chan struct{})
				go func() { defer close(done); tt.act(c) }()
				_, _ = io.Copy(io.Discard, c)
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("closed after %v, want %v to %v", took, tt.min, tt.max)
				}
				c.Close()
				<-done
				f.shutdown()
				if lines := strings.Join(f.logs.lines(), "\n"); !strings.Contains(lines, tt.log) || tt.log == "" && lines != "" {
					t.Errorf("log %q does not say %q", lines, tt.log)
				}
			})
		})
	}
}

func TestParkedRepliesKeepAConnectionFromBeingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		park := newParking()
		f := startMem(t, Options{Dispatcher: park, IdleTimeout: time.Minute})
		c := f.dial()
		send(t, c, request(keyEcho, 1, ""))
		time.Sleep(10*time.Minute + time.Second)
		(<-park.calls).Wake()
		wantReply(t, c, 1, "late 1")
		left := time.Now()
		wantClosed(t, c)
		if idle := time.Since(left); idle != time.Minute {
			t.Errorf("closed %v after the reply", idle)
		}
		f.shutdown()
	})
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{WriteTimeout: 8 * time.Second, Dispatcher: dispatcherFunc(func(c *Call) {
			c.Reply.SetBuf(append(c.Reply.Buf(), make([]byte, 2<<20)...))
			c.Done()
		})})
		c := f.dial()
		send(t, c, request(keyEcho, 1, ""))
		time.Sleep(4*time.Second - time.Millisecond)
		synctest.Wait()
		if f.open() != 1 {
			t.Error("closed early")
		}
		time.Sleep(4*time.Second + 2*time.Millisecond)
		synctest.Wait()
		if f.open() != 0 {
			t.Error("still open")
		}
		if lines := f.logs.lines(); len(lines) != 1 || !strings.Contains(lines[0], errWriteTimeout.Error()) {
			t.Errorf("log: %q", lines)
		}
		c.Close()
		f.shutdown()
	})
}

// TestSlowLorisDoesNotHurtOthers: thousands of connections that trickle bytes, and one good client in between.
func TestSlowLorisDoesNotHurtOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{Dispatcher: dispatcherFunc(echo), MemoryBudget: 64 << 20, FrameTimeout: 10 * time.Second})
		good := f.dial()
		whole := request(keyEcho, 1, strings.Repeat("x", 50_000))
		for i := range 1000 {
			c := f.dial()
			send(t, c, whole[:1+i%40])
			go func() { _, _ = io.Copy(io.Discard, c); c.Close() }()
		}
		for i := range int32(20) {
			start := time.Now()
			send(t, good, request(keyEcho, i, "quick"))
			wantReply(t, good, i, "quick")
			if took := time.Since(start); took != 0 {
				t.Errorf("a good client's request took %v", took)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if f.open() != 1 {
			t.Errorf("%d connections are open", f.open())
		}
		f.shutdown()
	})
}

func TestThrottleStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startMem(t, Options{FrameTimeout: 2 * time.Second, Dispatcher: dispatcherFunc(func(c *Call) {
			if c.CorrelationID%2 == 0 {
				c.Throttle(5 * time.Second)
			}
			echo(c)
		})})
		c := f.dial()
		start := time.Now()
		var b []byte
		for i := range int32(5) {
			b = append(b, request(keyEcho, i, "x")...)
		}
		send(t, c, b) // one read gets them all
		for i := range int32(5) {
			wantReply(t, c, i, "x")
			if took, want := time.Since(start), time.Duration((i+1)/2)*5*time.Second; took != want {
				t.Errorf("reply %d after %v, want %v", i, took, want)
			}
		}
		c.Close() // seen when the pause is over
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		before := f.open()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if before != 1 || f.open() != 0 {
			t.Errorf("%d open before the pause ended, %d after", before, f.open())
		}
		c = f.dial()
		send(t, c, request(keyEcho, 0, ""))
		wantReply(t, c, 0, "")
		f.shutdown() // does not wait for the pause
	})
}

// FuzzStream feeds raw bytes to a server with a trivial dispatcher: it must answer or close, hold nothing afterwards, and reply only to what was complete.
func FuzzStream(f *testing.F) {
	f.Add(request(keyEcho, 1, "hello"), uint8(1))
	f.Add(append(request(keyEcho, 1, "a"), request(keyBig, 2, strings.Repeat("b", 5000))...), uint8(13))
	f.Add([]byte{0, 0, 0, 0}, uint8(2))
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 1, 0, 1, 5}, uint8(4))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		n := memnet.New()
		l, err := n.Listen("10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		var answered int
		fx := startOn(t, Options{MemoryBudget: 1 << 20, Dispatcher: dispatcherFunc(func(c *Call) {
			answered++
			echo(c)
		})}, l, nil)
		c, err := n.Dial(t.Context(), "tcp", "10.0.0.1:9092")
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, request(keyEcho, 1, "served"))
		wantReply(t, c, 1, "served")
		answered = 0
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(c)
			got <- b
		}()
		step := int(piece)*11 + 1
		for rest := stream; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			if _, err := c.Write(rest[:min(step, len(rest))]); err != nil {
				break // closed already
			}
		}
		fx.shutdown()
		replies := bytes.NewReader(<-got)
		for i := range answered {
			if _, _, err := readReply(replies); err != nil {
				t.Fatalf("reply %d of %d: %v", i, answered, err)
			}
		}
		if replies.Len() != 0 {
			t.Fatalf("%d bytes behind the last reply", replies.Len())
		}
		c.Close()
	})
}
