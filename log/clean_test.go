package log

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// compacted is the configuration of a log whose segments are small and cleaned as soon as there is something new.
func compacted() Config {
	c := DefaultConfig()
	c.Compact, c.Delete, c.MinCleanableRatio, c.SegmentBytes = true, false, 0, 400
	return c
}

func keyedBatch(ts int64, key, value string) []byte {
	b := batch.NewBuilder()
	b.Add(ts, []byte(key), []byte(value))
	return b.Build(nil)
}

// fill appends n records, whose keys repeat after keys, and flushes.
func fill(t testing.TB, l *Log, n, keys int) {
	t.Helper()
	for i := range n {
		mustAppend(t, l, keyedBatch(nowMs(), fmt.Sprint("k", i%keys), fmt.Sprint("v", i)), 0)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
}

func cleanNow(t testing.TB, s *Store) *cleaner {
	t.Helper()
	c := newCleaner(s)
	c.cleanAll(context.Background())
	return c
}

func crashAndOpen(t testing.TB, fsys *vfs.Mem, c Config) (*vfs.Mem, *Store, *Log) {
	t.Helper()
	fsys = fsys.CrashClone(nil, 0)
	s := openStore(t, fsys)
	l := openLog(t, s, c, NopObserver{})
	_ = l.LogEndOffset()
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	return fsys, s, l
}

// A follower may be told to cut in a gap. The log must then end where its files do, or the next start takes the difference for lost records.
func TestTruncateInAGap(t *testing.T) {
	fsys := vfs.NewMem()
	s := openStore(t, fsys)
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 20, 20)
	fill(t, l, 1, 1)
	first := keyedBatch(1, "k", "after a gap")
	batch.Place(first, 30, 0)
	second := keyedBatch(1, "k", "second")
	batch.Place(second, 31, 0)
	var info AppendInfo
	if err := l.Append(append(first, second...), AppendOptions{Origin: Replica}, &info); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, to := range []protocol.Offset{31, 30, 25} {
		if err := l.Truncate(to); err != nil {
			t.Fatal(err)
		}
		if want := map[protocol.Offset]protocol.Offset{31: 31, 30: 21, 25: 21}[to]; l.LogEndOffset() != want {
			t.Fatalf("cut at %d: ends at %d, want %d", to, l.LogEndOffset(), want)
		}
		s.checkpoint()
		if _, _, again := crashAndOpen(t, fsys, compacted()); again.LogEndOffset() != l.LogEndOffset() {
			t.Fatalf("cut at %d: ends at %d after a crash, %d before", to, again.LogEndOffset(), l.LogEndOffset())
		}
	}
}

// A topic that is not compacted any more still has gaps.
func TestRecoverAfterThePolicyHasChanged(t *testing.T) {
	fsys := vfs.NewMem()
	s := openStore(t, fsys)
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 40, 3)
	cleanNow(t, s)
	if l.Size() > 1000 {
		t.Fatalf("%d bytes are left", l.Size())
	}
	plain := compacted()
	plain.Compact, plain.Delete = false, true
	fsys, _, l = crashAndOpen(t, fsys, plain)
	if l.LogEndOffset() != 40 {
		t.Fatalf("log ends at %d", l.LogEndOffset())
	}
	// The same, with everything to be read.
	if err := fsys.Remove("d/recovery-point-offset-checkpoint"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	if _, _, l = crashAndOpen(t, fsys, plain); l.LogEndOffset() != 40 {
		t.Fatalf("log ends at %d", l.LogEndOffset())
	}
}

// The last batch of a producer stays as a header, so that its sequence is known when nothing but the log is left.
func TestCleaningKeepsTheLastSequence(t *testing.T) {
	fsys := vfs.NewMem()
	s := openStore(t, fsys)
	l := openLog(t, s, compacted(), NopObserver{})
	b := batch.NewBuilder()
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 5, 2, 0
	b.Add(nowMs(), []byte("k0"), []byte("x")) // now: an old time would begin a segment behind it
	b.Add(nowMs(), []byte("k0"), []byte("y"))
	mustAppend(t, l, b.Build(nil), 0)
	fill(t, l, 30, 2)
	cleanNow(t, s)
	if err := l.dropAllSnapshots(); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir(l.path); err != nil {
		t.Fatal(err)
	}
	_, _, l = crashAndOpen(t, fsys, compacted())
	if got := readAll(t, l, 0, 32, 1000)[0]; got != "0@0" {
		t.Fatalf("the producer's batch is %q", got)
	}
	b.Reset()
	b.BaseSequence = 1
	b.Add(1, []byte("k0"), []byte("z"))
	var info AppendInfo
	if err := l.Append(b.Build(nil), AppendOptions{}, &info); err == nil {
		t.Fatal("a sequence that was used is taken again")
	}
	b.BaseSequence = 2
	mustAppend(t, l, b.Build(nil), 0)
}

