package log

import (
	"errors"
	"math/rand/v2"
	"path"
	"testing"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// idempotent makes a batch of one record of producer 7.
func idempotent(sequence protocol.Sequence) []byte {
	b := batch.NewBuilder()
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 0, sequence
	b.Add(nowMs(), []byte("k"), make([]byte, 100))
	return b.Build(nil)
}

// without is the disk of a killed process that has also lost a segment, as a power cut takes one whose name was not synced.
func without(t *testing.T, mem *vfs.Mem, base protocol.Offset) *vfs.Mem {
	t.Helper()
	left := mem.CrashClone(nil, 1)
	if err := errors.Join(left.Remove(path.Join("d/t-0", segment.Name(base, segment.LogSuffix))), left.SyncDir("d/t-0")); err != nil {
		t.Fatal(err)
	}
	return left
}

// TestLogWithoutItsBeginning: of a log that was never durable a power cut may leave a later segment alone. What is left is no prefix, so nothing is.
func TestLogWithoutItsBeginning(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 200
	mem := vfs.NewMem()
	s := openStore(t, mem)
	s.dirs[0].start()
	l := openLog(t, s, c, NopObserver{})
	for range 3 {
		mustAppend(t, l, records(nowMs(), string(make([]byte, 120))), 0)
	}
	left := without(t, mem, 0)
	for range 2 {
		l = openLog(t, openStore(t, left), c, NopObserver{})
		if start, end := l.LogStartOffset(), l.LogEndOffset(); l.Err() != nil || start != 0 || end != 0 {
			t.Fatalf("[%d, %d), %v", start, end, l.Err())
		}
		left = left.CrashClone(nil, 0)
	}
}

// TestEmptySegmentBehindAGap: in a compacted log the last segment may be empty and begin behind the last record. The log ends where that segment begins, or what is appended next
// would lie below its base, where nobody finds it.
func TestEmptySegmentBehindAGap(t *testing.T) {
	c := DefaultConfig()
	c.Compact, c.SegmentBytes = true, 200
	mem := vfs.NewMem()
	s := openStore(t, mem)
	s.dirs[0].start()
	l := openLog(t, s, c, NopObserver{})
	mustAppend(t, l, records(nowMs(), string(make([]byte, 120))), 0)
	mustFlush(t, l)
	mustAppend(t, l, records(nowMs(), string(make([]byte, 120))), 0)
	l.mu.Lock()
	_, err := l.roll(2, &c, nowMs())
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	l = openLog(t, openStore(t, without(t, mem, 1)), c, NopObserver{})
	if info := mustAppend(t, l, records(nowMs(), "new"), 0); info.BaseOffset != 2 {
		t.Fatalf("appended at %d", info.BaseOffset)
	}
	if got := readAll(t, l, 2, 3, 1<<20); len(got) != 1 || got[0] != "2@0 new" {
		t.Fatalf("read %q", got)
	}
}

// TestProducerWhoseNewestBatchIsDeleted: DeleteRecords inside the active segment does not take the producer's sequence back to that of the snapshot before.
func TestProducerWhoseNewestBatchIsDeleted(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 400
	mem := vfs.NewMem()
	s := openStore(t, mem)
	l := openLog(t, s, c, NopObserver{})
	next := protocol.Sequence(0)
	for len(*l.segments.Load()) < 2 {
		mustAppend(t, l, idempotent(next), 0)
		next++
	}
	mustAppend(t, l, records(nowMs(), "plain"), 0)
	mustFlush(t, l)
	if err := errors.Join(l.AdvanceLogStart(l.LogEndOffset()-1), l.dir.checkpoint()); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, openStore(t, mem.CrashClone(nil, 0)), c, NopObserver{})
	mustAppend(t, l, idempotent(next), 0)
}

// TestResetLeavesNoSnapshot: a power cut in the middle of a reset leaves no producers of the log before to the one that begins anew.
func TestResetLeavesNoSnapshot(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 400
	mem := vfs.NewMem()
	broken := vfs.NewFaulty(mem)
	l := openLog(t, openStore(t, broken), c, NopObserver{})
	for n := range protocol.Sequence(5) {
		mustAppend(t, l, idempotent(n), 0)
	}
	mustFlush(t, l)
	broken.Set(vfs.Rule{Ops: vfs.OpRename, Path: "leader-epoch-checkpoint", Err: errors.New("power cut")})
	if err := l.ResetTo(100); err == nil {
		t.Fatal("it was reset")
	}
	for seed := range uint64(100) {
		l := openLog(t, openStore(t, mem.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.5)), c, NopObserver{})
		next := protocol.Sequence(l.LogEndOffset()) // the old log, or its beginning
		if next == 100 {
			next = 0
		}
		mustAppend(t, l, idempotent(next), 0)
	}
}

