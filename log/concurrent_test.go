package log

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// TestReadersBesideWriters: appends, flushes, rolls, retention, truncation and reads at the same time. A reader sees whole batches that begin at or before what it asked for, or
// OFFSET_OUT_OF_RANGE.
func TestReadersBesideWriters(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c := DefaultConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.RetentionBytes, c.FileDeleteDelayMs = 20_000, 500, 100_000, 0
	l := openLog(t, s, c, NopObserver{})
	stop := run(s)
	var done atomic.Bool
	var readers sync.WaitGroup
	for seed := range uint64(2) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for !done.Load() {
				start, end := l.LogStartOffset(), l.LogEndOffset()
				if start < end {
					readAround(t, l, start+protocol.Offset(rng.Int64N(int64(end-start))), rng.IntN(5000))
				}
			}
		})
	}
	var info AppendInfo
	for i := range 4000 {
		if err := l.Append(records(nowMs(), "a", strings.Repeat("x", i%300)), AppendOptions{}, &info); err != nil {
			t.Error(err)
			break
		}
		switch i % 500 {
		case 100:
			s.retain()
		case 200:
			if err := l.Truncate(info.NextOffset - 20); err != nil {
				t.Error(err)
			}
		case 300:
			l.RequestFlush()
		case 400:
			if err := l.Flush(); err != nil {
				t.Error(err)
			}
		}
	}
	done.Store(true)
	readers.Wait()
	stop()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func readAround(t *testing.T, l *Log, from protocol.Offset, maxBytes int) {
	var r Range
	if err := l.Read(from, l.LogEndOffset(), maxBytes, true, &r); err != nil {
		if protocol.ErrorCode(err) != kerr.OffsetOutOfRange.Code {
			t.Error(err)
		}
		return
	}
	if r.Source == nil {
		return // truncated meanwhile
	}
	defer r.Source.Release()
	b := make([]byte, r.Size)
	if _, err := r.Source.ReadAt(b, r.Position); err != nil {
		t.Error(err)
		return
	}
	for first := true; len(b) > 0; first = false {
		var h batch.Header
		if err := batch.ParseHeader(b, &h); err != nil || h.Size() > len(b) || !batch.CheckCRC(b) {
			t.Errorf("read %d: no whole batch: %v", from, err)
			return
		}
		if first && (h.BaseOffset > from || h.LastOffset() < from) {
			t.Errorf("read %d: the first batch is %d-%d", from, h.BaseOffset, h.LastOffset())
		}
		b = b[h.Size():]
	}
}
