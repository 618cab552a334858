package log

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

var id9 = protocol.TopicID{9}

// reborn deletes l and opens another topic's log under its name.
func reborn(t *testing.T, s *Store, l *Log, c Config) *Log {
	t.Helper()
	if err := s.Delete(l); err != nil {
		t.Fatal(err)
	}
	next, err := s.Open(tp0, id9, c, NopObserver{})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func mustFlush(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointsOfADeletedTopic: what they say is not of the topic that gets its name.
func TestCheckpointsOfADeletedTopic(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		t.Run(fmt.Sprint("flushed=", flushed), func(t *testing.T) {
			mem := vfs.NewMem()
			s := openStore(t, mem)
			l := openLog(t, s, DefaultConfig(), NopObserver{})
			for range 100 {
				mustAppend(t, l, records(nowMs(), "old"), 0)
			}
			mustFlush(t, l)
			if err := errors.Join(l.AdvanceLogStart(50), l.dir.checkpoint()); err != nil {
				t.Fatal(err)
			}
			l = reborn(t, s, l, DefaultConfig())
			mustAppend(t, l, records(nowMs(), "new"), 0)
			if flushed {
				mustFlush(t, l)
			}
			s = openStore(t, mem.CrashClone(nil, 1)) // a killed process
			l, err := s.Open(tp0, id9, DefaultConfig(), NopObserver{})
			if err != nil {
				t.Fatal(err)
			}
			if start, end := l.LogStartOffset(), l.LogEndOffset(); l.Err() != nil || start != 0 || end != 1 {
				t.Fatalf("[%d, %d), %v", start, end, l.Err())
			}
		})
	}
}

// TestFlushAfterDelete: a flush that comes too late vouches for nothing.
func TestFlushAfterDelete(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem)
	old := openLog(t, s, DefaultConfig(), NopObserver{})
	mustAppend(t, old, records(nowMs(), "old"), 0)
	l := reborn(t, s, old, DefaultConfig())
	old.dir.flusher.pass()
	if s.dirs[0].vouched(tp0) {
		t.Fatal("the manifest has a deleted folder")
	}
	mustAppend(t, l, records(nowMs(), "new"), 0)
	mustFlush(t, l)
}

// TestLoadAfterDelete: who still has a deleted log in hand does not touch the folder of the next one.
func TestLoadAfterDelete(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	old := openLog(t, s, DefaultConfig(), NopObserver{})
	l := reborn(t, s, old, DefaultConfig())
	mustAppend(t, l, records(nowMs(), "new"), 0)
	if end := old.LogEndOffset(); end != 0 || len(*old.segments.Load()) != 0 {
		t.Fatalf("the deleted log ends at %d", end)
	}
}

// TestNoDescriptors: running out of them is an error for the caller, and no damage.
func TestNoDescriptors(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem)
	l := openLog(t, s, DefaultConfig(), NopObserver{})
	mustAppend(t, l, records(nowMs(), "a"), 0)
	mustFlush(t, l)

	faulty := vfs.NewFaulty(mem.CrashClone(nil, 1))
	s = openStore(t, faulty)
	l = openLog(t, s, DefaultConfig(), NopObserver{})
	var info AppendInfo
	for _, op := range []vfs.Op{vfs.OpReadDir, vfs.OpOpen} {
		s.dirs[0].start()
		faulty.Set(vfs.Rule{Ops: op, Path: "t-0", Err: syscall.EMFILE})
		if err := l.Append(records(nowMs(), "b"), AppendOptions{}, &info); err == nil {
			t.Fatal("appended without a descriptor")
		}
	}
	faulty.Set()
	mustAppend(t, l, records(nowMs(), "b"), 0)
	faulty.Set(vfs.Rule{Ops: vfs.OpCreate, Path: "leader-epoch-checkpoint", Err: syscall.EMFILE})
	mustAppend(t, l, records(nowMs(), "c"), 1)
	if err := l.Flush(); err == nil {
		t.Fatal("flushed without a descriptor")
	}
	faulty.Set()
	mustFlush(t, l)
	if got := fmt.Sprint(readAll(t, l, 0, 3, 1<<20)); got != "[0@0 a 1@0 b 2@1 c]" {
		t.Fatal(got)
	}
}

