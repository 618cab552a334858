package log

import (
	"fmt"
	"slices"
	"testing"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// A base offset lies outside the CRC. If one jumps ahead the log is set aside: the swap file would seem to cover the segments behind it, and a start after a crash would remove them.
func TestCleaningBelievesNoOffsetThatJumps(t *testing.T) {
	fsys := &tapped{Mem: vfs.NewMem()}
	s := openStore(t, fsys)
	c := compacted()
	l := openLog(t, s, c, NopObserver{})
	for i := range 40 { // but for the first two, each of the first twenty has a key of its own
		mustAppend(t, l, keyedBatch(nowMs(), fmt.Sprint("k", max(1, min(i, 20))), fmt.Sprint("v", i)), 0)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	s.checkpoint()
	segs := *l.segments.Load()
	position, next := int64(0), segs[1].Base()
	if _, err := walkSegment(segs[0], 0, 0, func(c *segment.Cursor) (bool, error) { position = c.Position; return true, nil }); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open(segs[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{byte(next) + 8}, position+7); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	fsys.before = func() {
		crashed := openLog(t, openStore(t, fsys.CrashClone(nil, 1)), c, NopObserver{})
		_ = crashed.LogEndOffset()
		if crashed.Err() != nil {
			t.Fatal(crashed.Err())
		}
		if got := readAll(t, crashed, next, next+5, 1<<20); len(got) < 5 {
			t.Fatalf("records behind are lost: %v", got)
		}
	}
	size := l.Size()
	cleaner := cleanNow(t, s)
	fsys.before = nil
	if cleaner.aside[l].failures != 1 || l.Size() != size {
		t.Errorf("%+v, %d bytes of %d", cleaner.aside[l], l.Size(), size)
	}
}

// Known damage keeps the cleaner away: positions of bad ranges are those of the file that it would replace.
func TestCleaningLeavesBadRangesAlone(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 20, 2)
	first := (*l.segments.Load())[0]
	l.takeTurn()
	err := l.setRanges(first, []segment.Extent{{From: 1, To: 2, Position: 72, End: 144, Damage: &segment.DamageError{Err: fmt.Errorf("epoch")}}})
	l.endTurn()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(*l.segments.Load())
	cleanNow(t, s)
	if after := *l.segments.Load(); !slices.Equal(before, after) {
		t.Errorf("%d segments became %d", len(before), len(after))
	}
}

// A follower of a leader that was compacted once, and is not any more, gets gaps; they are no lost records.
func TestFollowerOfALogThatWasCompactedOnce(t *testing.T) {
	for _, id := range []string{"A", "B"} {
		mem := vfs.NewMem()
		setBoot(t, mem, "A")
		s := openStore(t, mem)
		c := DefaultConfig()
		c.SegmentBytes = 400
		l := openLog(t, s, c, NopObserver{})
		at := protocol.Offset(0)
		for i := range 20 {
			b := keyedBatch(nowMs(), "k", fmt.Sprint("v", i))
			batch.Place(b, at, 0)
			var info AppendInfo
			if err := l.Append(b, AppendOptions{Origin: Replica}, &info); err != nil {
				t.Fatal(err)
			}
			at += 1 + protocol.Offset(i%3)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		end := l.LogEndOffset()
		want := readAll(t, l, 0, end, 300)
		mem = mem.CrashClone(nil, 1) // without a checkpoint of the last seconds
		setBoot(t, mem, id)
		l = openLog(t, openStore(t, mem), c, NopObserver{})
		if got := l.LogEndOffset(); got != end || l.Err() != nil {
			t.Errorf("boot %s: ends at %d, want %d: %v", id, got, end, l.Err())
			continue
		}
		if got := readAll(t, l, 0, end, 300); !slices.Equal(got, want) {
			t.Errorf("boot %s: %v, want %v", id, got, want)
		}
	}
}
