package hostile

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestJ02SlowLoris: clients that say nothing, or a byte every ten seconds, in the length, the header or the body, are put out in time, and a good client is served at once meanwhile.
func TestJ02SlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := startInBubble(t)
		whole := kmsg.NewRequestFormatter().AppendRequest(nil, producing(9, 1, "good", bytes.Repeat([]byte{1}, 100<<10)), 1)
		var attackers sync.WaitGroup
		for n, at := range []int{0, 1, 3, 4, 7, 8, 11, 12, 40, 4096, 5000, 60_000, len(whole) - 3} {
			for range 10 {
				attackers.Go(func() {
					c := v.dialFor(t, time.Hour)
					began := time.Now()
					go trickle(c, whole, at, 10*time.Second)
					_, _ = io.Copy(io.Discard, c)
					if took := time.Since(began); took > time.Minute {
						t.Errorf("attack %d, from byte %d on: closed after %v", n, at, took)
					}
				})
			}
		}
		for range 60 {
			began := time.Now()
			v.serves(t)
			if took := time.Since(began); took > time.Second {
				t.Errorf("the good client waited %v", took)
			}
			time.Sleep(time.Second)
		}
		attackers.Wait()
		v.good.Close()
	})
}

// trickle sends so many bytes of b at once and the others one by one.
func trickle(c io.WriteCloser, b []byte, at int, pause time.Duration) {
	_, err := c.Write(b[:at])
	for ; err == nil && at < len(b); at++ {
		time.Sleep(pause)
		_, err = c.Write(b[at : at+1])
	}
}

// TestJ02AnnouncedFrames: many clients announce requests of a hundred megabytes, or of one, and send little of them. A client that sends what it announces does not notice.
func TestJ02AnnouncedFrames(t *testing.T) {
	for name, size := range map[string]uint32{"100 MiB": 100 << 20, "1 MiB": 1<<20 - 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := startInBubble(t)
				large := &kgo.Record{Value: bytes.Repeat([]byte("g"), 300<<10)}
				send := func() {
					began := time.Now()
					if err := v.good.ProduceSync(t.Context(), large).FirstErr(); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > time.Second {
						t.Errorf("the good client waited %v", took)
					}
				}
				send()
				begin := append(binary.BigEndian.AppendUint32(nil, size), 0, 0, 0, 9, 0, 0, 0, 1)
				begin = append(begin, make([]byte, 8<<10)...)
				var attackers sync.WaitGroup
				for range 1000 {
					c := v.dialFor(t, time.Hour)
					attackers.Go(func() {
						c.write(begin)
						_, _ = io.Copy(io.Discard, c)
					})
				}
				for range 20 {
					synctest.Wait()
					send()
					time.Sleep(300 * time.Millisecond)
				}
				v.good.Close()
				v.node.Close(t.Context())
				attackers.Wait()
			})
		})
	}
}
