package log

import (
	"os"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

// BenchmarkFlushThousandPartitions is one pass over 1,000 logs with a small append each, as a client with many partitions causes it, on the disk of TMPDIR, or
// in the folder OTTLA_BENCH_DIR, which may be a mount of its own.
func BenchmarkFlushThousandPartitions(b *testing.B) {
	dir := os.Getenv("OTTLA_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	s := openStore(b, vfs.OS{}, dir)
	d := s.dirs[0]
	logs := make([]*Log, 1000)
	for i := range logs {
		var err error
		if logs[i], err = s.Open(protocol.TopicPartition{Topic: "t", Partition: int32(i)}, id0, DefaultConfig(), NopObserver{}); err != nil {
			b.Fatal(err)
		}
	}
	flush := func() {
		for _, l := range logs {
			mustAppend(b, l, records(1, "value"), 0)
			l.WantFlush()
		}
		d.flusher.turn <- struct{}{}
		d.flusher.pass()
		<-d.flusher.turn
		for _, l := range logs {
			if l.DurableEndOffset() != l.LogEndOffset() {
				b.Fatalf("%s is durable up to %d of %d: %v", l.tp, l.DurableEndOffset(), l.LogEndOffset(), l.Err())
			}
		}
	}
	flush() // makes the folders
	for b.Loop() {
		flush()
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