// TestFullDiskBesideTheRecords: Flush says so when what lies beside the records does not fit, and the log goes on when there is room again.
func TestFullDiskBesideTheRecords(t *testing.T) {
	for _, rule := range []vfs.Rule{
		{Ops: vfs.OpWrite, Path: "ottla.folders", Short: 7},
		{Ops: vfs.OpWrite, Path: "partition.metadata"},
		{Ops: vfs.OpWrite, Path: "leader-epoch-checkpoint"},
	} {
		t.Run(rule.Path, func(t *testing.T) {
			mem := vfs.NewMem()
			faulty := vfs.NewFaulty(mem)
			s := openStore(t, faulty)
			s.dirs[0].start()
			l := openLog(t, s, DefaultConfig(), NopObserver{})
			mustAppend(t, l, records(nowMs(), "a"), 3)
			rule.Err = syscall.ENOSPC
			faulty.Set(rule)
			if err := l.Flush(); !errors.Is(err, syscall.ENOSPC) || l.DurableEndOffset() != 0 {
				t.Fatalf("%v; durable up to %d", err, l.DurableEndOffset())
			}
			faulty.Set()
			mustFlush(t, l)
			if got, _ := recoveredFrom(t, mem.CrashClone(nil, 0)); got != 1 {
				t.Fatalf("a power cut leaves %d records", got)
			}
		})
	}
}

// recoveredFrom opens the log again and gives its end.
func recoveredFrom(t *testing.T, mem *vfs.Mem) (protocol.Offset, *Log) {
	t.Helper()
	l := openLog(t, openStore(t, mem), DefaultConfig(), NopObserver{})
	return l.LogEndOffset(), l
}

// TestRetentionBesideAnAppend: what is appended between the look at the segments and their removal is not removed with them.
func TestRetentionBesideAnAppend(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c := DefaultConfig()
	c.Durable, c.SegmentMs = false, 10*c.RetentionMs
	l := openLog(t, s, c, NopObserver{})
	mustAppend(t, l, records(nowMs()-2*c.RetentionMs, "old"), 0)
	end, segs := l.end.Load(), *l.segments.Load()
	n, err := l.expired(segs)
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	mustAppend(t, l, records(nowMs(), "new"), 0)
	if dropped, err := l.release(segs[:n], end); len(dropped) > 0 || err != nil {
		t.Fatalf("%d segments were dropped, %v", len(dropped), err)
	}
}

// TestFlushPassesBy: a flush that found the token taken comes again, whatever it was for.
func TestFlushPassesBy(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c := DefaultConfig()
	c.Durable, c.FlushMessages = false, 1
	l := openLog(t, s, c, NopObserver{})
	mustAppend(t, l, records(nowMs(), "a"), 0)
	l.takeTurn()
	l.dir.flusher.pass()
	l.endTurn()
	l.dir.flusher.pass()
	if got := l.DurableEndOffset(); got != 1 {
		t.Fatalf("durable up to %d", got)
	}
}

// TestDescriptorsOfManyWriters: partitions that are written to hold files open until their next flush, and beyond it no more than the bound.
func TestDescriptorsOfManyWriters(t *testing.T) {
	const logs, bound = 40, 8
	s, err := OpenStore(StoreOptions{FS: vfs.NewMem(), Dirs: []string{"d"}, Logger: quiet, OpenFiles: bound})
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.IndexIntervalBytes = 0
	var all []*Log
	for n := range int32(logs) {
		l, err := s.Open(protocol.TopicPartition{Topic: "t", Partition: n}, id0, c, NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	for range 2 {
		for _, l := range all {
			for range 600 {
				mustAppend(t, l, records(nowMs(), "a"), 0)
			}
			mustFlush(t, l)
		}
	}
	if n := s.files.Open(); n > bound+1 {
		t.Fatalf("%d files are open, the bound is %d", n, bound)
	}
}
