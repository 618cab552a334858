package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// fileSource is a Source on a file of random bytes; without a descriptor it stands for one in memory.
type fileSource struct {
	file   *os.File
	hideFD bool
	pins   *atomic.Int32
}

func (s *fileSource) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }
func (s *fileSource) FD() (uintptr, bool)                     { return s.file.Fd(), !s.hideFD }
func (s *fileSource) Release()                                { s.pins.Add(-1) }

func randomFile(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	file, err := os.Create(filepath.Join(t.TempDir(), "ranges"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	return file, data
}

// rangeSizes are around every limit at which the server changes its way of sending.
var rangeSizes = []int{1, 100, sendfileFrom - 1, sendfileFrom, sendfileFrom + 1, gatherSize - 5, gatherSize, 0, 3 * gatherSize, sendAtMost, 3*sendAtMost + 7, 20}

// fillRanges makes a reply of byte runs of all sizes with ranges between them, and returns its body.
func fillRanges(r *Reply, file *os.File, data []byte, hideFD bool, pins *atomic.Int32) []byte {
	var want []byte
	for i, size := range rangeSizes {
		run := strings.Repeat(string(rune('a'+i)), i*i*200)
		want = append(append(want, run...), data[i*1000:i*1000+size]...)
		r.SetBuf(append(r.Buf(), run...))
		pins.Add(1)
		r.Range(&fileSource{file: file, hideFD: hideFD, pins: pins}, int64(i*1000), size)
	}
	return want
}

func TestRangesArriveExactly(t *testing.T) {
	file, data := randomFile(t, 5<<20)
	for name, hideFD := range map[string]bool{"with descriptors": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			networks(t, func(t *testing.T, start func(Options) *fixture) {
				var pins atomic.Int32
				wants := make(chan []byte, 10)
				finish := finisherFunc(func(c *Call) {
					want := fillRanges(&c.Reply, file, data, hideFD, &pins)
					if c.Reply.Len() != len(want) {
						t.Errorf("Len is %d, want %d", c.Reply.Len(), len(want))
					}
					wants <- want
				})
				f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
					if c.CorrelationID%2 == 0 {
						finish(c)
						c.Done()
						return
					}
					c.Park(finish)
					c.Wake()
				})})
				c := f.dial()
				var b []byte
				for i := range int32(4) {
					b = append(b, request(keyEcho, i, "")...)
				}
				send(t, c, b)
				for i := range int32(4) {
					got, body, err := readReply(c)
					if got != i || err != nil {
						t.Fatalf("reply %d, %v", got, err)
					}
					if want := <-wants; !bytes.Equal(body, want) {
						t.Fatalf("reply %d: %d bytes differ from the %d expected", i, len(body), len(want))
					}
				}
				c.Close()
				f.shutdown()
				if n := pins.Load(); n != 0 {
					t.Errorf("%d ranges were not released", n)
				}
			})
		})
	}
}

// TestTruncatedFileClosesTheConnection: what was announced cannot be sent, so nothing may follow it.
func TestTruncatedFileClosesTheConnection(t *testing.T) {
	for name, size := range map[string]int{"read into the buffer": sendfileFrom - 1, "sendfile": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			networks(t, func(t *testing.T, start func(Options) *fixture) {
				file, _ := randomFile(t, size)
				if err := file.Truncate(int64(size / 2)); err != nil {
					t.Fatal(err)
				}
				var pins atomic.Int32
				f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
					pins.Add(1)
					c.Reply.SetBuf(append(c.Reply.Buf(), "header"...))
					c.Reply.Range(&fileSource{file: file, pins: &pins}, 0, size)
					c.Done()
				})})
				c := f.dial()
				send(t, c, append(request(keyEcho, 1, ""), request(keyEcho, 2, "")...))
				b, err := io.ReadAll(c)
				if err != nil && !strings.Contains(err.Error(), "reset") || len(b) > size/2+30 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				f.shutdown()
				if n := pins.Load(); n != 0 {
					t.Errorf("%d ranges were not released", n)
				}
				if lines := f.logs.lines(); len(lines) != 1 {
					t.Errorf("log: %q", lines)
				}
			})
		})
	}
}

// TestRangesOfADeadConnectionAreReleased: a client that asks for much, reads nothing and goes.
func TestRangesOfADeadConnectionAreReleased(t *testing.T) {
	file, _ := randomFile(t, 4<<20)
	networks(t, func(t *testing.T, start func(Options) *fixture) {
		var pins atomic.Int32
		f := start(Options{Dispatcher: dispatcherFunc(func(c *Call) {
			pins.Add(1)
			c.Reply.Range(&fileSource{file: file, pins: &pins}, 0, 4<<20)
			c.Done()
		})})
		c := f.dial()
		var b []byte
		for i := range int32(30) {
			b = append(b, request(keyEcho, i, "")...)
		}
		send(t, c, b)
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		f.shutdown()
		if n := pins.Load(); n != 0 {
			t.Errorf("%d ranges were not released", n)
		}
	})
}

func TestReplyReset(t *testing.T) {
	file, data := randomFile(t, 5<<20)
	var r Reply
	var pins atomic.Int32
	if r.Len() != 0 {
		t.Error("a new reply is not empty")
	}
	for range 2 {
		fillRanges(&r, file, data, false, &pins)
		r.SetFlexible(true)
		r.SetError(0)
		r.SetError(3)
		r.SetError(5)
		if r.errorCode != 3 {
			t.Errorf("error code %d, want the first", r.errorCode)
		}
		r.Reset()
		if pins.Load() != 0 || r.Len() != 0 || len(r.Buf()) != 0 || r.flexible || r.errorCode != 0 {
			t.Errorf("after Reset: %d pins, %+v", pins.Load(), r)
		}
	}
	r.Reset()
	for range keptRanges + 1 {
		pins.Add(1)
		r.Range(&fileSource{file: file, pins: &pins}, 0, 1)
	}
	if r.Reset(); r.ranges != nil || pins.Load() != 0 {
		t.Error("a long list of ranges is kept")
	}
}

func TestBufferClasses(t *testing.T) {
	for class := 1; class < classesCount; class++ {
		size := classSize(class)
		if classFor(size) != class || classFor(size-1) != class || classOf(size) != class || classOf(size-1) != class-1 {
			t.Fatalf("class %d of %d bytes: for %d, for one less %d, of %d", class, size, classFor(size), classFor(size-1), classOf(size))
		}
		if less := classSize(class - 1); size > less*5/4 {
			t.Fatalf("class %d is %d bytes, the one before %d", class, size, less)
		}
	}
	for _, n := range []int{0, 1, smallBuffer, smallBuffer + 1, 100_000} {
		b := takeBuffer(n)
		if len(b.b) < n || len(b.b) != cap(b.b) {
			t.Errorf("asked for %d, got %d of %d", n, len(b.b), cap(b.b))
		}
		b.put()
	}
	(&buffer{b: make([]byte, 10)}).put() // too small to keep
}

func TestIPOf(t *testing.T) {
	for want, a := range map[string]net.Addr{
		"10.1.2.3":   &net.TCPAddr{IP: net.ParseIP("::ffff:10.1.2.3"), Port: 5},
		"::1":        &net.TCPAddr{IP: net.IPv6loopback, Port: 5},
		"10.0.0.9":   &net.UDPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 1},
		"invalid IP": &net.UnixAddr{Name: "/socket", Net: "unix"},
	} {
		if got := ipOf(a).String(); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}
