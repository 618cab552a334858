package log

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// filled makes a log of n small batches, and gives what a killed process leaves of it, in boot "A", and its batches.
func filled(t testing.TB, n int, c Config, flushedAt int) (*vfs.Mem, []string) {
	t.Helper()
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	l := openLog(t, openStore(t, mem), c, NopObserver{})
	for i := range n {
		mustAppend(t, l, records(int64(1000+i), fmt.Sprint("value ", i)), protocol.LeaderEpoch(i/40))
		if i+1 == flushedAt {
			if err := errors.Join(l.Flush(), l.checkpointNow()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return mem.CrashClone(nil, 1), readAll(t, l, 0, l.LogEndOffset(), 1<<20)
}

func replaceBytes(t testing.TB, mem *vfs.Mem, name string, b []byte) {
	t.Helper()
	if err := writeFile(mem, name, b); err != nil {
		t.Fatal(err)
	}
}

func bytesOf(t testing.TB, mem *vfs.Mem, name string) []byte {
	t.Helper()
	b, err := readFile(mem, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// indexed has an index entry for every few batches.
func indexed() Config {
	c := DefaultConfig()
	c.IndexIntervalBytes = 200
	return c
}

// TestRecoveryReadsTheTailOnly: after a kill what lies below the recovery point is not read again, but for the part behind the index's last entry in its file; after a power cut the
// indexes have to be built anew.
func TestRecoveryReadsTheTailOnly(t *testing.T) {
	const n = 20_000
	mem, want := filled(t, n, indexed(), n-100)
	size := int64(len(bytesOf(t, mem, segmentZero)))
	for id, most := range map[string]int64{"A": size / 5, "B": size} {
		crashed := mem.CrashClone(nil, 1)
		setBoot(t, crashed, id)
		l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
		if end := l.LogEndOffset(); end != n {
			t.Fatalf("boot %s: the log ends at %d: %v", id, end, l.Err())
		}
		read := l.dir.recoveries.bytes
		if read > most || read < 100 {
			t.Errorf("boot %s: read %d bytes of %d, at most %d are expected", id, read, size, most)
		}
		if got := readAll(t, l, 0, n, 1<<20); !slices.Equal(got, want) {
			t.Errorf("boot %s: other batches", id)
		}
	}
}

// TestLargeBatchesAreNotReadAgain: batches so large that their index entries would not fill a page for hundreds of megabytes are not read again either.
func TestLargeBatchesAreNotReadAgain(t *testing.T) {
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
	value := strings.Repeat("large", 50_000)
	for i := range 40 {
		mustAppend(t, l, records(int64(1000+i), value), 0)
	}
	if err := errors.Join(l.Flush(), l.checkpointNow()); err != nil {
		t.Fatal(err)
	}
	again := openLog(t, openStore(t, mem.CrashClone(nil, 1)), DefaultConfig(), NopObserver{})
	if end := again.LogEndOffset(); end != 40 {
		t.Fatalf("the log ends at %d: %v", end, again.Err())
	}
	if read := again.dir.recoveries.bytes; read > 2<<20 {
		t.Errorf("read %d bytes of %d", read, again.Size())
	}
}

// TestKilledFlips flips every bit of the header of each of the newest batches, behind the recovery point, and some bits in front of it, after a kill: the tail is cut before the batch.
func TestKilledFlips(t *testing.T) {
	const n, flushed = 300, 294
	mem, want := filled(t, n, indexed(), flushed)
	whole := bytesOf(t, mem, segmentZero)
	at := 0
	for i := range want {
		var h batch.Header
		if err := batch.ParseHeader(whole[at:], &h); err != nil {
			t.Fatal(err)
		}
		if i >= flushed {
			for bit := range batch.HeaderSize * 8 {
				bad := slices.Clone(whole)
				bad[at+bit/8] ^= 1 << (bit % 8)
				crashed := mem.CrashClone(nil, 1)
				replaceBytes(t, crashed, segmentZero, bad)
				l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
				end := l.LogEndOffset()
				inEpoch := bit/8 >= 12 && bit/8 < 16 // it may fit as well; then the next batch is cut, or none
				if l.Err() != nil || int(end) != i && !(inEpoch && int(end) > i) {
					t.Fatalf("batch %d, bit %d of byte %d: the log ends at %d, %v", i, bit%8, bit/8, end, l.Err())
				}
			}
		}
		at += h.Size()
	}
}

// TestGarbageBehindTheEnd (C12): zeros or noise behind the last batch are no batches, whatever the kind of stop.
func TestGarbageBehindTheEnd(t *testing.T) {
	mem, want := filled(t, 100, indexed(), 90)
	whole := bytesOf(t, mem, segmentZero)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{1, 11, 12, 16, 17, 60, 61, 62, 4096, 100_000} {
		noise := make([]byte, size)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		for kind, tail := range map[string][]byte{"zeros": make([]byte, size), "noise": noise} {
			for _, id := range []string{"A", "B"} {
				crashed := mem.CrashClone(nil, 1)
				replaceBytes(t, crashed, segmentZero, append(slices.Clone(whole), tail...))
				setBoot(t, crashed, id)
				l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
				if got := readAll(t, l, 0, l.LogEndOffset(), 1<<20); !slices.Equal(got, want) {
					t.Fatalf("%d bytes of %s, boot %s: %d batches, want %d: %v", size, kind, id, len(got), len(want), l.Err())
				}
				if left := len(bytesOf(t, crashed, segmentZero)); left != len(whole) {
					t.Fatalf("%d bytes of %s, boot %s: %d bytes are left, want %d", size, kind, id, left, len(whole))
				}
			}
		}
	}
}

// TestIndexFaults (C17): indexes that are missing, empty, cut, too long, noise, or those of other data give the same answers as a walk over the batches: after a clean stop, a kill and a power cut.
func TestIndexFaults(t *testing.T) {
	const n = 3000
	kinds := map[string]func(b []byte, rng *rand.Rand) []byte{
		"missing":      nil,
		"empty":        func([]byte, *rand.Rand) []byte { return []byte{} },
		"cut":          func(b []byte, rng *rand.Rand) []byte { return b[:rng.IntN(len(b))] },
		"zeros":        func(b []byte, rng *rand.Rand) []byte { clear(b[rng.IntN(len(b)):]); return b },
		"longer":       func(b []byte, rng *rand.Rand) []byte { return append(b, b[:1+rng.IntN(len(b)-1)]...) },
		"preallocated": func(b []byte, _ *rand.Rand) []byte { return append(b, make([]byte, 2400)...) },
		"flip":         func(b []byte, rng *rand.Rand) []byte { b[rng.IntN(len(b))] ^= 1 << rng.IntN(8); return b },
		"noise": func(b []byte, rng *rand.Rand) []byte {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			return b
		},
	}
	for _, stop := range []string{"clean", "A", "B"} {
		mem, want := filled(t, n, indexed(), n-50)
		if stop == "clean" {
			s := openStore(t, mem)
			if end := openLog(t, s, indexed(), NopObserver{}).LogEndOffset(); end != n {
				t.Fatal(end)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for kind, damage := range kinds {
			for seed := range uint64(6) {
				rng := rand.New(rand.NewPCG(seed, 3))
				crashed := mem.CrashClone(nil, 1)
				if stop != "clean" {
					setBoot(t, crashed, stop)
				}
				for _, suffix := range [][]string{{segment.IndexSuffix}, {segment.TimeIndexSuffix}, {segment.IndexSuffix, segment.TimeIndexSuffix}}[seed%3] {
					name := "d/t-0/" + segment.Name(0, suffix)
					if damage == nil {
						if err := crashed.Remove(name); err != nil {
							t.Fatal(err)
						}
						continue
					}
					replaceBytes(t, crashed, name, damage(bytesOf(t, crashed, name), rng))
				}
				l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
				where := fmt.Sprintf("%s, %s, seed %d", stop, kind, seed)
				if got := readAll(t, l, 0, l.LogEndOffset(), 1<<20); !slices.Equal(got, want) {
					t.Fatalf("%s: %d batches, want %d: %v", where, len(got), len(want), l.Err())
				}
				for range 30 {
					o := protocol.Offset(rng.IntN(n))
					if got := readAll(t, l, o, o+1, 1); len(got) != 1 || got[0] != want[o] {
						t.Fatalf("%s: at %d: %v", where, o, got)
					}
					if got, ok, err := l.OffsetForTimestamp(int64(1000+o), n); err != nil || !ok || got.Offset != o {
						t.Fatalf("%s: time %d: %+v %v %v", where, 1000+o, got, ok, err)
					}
				}
				if got, ok, err := l.MaxTimestamp(n); err != nil || !ok || got.Offset != n-1 {
					t.Fatalf("%s: newest: %+v %v %v", where, got, ok, err)
				}
			}
		}
	}
}

// TestEpochFileFaults (C18): a checkpoint of epochs that is missing, damaged, older or another's is built anew from the batches.
func TestEpochFileFaults(t *testing.T) {
	mem, _ := filled(t, 400, indexed(), 390)
	for _, stop := range []string{"clean", "A", "B"} {
		for _, content := range []string{"-", "", "0\n1\n0 0\n", "0\n3\n0 0\n1 40\n2 80\n", "0\n10\n0 0\n1 40\n2 80\n3 120\n4 160\n5 200\n6 240\n7 280\n8 320\n9 361\n",
			"0\n2\n0 0\n19 360\n", "no table", "0\n1\n9 0\n"} {
			crashed := mem.CrashClone(nil, 1)
			if stop == "clean" {
				s := openStore(t, crashed)
				openLog(t, s, indexed(), NopObserver{}).LogEndOffset()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				setBoot(t, crashed, stop)
			}
			name := "d/t-0/" + checkpoint.EpochsName
			if content == "-" {
				if err := crashed.Remove(name); err != nil {
					t.Fatal(err)
				}
			} else {
				replaceBytes(t, crashed, name, []byte(content))
			}
			l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
			for e := range protocol.LeaderEpoch(10) {
				if got, end := l.EpochEnd(e); got != e || end != protocol.Offset(e+1)*40 {
					t.Errorf("%s, %q: epoch %d ends at %d of %d: %v", stop, content, e, end, got, l.Err())
				}
			}
		}
	}
}

// TestMissingSegment (C19): a segment that is deleted, or emptied, under a running broker is an error for its partition and for no other.
func TestMissingSegment(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 2000
	for _, how := range []string{"deleted", "emptied", "halved"} {
		mem, _ := filled(t, 200, c, 200)
		s := openStore(t, mem)
		l := openLog(t, s, c, NopObserver{})
		other, err := s.Open(protocol.TopicPartition{Topic: "other"}, id9, c, NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, other, records(1, "x"), 0)
		if l.LogEndOffset() != 200 {
			t.Fatal(l.Err())
		}
		for range 2 {
			s.files.CloseIdle()
		}
		if how == "deleted" {
			err = mem.Remove(segmentZero)
		} else {
			f, openErr := mem.Open(segmentZero)
			if openErr != nil {
				t.Fatal(openErr)
			}
			size, _ := f.Size()
			err = f.Truncate(map[string]int64{"emptied": 0, "halved": size / 2}[how])
		}
		if err != nil {
			t.Fatal(err)
		}
		failed := false
		for from := range protocol.Offset(20) {
			var r Range
			if err := l.Read(from, 200, 1, true, &r); err == nil {
				r.Source.Release()
			} else if failed = errors.Is(err, kerr.KafkaStorageError); !failed {
				t.Fatalf("%s: read %d: %v", how, from, err)
			}
		}
		if !failed {
			t.Errorf("%s: nobody noticed", how)
		}
		mustAppend(t, other, records(2, "y"), 0)
		if got := readAll(t, other, 0, 2, 1<<20); len(got) != 2 {
			t.Errorf("%s: the other log: %v", how, got)
		}
	}
}

// TestHighWatermarkIsAFloor: a bad batch that the high watermark had passed is damage, not a tail, although the recovery point is older. A deleted topic's high watermark is none.
func TestHighWatermarkIsAFloor(t *testing.T) {
	mem, want := filled(t, 100, indexed(), 50)
	whole := bytesOf(t, mem, segmentZero)
	bad := slices.Clone(whole)
	bad[len(whole)*8/10] ^= 1
	for _, high := range []protocol.Offset{0, 60, 95} {
		for _, durable := range []bool{true, false} {
			crashed := mem.CrashClone(nil, 1)
			setBoot(t, crashed, "B")
			if err := checkpoint.WriteOffsets(crashed, "d", checkpoint.HighWatermarks, map[protocol.TopicPartition]protocol.Offset{tp0: high}); err != nil {
				t.Fatal(err)
			}
			replaceBytes(t, crashed, segmentZero, bad)
			c := indexed()
			c.Durable = durable
			l := openLog(t, openStore(t, crashed), c, NopObserver{})
			end := l.LogEndOffset()
			if offline := high > 80 && durable; offline != errors.Is(l.Err(), ErrDamaged) || !offline && (end < 70 || end > 85) {
				t.Errorf("high watermark %d, durable %v: ends at %d of %d, %v", high, durable, end, len(want), l.Err())
			}
			if l.Err() != nil && !slices.Equal(bytesOf(t, crashed, segmentZero), bad) {
				t.Error("the file was changed")
			}
		}
	}
}

// TestStaleSnapshotIsGone: a producer snapshot that is ahead of what a power cut left does not come back when other records have its offsets.
func TestStaleSnapshotIsGone(t *testing.T) {
	mem, _ := filled(t, 10, DefaultConfig(), 5)
	ahead := "d/t-0/" + segment.Name(30, segment.SnapshotSuffix)
	replaceBytes(t, mem, ahead, emptySnapshot())
	if err := mem.SyncDir("d/t-0"); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
	if l.LogEndOffset() != 10 {
		t.Fatal(l.Err())
	}
	if _, err := mem.CrashClone(nil, 0).Stat(ahead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the snapshot comes back: %v", err)
	}
}

func emptySnapshot() []byte {
	return (&Log{}).producers.AppendSnapshot(nil)
}

// TestSnapshotsBetweenRolls: a log that grows leaves a snapshot now and then, keeps one, and replays only what came behind it.
func TestSnapshotsBetweenRolls(t *testing.T) {
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
	value := strings.Repeat("x", 1<<20-200)
	for range 50 {
		b := batch.NewBuilder()
		b.Add(nowMs(), nil, []byte(value))
		mustAppend(t, l, b.Build(nil), 0)
		mustFlush(t, l)
	}
	offsets, err := l.snapshotOffsets()
	if err != nil || len(offsets) != 1 || offsets[0] < 30 {
		t.Fatalf("%v %v", offsets, err)
	}
	l = openLog(t, openStore(t, mem.CrashClone(nil, 1)), DefaultConfig(), NopObserver{})
	if l.LogEndOffset() != 50 || l.sinceSnapshot > 20<<20 {
		t.Fatalf("%d bytes were gone through again", l.sinceSnapshot)
	}
}

// A reader that meets damage in a segment that the log has dropped meanwhile has met nothing.
func TestDamageInADroppedSegment(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 20, 2)
	_ = l.readFailed(&segment.DamageError{Name: l.path + "/" + segment.Name(7777, segment.LogSuffix), Err: fmt.Errorf("bad")})
	if l.Err() != nil {
		t.Error(l.Err())
	}
}

// Retention forgets the bad ranges of what it deletes.
func TestRetentionForgetsBadRanges(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem)
	c := DefaultConfig()
	c.SegmentBytes = 400
	l := openLog(t, s, c, NopObserver{})
	fill(t, l, 40, 40)
	segs := *l.segments.Load()
	l.takeTurn()
	err := l.setRanges(segs[0], []segment.Extent{{From: 1, To: 2, Position: 72, End: 144, Damage: &segment.DamageError{Err: fmt.Errorf("x")}}})
	l.endTurn()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AdvanceLogStart(segs[2].Base()); err != nil {
		t.Fatal(err)
	}
	s.retain()
	got, err := checkpoint.ReadDamage(mem, l.path)
	if len(l.ranges()) != 0 || err != nil || len(got) != 0 {
		t.Errorf("%v, %v, %v", l.ranges(), got, err)
	}
}
