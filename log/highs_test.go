package log

import (
	"fmt"
	"testing"

	"ottla/log/segment"
	"ottla/log/vfs"
)

// A high watermark that was written down before a truncation is none any more: what is torn behind it is no damage.
func TestTruncationLowersTheHighWatermark(t *testing.T) {
	for name, cut := range map[string]func(l *Log) error{
		"truncate": func(l *Log) error { return l.Truncate(10) },
		"reset":    func(l *Log) error { return l.ResetTo(3) },
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			setBoot(t, mem, "A")
			s := openStore(t, mem)
			l := openLog(t, s, DefaultConfig(), NopObserver{})
			fill(t, l, 30, 30)
			if err := s.CheckpointHighWatermarks([]HighWatermark{{l, 30}}); err != nil {
				t.Fatal(err)
			}
			if err := cut(l); err != nil {
				t.Fatal(err)
			}
			end := l.LogEndOffset()
			fill(t, l, 2, 2)
			s.checkpoint()
			mustAppend(t, l, keyedBatch(1, "k", "torn"), 0)
			killed := mem.CrashClone(nil, 1)
			file := l.path + "/" + segment.Name(l.Bases()[0], segment.LogSuffix)
			b := bytesOf(t, killed, file)
			replaceBytes(t, killed, file, b[:len(b)-5])
			again := openLog(t, openStore(t, killed), DefaultConfig(), NopObserver{})
			if got := again.LogEndOffset(); got != end+2 || again.Err() != nil {
				t.Errorf("ends at %d, want %d: %v", got, end+2, again.Err())
			}
		})
	}
}

// Of a log that is not durable a power cut may take committed records; the next kill finds no damage in that.
func TestPowerCutLowersTheHighWatermark(t *testing.T) {
	c := DefaultConfig()
	c.Durable = false
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	s := openStore(t, mem)
	l := openLog(t, s, c, NopObserver{})
	fill(t, l, 5, 5)
	for i := range 20 {
		mustAppend(t, l, keyedBatch(1, "k", fmt.Sprint(i)), 0)
	}
	if err := s.CheckpointHighWatermarks([]HighWatermark{{l, 25}}); err != nil {
		t.Fatal(err)
	}
	s.checkpoint()
	mem = mem.CrashClone(nil, 0)
	setBoot(t, mem, "B")
	s = openStore(t, mem)
	l = openLog(t, s, c, NopObserver{})
	if l.LogEndOffset() != 5 {
		t.Fatal(l.LogEndOffset(), l.Err())
	}
	s.checkpoint()
	mustAppend(t, l, keyedBatch(1, "k", "torn"), 0)
	mem = mem.CrashClone(nil, 1)
	b := bytesOf(t, mem, segmentZero)
	replaceBytes(t, mem, segmentZero, b[:len(b)-5])
	l = openLog(t, openStore(t, mem), c, NopObserver{})
	if l.LogEndOffset() != 5 || l.Err() != nil {
		t.Errorf("ends at %d: %v", l.LogEndOffset(), l.Err())
	}
}