// A batch that cannot be read sets the log aside; appends and reads of other batches go on, and nothing is rewritten.
func TestDamageSetsALogAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := vfs.NewMem()
		s := openStore(t, fsys)
		l := openLog(t, s, compacted(), NopObserver{})
		fill(t, l, 20, 2)
		before := readAll(t, l, 10, 20, 100)
		f, err := fsys.Open(l.path + "/" + segment.Name(0, segment.LogSuffix))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xff}, 70); err != nil {
			t.Fatal(err)
		}
		size := l.Size()
		c := cleanNow(t, s)
		if q := c.aside[l]; q.failures != 1 || l.Err() != nil || s.dirs[0].err() != nil || l.Size() != size {
			t.Fatalf("%+v, %v, %v", q, l.Err(), s.dirs[0].err())
		}
		if after := readAll(t, l, 10, 20, 100); strings.Join(before, ",") != strings.Join(after, ",") {
			t.Fatalf("%v became %v", before, after)
		}
		time.Sleep(firstPause)
		if c.cleanAll(context.Background()); c.aside[l].failures != 2 {
			t.Fatal("it was not tried again")
		}
		if err := s.Delete(l); err != nil {
			t.Fatal(err)
		}
		if c.cleanAll(context.Background()); len(c.aside) != 0 {
			t.Fatal("a deleted log is remembered")
		}
	})
}

// A full disk costs nothing but the attempt; a disk that fails takes its directory offline.
func TestCleaningMeetsTheDisk(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EIO} {
		faulty := vfs.NewFaulty(vfs.NewMem())
		s := openStore(t, faulty)
		l := openLog(t, s, compacted(), NopObserver{})
		fill(t, l, 20, 2)
		size := l.Size()
		faulty.Set(vfs.Rule{Ops: vfs.OpWrite | vfs.OpSync, Path: ".cleaned", Err: err})
		c := cleanNow(t, s)
		if offline := s.dirs[0].err() != nil; len(c.aside) != 1 || offline != (err == syscall.EIO) {
			t.Fatalf("%v: %+v, offline %v", err, c.aside, offline)
		}
		if err == syscall.EIO {
			continue
		}
		faulty.Set()
		if cleanNow(t, s); l.Size() >= size {
			t.Fatalf("%d bytes before, %d after", size, l.Size())
		}
		if _, err := faulty.Stat(l.path + "/" + segment.Name(0, segment.LogSuffix) + ".cleaned"); !gone(err) {
			t.Fatalf("the draft is left: %v", err)
		}
	}
}

func TestLagsBoundCleaning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := compacted()
		c.MinCompactionLagMs, c.MaxCompactionLagMs, c.MinCleanableRatio = 10_000, 60_000, 1
		s := openStore(t, vfs.NewMem())
		l := openLog(t, s, c, NopObserver{})
		fill(t, l, 20, 2)
		d, err := l.cleanable(&c, nowMs())
		if err != nil || len(d.segs) != 0 {
			t.Fatalf("%+v, %v: records younger than min.compaction.lag.ms", d, err)
		}
		time.Sleep(11 * time.Second)
		if d, err = l.cleanable(&c, nowMs()); err != nil || len(d.segs) == 0 || d.worthwhile(&c) {
			t.Fatalf("%+v, %v: not dirtier than the ratio, not overdue", d, err)
		}
		time.Sleep(50 * time.Second)
		if d, err = l.cleanable(&c, nowMs()); err != nil || !d.worthwhile(&c) {
			t.Fatalf("%+v, %v: max.compaction.lag.ms is over", d, err)
		}
	})
}

// committedUpTo is an observer that knows more than the log.
type committedUpTo struct {
	NopObserver
	offset protocol.Offset
}

func (o committedUpTo) Committed(*Log) protocol.Offset { return o.offset }

func TestOnlyCommittedRecordsAreCleaned(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLog(t, s, compacted(), committedUpTo{offset: 7})
	fill(t, l, 40, 2)
	cleanNow(t, s)
	if got := l.cleaned.Load(); got <= 0 || got > 7 {
		t.Fatalf("cleaned up to %d", got)
	}
}

