package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

const segmentZero = "d/t-0/00000000000000000000.log"

// laid makes a log directory that was not stopped cleanly, whose partition has one segment with these bytes and a recovery point.
func laid(t testing.TB, content []byte, point protocol.Offset) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	for _, err := range []error{
		mem.MkdirAll("d/t-0"),
		writeFile(mem, segmentZero, content),
		checkpoint.WriteOffsets(mem, "d", checkpoint.RecoveryPoints, map[protocol.TopicPartition]protocol.Offset{tp0: point}),
		mem.SyncDir("d/t-0"), mem.SyncDir("d"), mem.SyncDir("."),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

// threeBatches are offsets 0-1, 2 and 3-5, and where each begins and the last ends.
func threeBatches() (all []byte, at []int) {
	b := batch.NewBuilder()
	b.LeaderEpoch = 1
	for _, values := range [][]string{{"a", "b"}, {"c"}, {"d", "e", "f"}} {
		at = append(at, len(all))
		b.Reset()
		for _, v := range values {
			b.Add(1000, nil, []byte(v))
		}
		all = b.Build(all)
		b.BaseOffset += protocol.Offset(len(values))
	}
	return all, append(at, len(all))
}

// recovered opens the log and gives its batches, or why it is offline.
func recovered(t testing.TB, mem *vfs.Mem) (*Log, string) {
	t.Helper()
	l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
	end := l.LogEndOffset()
	if l.Err() != nil {
		return l, "offline"
	}
	return l, strings.Join(readAll(t, l, 0, end, 1<<20), ",")
}

func content(t testing.TB, mem *vfs.Mem) []byte {
	t.Helper()
	b, err := readFile(mem, segmentZero, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var prefixes = []string{"", "0@1 a b", "0@1 a b,2@1 c", "0@1 a b,2@1 c,3@1 d e f"}

// TestTornTail: cut at every byte, the log keeps the whole batches before; a second recovery changes nothing.
func TestTornTail(t *testing.T) {
	all, at := threeBatches()
	for n := range len(all) + 1 {
		whole := 0
		for whole < 3 && at[whole+1] <= n {
			whole++
		}
		mem := laid(t, all[:n], 0)
		if _, got := recovered(t, mem); got != prefixes[whole] {
			t.Fatalf("cut at %d: %q, want %q", n, got, prefixes[whole])
		}
		if got := content(t, mem); !bytes.Equal(got, all[:at[whole]]) {
			t.Fatalf("cut at %d: %d bytes are left, want %d", n, len(got), at[whole])
		}
		if _, again := recovered(t, mem.CrashClone(nil, 0)); again != prefixes[whole] {
			t.Fatalf("cut at %d: second recovery: %q, want %q", n, again, prefixes[whole])
		}
	}
}

// TestFlippedBits: every bit of every byte. Above the recovery point the log is cut before the batch; below it is offline, with the file as it was.
func TestFlippedBits(t *testing.T) {
	all, at := threeBatches()
	for i := range len(all) * 8 {
		bad := slices.Clone(all)
		bad[i/8] ^= 1 << (i % 8)
		hit := 0
		for at[hit+1] <= i/8 {
			hit++
		}
		mem := laid(t, bad, 0)
		// A larger leader epoch in the last batch cannot be told from a right one: nothing follows, and the CRC does not cover it.
		raised := hit == 2 && i/8 >= at[2]+12 && i/8 < at[2]+16
		if _, got := recovered(t, mem); got != prefixes[hit] && !raised {
			if !epochOnly(i, at[hit]) {
				t.Fatalf("bit %d of byte %d: %q, want %q", i%8, i/8, got, prefixes[hit])
			}
		}
		mem = laid(t, bad, 6)
		l, got := recovered(t, mem)
		if got != "offline" && !epochOnly(i, at[hit]) {
			t.Fatalf("bit %d of byte %d, durable: %q", i%8, i/8, got)
		}
		if l.Err() != nil && !bytes.Equal(content(t, mem), bad) {
			t.Fatalf("bit %d of byte %d, durable: the file was changed", i%8, i/8)
		}
	}
}

// epochOnly tells whether bit i lies in the leader epoch of the batch at byte start: then a batch may stay, and the following one with its older epoch is the one that is cut.
func epochOnly(i, start int) bool { return i/8 >= start+12 && i/8 < start+16 }

// TestRecoveryOfAHugeLength: a batch that claims 2 GiB costs no more than the file holds.
func TestRecoveryOfAHugeLength(t *testing.T) {
	all, at := threeBatches()
	copy(all[at[1]+8:], []byte{0x7f, 0xff, 0xff, 0xf0})
	if _, got := recovered(t, laid(t, all, 0)); got != prefixes[1] {
		t.Fatal(got)
	}
}

// FuzzRecovery: arbitrary bytes as a segment never panic; what is left is a prefix of them made of good batches, and a second recovery changes nothing.
func FuzzRecovery(f *testing.F) {
	all, at := threeBatches()
	f.Add(all, int64(0))
	f.Add(all[:at[2]+30], int64(2))
	f.Add(append(slices.Clone(all), make([]byte, 100)...), int64(6))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, point int64) {
		mem := laid(t, b, protocol.Offset(max(0, point)))
		l, got := recovered(t, mem)
		if l.Err() != nil {
			if !bytes.Equal(content(t, mem), b) {
				t.Fatal("a damaged log was changed")
			}
			return
		}
		left := content(t, mem)
		if !bytes.HasPrefix(b, left) {
			t.Fatal("what is left is no prefix")
		}
		if end := l.LogEndOffset(); end < protocol.Offset(point) && l.LogStartOffset() < protocol.Offset(point) {
			t.Fatalf("log ends at %d, below its recovery point %d", end, point)
		}
		crashed := mem.CrashClone(nil, 1)
		if _, again := recovered(t, crashed); again != got || !bytes.Equal(content(t, crashed), left) {
			t.Fatalf("second recovery: %q, first %q", again, got)
		}
		var info AppendInfo
		if err := l.Append(records(2000, "next"), AppendOptions{Epoch: l.LatestEpoch()}, &info); err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprint(readAll(t, l, info.BaseOffset, info.NextOffset, 1)); !strings.Contains(s, "next") {
			t.Fatal(s)
		}
	})
}

// TestEpochsYetToCome: a leader epoch lies outside the CRC. A tail whose epoch is newer than the leader's is no record of anybody, and may not have the next recovery cut off what the
// leader appends.
func TestEpochsYetToCome(t *testing.T) {
	all, at := threeBatches()
	for bit := range 31 {
		damaged := bytes.Clone(all)
		damaged[at[2]+12+3-bit/8] ^= 1 << (bit % 8)
		mem := laid(t, damaged, 3)
		l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
		end, err := l.BeginEpoch(2)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, records(1000, "x"), 2)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l, got := recovered(t, mem.CrashClone(nil, 0))
		if want := end + 1; l.LogEndOffset() != want || !strings.HasSuffix(got, fmt.Sprintf("%d@2 x", end)) {
			t.Errorf("bit %d of the epoch: %s, ending at %d, want %d", bit, got, l.LogEndOffset(), want)
		}
	}
}

