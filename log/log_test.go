package log

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ottla/log/vfs"
	"ottla/protocol"
)

func TestAppendBecomesDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := openStore(t, mem)
		w := &watcher{}
		l := openLog(t, s, DefaultConfig(), w)
		stop := run(s)
		info := mustAppend(t, l, records(1000, "a", "b"), 3)
		if info.BaseOffset != 0 || info.NextOffset != 2 || l.LogEndOffset() != 2 || l.DurableEndOffset() != 0 {
			t.Fatalf("%+v, end %d, durable %d", info, l.LogEndOffset(), l.DurableEndOffset())
		}
		time.Sleep(flushDelay)
		synctest.Wait()
		if w.last() != 2 || l.DurableEndOffset() != 2 {
			t.Fatalf("durable %v", w.durable)
		}
		mustAppend(t, l, records(1000, "c"), 4)
		l.RequestFlush()
		synctest.Wait()
		if w.last() != 3 {
			t.Fatalf("durable %v", w.durable)
		}
		stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, mem)
		l = openLog(t, s, DefaultConfig(), w)
		if got := strings.Join(readAll(t, l, 0, 3, 1<<20), ","); got != "0@3 a b,2@4 c" {
			t.Fatal(got)
		}
		if e, o := l.EpochEnd(3); e != 3 || o != 2 {
			t.Fatal(e, o)
		}
		if !s.dirs[0].clean {
			t.Fatal("not clean")
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := openStore(t, vfs.OS{}, t.TempDir())
	c := DefaultConfig()
	c.Durable = false
	l := openLog(t, s, c, NopObserver{})
	b := records(time.Now().UnixMilli(), strings.Repeat("x", 1000))
	var info AppendInfo
	appendOne := func() {
		if err := l.Append(b, AppendOptions{}, &info); err != nil {
			t.Fatal(err)
		}
		clear(b[:8]) // as a producer sends it
	}
	for range 100 {
		appendOne()
	}
	if n := testing.AllocsPerRun(2000, appendOne); n != 0 {
		t.Errorf("append allocates %v times", n)
	}
	end := l.LogEndOffset()
	from := protocol.Offset(0)
	if n := testing.AllocsPerRun(2000, func() {
		var r Range
		if err := l.Read(from, end, 3000, true, &r); err != nil {
			t.Fatal(err)
		}
		r.Source.Release()
		from = (from + 2) % end
	}); n != 0 {
		t.Errorf("read allocates %v times", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 128 << 10} {
		b.Run(sizeName(size), func(b *testing.B) {
			s := openStore(b, vfs.OS{}, b.TempDir())
			c := DefaultConfig()
			c.Durable = false
			l := openLog(b, s, c, NopObserver{})
			payload := records(time.Now().UnixMilli(), strings.Repeat("x", size))
			var info AppendInfo
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Append(payload, AppendOptions{}, &info); err != nil {
					b.Fatal(err)
				}
				clear(payload[:8])
			}
		})
	}
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return protocol.TopicPartition{Topic: "MiB", Partition: int32(n >> 20)}.String()
	}
	return protocol.TopicPartition{Topic: "KiB", Partition: int32(n >> 10)}.String()
}

func BenchmarkRead(b *testing.B) {
	s := openStore(b, vfs.OS{}, b.TempDir())
	c := DefaultConfig()
	c.Durable = false
	l := openLog(b, s, c, NopObserver{})
	payload := records(time.Now().UnixMilli(), strings.Repeat("x", 4<<10))
	var info AppendInfo
	for range 20000 {
		if err := l.Append(payload, AppendOptions{}, &info); err != nil {
			b.Fatal(err)
		}
		clear(payload[:8])
	}
	end := l.LogEndOffset()
	for _, kind := range []string{"sequential", "random", "tail"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			from := protocol.Offset(0)
			var r Range
			for b.Loop() {
				if err := l.Read(from, end, 1<<20, true, &r); err != nil {
					b.Fatal(err)
				}
				r.Source.Release()
				switch kind {
				case "sequential":
					from += protocol.Offset(r.Size / len(payload))
					if from >= end {
						from = 0
					}
				case "random":
					from = (from + 7919) % end
				case "tail":
					from = end - 1
				}
			}
		})
	}
}

// ListOffsets with MAX_TIMESTAMP on records without times: the first of them, as in Kafka.
func TestMaxTimestampOfTimelessRecords(t *testing.T) {
	s := openStore(t, vfs.NewMem(), "d")
	l := openLog(t, s, DefaultConfig(), nil)
	for range 2 {
		mustAppend(t, l, records(protocol.NoTimestamp, "a"), 3)
	}
	found, ok, err := l.MaxTimestamp(l.LogEndOffset())
	if want := (TimestampOffset{Timestamp: protocol.NoTimestamp, Offset: 0, LeaderEpoch: 3}); !ok || err != nil || found != want {
		t.Fatalf("%+v %v %v", found, ok, err)
	}
}
