package hostile

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestJ01FrameLengths: lengths that no request has close at once and cost nothing.
func TestJ01FrameLengths(t *testing.T) {
	v := startVictim(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, length := range []uint32{0, 0xffffffff, 0x80000000, 0x7fffffff, 100<<20 + 1} {
		c := v.dial(t)
		c.write(append(binary.BigEndian.AppendUint32(nil, length), 0, 0, 0, 9, 0, 0, 0, 1))
		if b, err := c.receive(); err == nil || errors.Is(err, errSilent) {
			t.Errorf("length %#x: %d bytes, %v", length, len(b), err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("five refused frames allocated %d bytes", n)
	}
	v.serves(t)
}

// framed is a whole request with a body that need not be one.
func framed(req kmsg.Request, body []byte) []byte {
	whole := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
	b := append(whole[:len(whole)-len(req.AppendTo(nil))], body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// eachAPI calls f with an empty request of every key and version that the node serves.
func (v *victim) eachAPI(t *testing.T, f func(req kmsg.Request)) {
	for _, k := range v.apis(t) {
		for version := k.MinVersion; version <= k.MaxVersion; version++ {
			req := kmsg.RequestForKey(k.ApiKey)
			req.SetVersion(version)
			f(req)
		}
	}
}

// TestJ03Amplification: bodies full of counts that announce far more than they bring close, and allocate little.
func TestJ03Amplification(t *testing.T) {
	v := startVictim(t)
	const size = 60 << 10 // below the smallest limit of any key
	huge := make([]byte, size)
	for i := range huge {
		huge[i] = [...]byte{0xff, 0xff, 0xff, 0xff, 0x07}[i%5] // 2^31-1 as a varint at every fifth place
	}
	v.eachAPI(t, func(req kmsg.Request) {
		for at := range 12 { // the count may stand behind any short run of fixed fields
			body := append(make([]byte, at, at+size), huge...)
			if at%2 == 1 {
				body = append(binary.BigEndian.AppendUint32(make([]byte, at, at+size), 0x7fffffff), make([]byte, size)...)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c := v.dial(t)
			c.write(framed(req, body))
			c.endRequests()
			if _, err := c.receive(); errors.Is(err, errSilent) {
				t.Errorf("%s version %d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
			}
			_ = c.Close()
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%s version %d, count at %d: %d bytes allocated", kmsg.NameForKey(req.Key()), req.GetVersion(), at, n)
			}
		}
	})
	v.serves(t)
}

// TestJ05FuzzedRequests: requests of every key and version with bytes changed get an answer or a close, and the node lives.
func TestJ05FuzzedRequests(t *testing.T) {
	v := startVictim(t)
	r := rand.New(rand.NewPCG(5, 5))
	v.eachAPI(t, func(req kmsg.Request) {
		for range 4 {
			body := req.AppendTo(nil)
			for range 1 + r.IntN(4) {
				if len(body) > 0 {
					body[r.IntN(len(body))] = byte(r.Uint32())
				}
			}
			c := v.dial(t)
			c.write(framed(req, body))
			c.endRequests() // a call that waits ends with its peer
			if _, err := c.receive(); errors.Is(err, errSilent) {
				t.Errorf("%s version %d, body %x: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), body, err)
			}
			_ = c.Close()
		}
	})
	v.serves(t)
}