// TestNobodyIsLedOverAGap: a segment that has gone from the middle of a log leaves a gap that no reader is led over, and that a compacted log may have.
func TestNobodyIsLedOverAGap(t *testing.T) {
	for _, compact := range []bool{false, true} {
		mem := vfs.NewMem()
		c := DefaultConfig()
		c.SegmentBytes = 100
		s := openStore(t, mem)
		l := openLog(t, s, c, NopObserver{})
		for _, v := range []string{"a", "b", "c"} {
			mustAppend(t, l, records(1000, v), 1)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := mem.Remove("d/t-0/00000000000000000001.log"); err != nil {
			t.Fatal(err)
		}
		c.Compact = compact
		l = openLog(t, openStore(t, mem), c, NopObserver{})
		var r Range
		err := l.Read(1, 3, 1<<20, true, &r)
		if (err == nil) != compact {
			t.Errorf("compacted %v: a read from the gap gives %d bytes and %v", compact, r.Size, err)
		}
		if err == nil {
			r.Source.Release()
		}
	}
}

// A reset to the beginning promises nothing of what it removes, wherever a crash ends it.
func TestCrashInAResetToTheBeginning(t *testing.T) {
	for _, survive := range []float64{0, 1} {
		fsys := &tapped{Mem: vfs.NewMem()}
		s := openStore(t, fsys)
		l := openLog(t, s, DefaultConfig(), NopObserver{})
		fill(t, l, 3, 3)
		s.checkpoint()
		fsys.before = func() {
			crashed := openLog(t, openStore(t, fsys.CrashClone(rand.New(rand.NewPCG(1, 1)), survive)), DefaultConfig(), NopObserver{})
			if end := crashed.LogEndOffset(); crashed.Err() != nil || end != 0 && end != 3 {
				t.Errorf("%.0f surviving: ends at %d: %v", survive, end, crashed.Err())
			}
		}
		if err := l.ResetTo(0); err != nil {
			t.Fatal(err)
		}
	}
}