// Logs that nobody has used, and those with nothing new, cost no file operation.
func TestCleanerLeavesCleanLogsAlone(t *testing.T) {
	fsys := vfs.NewMem()
	s := openStore(t, fsys)
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 20, 2)
	cleanNow(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	faulty := vfs.NewFaulty(fsys)
	s = openStore(t, faulty)
	l = openLog(t, s, compacted(), NopObserver{})
	faulty.Set(vfs.Rule{Ops: ^vfs.Op(0), Err: syscall.EIO})
	if c := cleanNow(t, s); l.loaded.Load() || len(c.aside) > 0 {
		t.Fatal("the cleaner has loaded a log")
	}
	faulty.Set()
	if l.LogEndOffset() != 20 || l.cleaned.Load() <= 0 {
		t.Fatalf("ends at %d, cleaned up to %d", l.LogEndOffset(), l.cleaned.Load())
	}
	faulty.Set(vfs.Rule{Ops: ^vfs.Op(0), Err: syscall.EIO})
	if c := cleanNow(t, s); len(c.aside) > 0 || l.Err() != nil {
		t.Fatal("the cleaner has looked at a clean log")
	}
}

// A stop, and the deletion of the topic, end a cleaning in the middle: nothing of it is left, also if another topic has the name by then.
func TestCleaningIsCutShort(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fsys := vfs.NewMem()
			s, err := OpenStore(StoreOptions{FS: fsys, Dirs: []string{"d"}, Logger: quiet, CleanerBytesPerSecond: 400})
			if err != nil {
				t.Fatal(err)
			}
			l := openLog(t, s, compacted(), NopObserver{})
			fill(t, l, 40, 2)
			size := l.Size()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				c := l.Config()
				d, err := l.cleanable(&c, nowMs())
				if err == nil {
					_, err = l.clean(ctx, d, 1<<20, newCleaner(s).pace)
				}
				ended <- err
			}()
			draft := l.path + "/" + segment.Name(0, segment.LogSuffix) + ".cleaned"
			for _, err = fsys.Stat(draft); err != nil; _, err = fsys.Stat(draft) {
				time.Sleep(100 * time.Millisecond) // of the bubble: the keys are being read
			}
			if deleted {
				if err := s.Delete(l); err != nil {
					t.Fatal(err)
				}
				l, err = s.Open(tp0, protocol.TopicID{2}, compacted(), NopObserver{})
				if err != nil {
					t.Fatal(err)
				}
				fill(t, l, 40, 2)
			}
			cancel()
			if err := <-ended; err == nil {
				t.Fatal("the cleaning went on to its end")
			}
			if _, err := fsys.Stat(draft); !gone(err) {
				t.Fatalf("the draft is left: %v", err)
			}
			if l.Err() != nil || s.dirs[0].err() != nil || l.Size() != size || len(readAll(t, l, 0, 40, 100)) != 40 {
				t.Fatalf("%v, %v, %d bytes of %d", l.Err(), s.dirs[0].err(), l.Size(), size)
			}
		})
	}
}

// Writers, readers, the flusher, retention and the cleaner work on one log at a time.
func TestCleaningBesideEverythingElse(t *testing.T) {
	s, err := OpenStore(StoreOptions{FS: vfs.NewMem(), Dirs: []string{"d"}, Logger: quiet, CleanerBackoff: time.Millisecond, RetentionCheck: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, s, compacted(), NopObserver{})
	stop := run(s)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				readAll(t, l, l.LogStartOffset(), l.LogEndOffset(), 500)
			}
		})
	}
	want := map[string]string{}
	for i := range 3000 {
		k, v := fmt.Sprint("k", i%7), fmt.Sprint("v", i)
		mustAppend(t, l, keyedBatch(nowMs(), k, v), 0)
		want[k] = v
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	close(done)
	wg.Wait()
	stop()
	cleanNow(t, s)
	got := map[string]string{}
	for _, line := range readAll(t, l, 0, l.LogEndOffset(), 1000) {
		if _, v, ok := strings.Cut(line, " "); ok {
			var n int
			if _, err := fmt.Sscanf(v, "v%d", &n); err != nil {
				t.Fatal(err)
			}
			got[fmt.Sprint("k", n%7)] = v
		}
	}
	if !maps.Equal(got, want) || l.Size() > 60_000 { // of 225 000; an empty batch is left of each small segment
		t.Fatalf("%v, want %v; %d bytes", got, want, l.Size())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
