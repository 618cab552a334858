package server

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// waker wakes parked calls from other goroutines, as the log's flusher does.
type waker struct{ calls chan *Call }

func (w *waker) Dispatch(c *Call) {
	c.Park(w)
	w.calls <- c
}

func (w *waker) Finish(c *Call) { c.Reply.SetBuf(append(c.Reply.Buf(), "done"...)) }

func (w *waker) run() {
	for c := range w.calls {
		c.Wake()
	}
}

// exchange sends frames and reads so many bytes of replies.
func exchange(tb testing.TB, c net.Conn, frames, replies []byte) {
	if _, err := c.Write(frames); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(c, replies); err != nil {
		tb.Fatal(err)
	}
}

// loads are a dispatcher, what is sent at once, and the size of the replies.
func loads(tb testing.TB) map[string]func() (d Dispatcher, frames []byte, replySize int) {
	repeat := func(n int, frame []byte) []byte { return []byte(strings.Repeat(string(frame), n)) }
	return map[string]func() (Dispatcher, []byte, int){
		"echo": func() (Dispatcher, []byte, int) { return dispatcherFunc(echo), request(keyEcho, 1, "hello"), 13 },
		"echo pipelined": func() (Dispatcher, []byte, int) {
			return dispatcherFunc(echo), repeat(50, request(keyEcho, 1, "hello")), 50 * 13
		},
		"echo 1 MiB": func() (Dispatcher, []byte, int) {
			return dispatcherFunc(func(c *Call) { c.Reply.SetBuf(append(c.Reply.Buf(), "ok"...)); c.Done() }), request(keyBig, 1, strings.Repeat("x", 1<<20)), 10
		},
		"parked": func() (Dispatcher, []byte, int) {
			w := &waker{calls: make(chan *Call, 100)}
			go w.run()
			tb.Cleanup(func() { close(w.calls) })
			return w, request(keyEcho, 1, "hello"), 12
		},
		"parked pipelined": func() (Dispatcher, []byte, int) {
			w := &waker{calls: make(chan *Call, 100)}
			go w.run()
			tb.Cleanup(func() { close(w.calls) })
			return w, repeat(50, request(keyEcho, 1, "hello")), 50 * 12
		},
	}
}

func BenchmarkExchange(b *testing.B) {
	for name, load := range loads(b) {
		b.Run(name, func(b *testing.B) {
			d, frames, size := load()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := New(Options{Dispatcher: d, MaxFrame: testMaxFrameOf, Metrics: NewMetrics(prometheus.NewRegistry())})
			go func() { _ = s.Serve(b.Context(), l, "BENCH") }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			replies := make([]byte, size)
			b.SetBytes(int64(len(frames)))
			b.ReportAllocs()
			for b.Loop() {
				exchange(b, c, frames, replies)
			}
			c.Close()
			if err := s.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// TestIdleConnectionIsSmall measures heap and stacks of connections that have sent one request each, both ends together.
func TestIdleConnectionIsSmall(t *testing.T) {
	const connections = 300
	f := startTCP(t, Options{Dispatcher: dispatcherFunc(echo)})
	measure := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := measure()
	var conns []net.Conn
	for i := range int32(connections) {
		c := f.dial()
		send(t, c, request(keyEcho, i, "hello"))
		wantReply(t, c, i, "hello")
		conns = append(conns, c)
	}
	per := (int64(measure()) - int64(before)) / connections
	t.Logf("%d bytes per connection, both ends and the goroutine's stack", per)
	if per > 12<<10 {
		t.Errorf("an idle connection costs %d bytes", per)
	}
	for _, c := range conns {
		c.Close()
	}
}