// TestResetToTheBeginning: a power cut in the middle of a reset to offset 0 is no damage, although the log was durable up to its end.
func TestResetToTheBeginning(t *testing.T) {
	mem := vfs.NewMem()
	broken := vfs.NewFaulty(mem)
	s := openStore(t, broken)
	l := openLog(t, s, DefaultConfig(), NopObserver{})
	mustAppend(t, l, records(nowMs(), "x"), 0)
	mustFlush(t, l)
	if err := l.checkpointNow(); err != nil {
		t.Fatal(err)
	}
	broken.Set(vfs.Rule{Ops: vfs.OpRename, Path: "leader-epoch-checkpoint", Err: errors.New("power cut")})
	if err := l.ResetTo(0); err == nil {
		t.Fatal("it was reset")
	}
	l = openLog(t, openStore(t, mem.CrashClone(nil, 0)), DefaultConfig(), NopObserver{})
	if end := l.LogEndOffset(); l.Err() != nil || end != 0 {
		t.Errorf("the log ends at %d, %v", end, l.Err())
	}
}

// TestProducersOfDeletedSegments: a start deletes no segment with the newest batch of a producer as long as no snapshot stands for it. A crash may have taken that of the next segment.
func TestProducersOfDeletedSegments(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 400
	mem := vfs.NewMem()
	l := openLog(t, openStore(t, mem), c, NopObserver{})
	next, older := protocol.Sequence(0), []byte(nil)
	for len(*l.segments.Load()) < 2 {
		mustAppend(t, l, idempotent(next), 0)
		if next++; next == 1 {
			older = l.producers.AppendSnapshot(nil)
		}
	}
	base := l.active().Base()
	next = protocol.Sequence(base)
	if err := l.truncate(base); err != nil { // the second segment holds plain records alone
		t.Fatal(err)
	}
	mustAppend(t, l, records(nowMs(), "plain", "plain"), 0)
	mustFlush(t, l)
	if err := errors.Join(l.AdvanceLogStart(l.LogEndOffset()-1), l.dir.checkpoint()); err != nil {
		t.Fatal(err)
	}
	left := mem.CrashClone(nil, 0)
	if err := errors.Join(left.Remove(l.snapshotName(base)), writeFile(left, l.snapshotName(1), older)); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, openStore(t, left), c, NopObserver{})
	mustAppend(t, l, idempotent(next), 0)
}

// TestGapBelowTheLogStart: of segments that are deleted a power cut may take any. Those that are left and lead nowhere are no damage.
func TestGapBelowTheLogStart(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 200
	mem := vfs.NewMem()
	l := openLog(t, openStore(t, mem), c, NopObserver{})
	for range 4 {
		mustAppend(t, l, records(nowMs(), string(make([]byte, 120))), 0)
	}
	mustFlush(t, l)
	if err := errors.Join(l.AdvanceLogStart(3), l.dir.checkpoint()); err != nil {
		t.Fatal(err)
	}
	left := without(t, mem, 1)
	for base := range protocol.Offset(4) {
		if err := left.RemoveAll(l.snapshotName(base)); err != nil {
			t.Fatal(err)
		}
	}
	l = openLog(t, openStore(t, left), c, NopObserver{})
	if start, end := l.LogStartOffset(), l.LogEndOffset(); l.Err() != nil || start != 3 || end != 4 {
		t.Errorf("[%d, %d), %v", start, end, l.Err())
	}
}

// TestResetLogWithoutItsBeginning: what was appended since a reset and never durable may lose its beginning too.
func TestResetLogWithoutItsBeginning(t *testing.T) {
	c := DefaultConfig()
	c.SegmentBytes = 200
	mem := vfs.NewMem()
	l := openLog(t, openStore(t, mem), c, NopObserver{})
	mustAppend(t, l, records(nowMs(), "old"), 0)
	mustFlush(t, l)
	if err := l.ResetTo(12); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, l)
	for range 3 {
		mustAppend(t, l, records(nowMs(), string(make([]byte, 120))), 0)
	}
	l = openLog(t, openStore(t, without(t, mem, 12)), c, NopObserver{})
	if start, end := l.LogStartOffset(), l.LogEndOffset(); l.Err() != nil || start != 12 || end != 12 {
		t.Errorf("[%d, %d), %v", start, end, l.Err())
	}
}
