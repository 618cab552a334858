package log

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

// TestScrub: bad batches in closed segments are found, one by one, named once, never served again, not even by the next process; everything around them is.
func TestScrub(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 4000
	mem, want := filled(t, 200, c, 200)
	first := bytesOf(t, mem, segmentZero)
	at, sizes := 0, []int{}
	for at < len(first) {
		var h batch.Header
		if err := batch.ParseHeader(first[at:], &h); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, at)
		at += h.Size()
	}
	for name, damage := range map[string]func(b []byte){
		"record":       func(b []byte) { b[sizes[11]-1] ^= 1 },
		"length":       func(b []byte) { b[sizes[10]+9] ^= 0x40 },
		"base offset":  func(b []byte) { b[sizes[10]+7] ^= 0x40 },
		"magic":        func(b []byte) { b[sizes[10]+16] = 0 },
		"last of file": func(b []byte) { b[len(b)-1] ^= 1 },
	} {
		synctest.Test(t, func(t *testing.T) {
			broken := mem.CrashClone(nil, 1)
			s := scrubStore(t, broken)
			l := openLog(t, s, c, NopObserver{})
			if l.LogEndOffset() != 200 {
				t.Fatal(l.Err())
			}
			b := slices.Clone(first)
			damage(b)
			f, err := broken.Open(segmentZero)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
			stop := run(s)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			stop()
			bad := l.ranges()
			if len(bad) != 1 || bad[0].To-bad[0].From > 8 || l.Err() != nil {
				t.Fatalf("%s: %+v, %v", name, bad, l.Err())
			}
			checkAround(t, name, l, bad[0], want)
			again := openLog(t, openStore(t, broken.CrashClone(nil, 0)), c, NopObserver{})
			if again.LogEndOffset() != 200 || len(again.ranges()) != 1 {
				t.Fatalf("%s: after a restart: %+v %v", name, again.ranges(), again.Err())
			}
			checkAround(t, name+", after a restart", again, bad[0], want)
			if err := l.Truncate(bad[0].From); err != nil {
				t.Fatal(err)
			}
			if left := l.ranges(); len(left) != 0 {
				t.Errorf("%s: after a truncation: %+v", name, left)
			}
		})
	}
}

func scrubStore(t *testing.T, fsys vfs.FS) *Store {
	t.Helper()
	s, err := OpenStore(StoreOptions{FS: fsys, Dirs: []string{"d"}, Logger: quiet, Scrub: Scrub{BytesPerSecond: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkAround reads the log from every offset: the bad ones are errors, all others are what they were.
func checkAround(t *testing.T, name string, l *Log, bad checkpoint.Damage, want []string) {
	t.Helper()
	for o := range protocol.Offset(len(want)) {
		var r Range
		err := l.Read(o, protocol.Offset(len(want)), 1000, true, &r)
		if o >= bad.From && o < bad.To {
			if !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: read %d: %v", name, o, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: read %d: %v", name, o, err)
		}
		b := make([]byte, r.Size)
		if _, err := r.Source.ReadAt(b, r.Position); err != nil {
			t.Fatal(err)
		}
		r.Source.Release()
		for next := int(o); len(b) > 0; next++ {
			var h batch.Header
			if err := batch.ParseHeader(b, &h); err != nil || !batch.CheckCRC(b) {
				t.Fatalf("%s: read %d: bad at %d: %v", name, o, next, err)
			}
			if got := describe(t, b[:h.Size()]); got != want[next] {
				t.Fatalf("%s: read %d: %s, want %s", name, o, got, want[next])
			}
			b = b[h.Size():]
		}
	}
}

// TestReadMeetsDamage: who reads into bytes that are no batch gets an error, the log stays, and the scrub comes at once to see how far it goes.
func TestReadMeetsDamage(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 4000
	mem, want := filled(t, 200, c, 200)
	synctest.Test(t, func(t *testing.T) {
		s := scrubStore(t, mem)
		l := openLog(t, s, c, NopObserver{})
		if l.LogEndOffset() != 200 {
			t.Fatal(l.Err())
		}
		f, err := mem.Open(segmentZero)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 100), 800); err != nil {
			t.Fatal(err)
		}
		stop := run(s)
		var r Range
		for from := range protocol.Offset(20) {
			if err = l.Read(from, 200, 1, true, &r); err != nil {
				break
			}
			r.Source.Release()
		}
		if !errors.Is(err, kerr.KafkaStorageError) || errors.Is(err, kerr.InvalidRecord) {
			t.Fatalf("nobody met it: %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		stop()
		bad := l.ranges()
		if len(bad) != 1 || l.Err() != nil {
			t.Fatalf("%+v, %v", bad, l.Err())
		}
		checkAround(t, "met", l, bad[0], want)
	})
}

// TestScrubPaces: no more than so many bytes a second, and every log once a period.
func TestScrubPaces(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 4000
	mem, _ := filled(t, 2000, c, 2000)
	synctest.Test(t, func(t *testing.T) {
		s := scrubStore(t, mem)
		l := openLog(t, s, c, NopObserver{})
		if l.LogEndOffset() != 2000 {
			t.Fatal(l.Err())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		if err := l.scrub(ctx, 10_000); err != nil {
			t.Fatal(err)
		}
		closed := l.Size() - l.active().Size()
		if took := time.Since(began); took < time.Duration(closed)*time.Second/10_000*99/100 {
			t.Errorf("%d bytes in %v", closed, took)
		}
	})
}

// TestScrubKeepsAShortPeriod: damage done after the first round is found within the next period, not within the next hour.
func TestScrubKeepsAShortPeriod(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 4000
	mem, _ := filled(t, 200, c, 200)
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenStore(StoreOptions{FS: mem, Dirs: []string{"d"}, Logger: quiet, Scrub: Scrub{BytesPerSecond: 1 << 20, Period: 10 * time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		l := openLog(t, s, c, NopObserver{})
		if l.LogEndOffset() != 200 {
			t.Fatal(l.Err())
		}
		stop := run(s)
		defer stop()
		time.Sleep(15 * time.Second)
		f, err := mem.Open(segmentZero)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 100), 800); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if bad := l.ranges(); len(bad) != 1 {
			t.Fatalf("%+v, %v", bad, l.Err())
		}
	})
}
