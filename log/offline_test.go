package log

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/vfs"
	"ottla/protocol"
)

func countLogs(names []fs.DirEntry) (n int) {
	for _, e := range names {
		if strings.HasSuffix(e.Name(), ".log") {
			n++
		}
	}
	return n
}

// told is how often a log went offline.
func (w *watcher) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.offline)
}

// TestOneDirectoryFailsTheOtherGoesOn: whatever call fails, nothing is vouched for in that directory afterwards, even on a disk that has healed; the other directory works. When it
// fails too, Run ends.
func TestOneDirectoryFailsTheOtherGoesOn(t *testing.T) {
	for _, fault := range []vfs.Rule{
		{Ops: vfs.OpSync, Err: syscall.EIO}, {Ops: vfs.OpWrite, Err: syscall.EIO}, {Ops: vfs.OpWrite, Err: syscall.EROFS}, {Ops: vfs.OpSyncDir, Err: syscall.EIO},
		{Ops: vfs.OpWrite, Err: syscall.EIO, Short: vfs.Half}, {Ops: vfs.OpWrite | vfs.OpTruncate, Err: syscall.ENOSPC},
	} {
		faulty := vfs.NewFaulty(vfs.NewMem())
		s := openStore(t, faulty, "first", "second")
		ended := make(chan error, 1)
		go func() { ended <- s.Run(context.Background()) }()
		lost, well := new(watcher), new(watcher)
		a := openLog(t, s, DefaultConfig(), lost)
		b, err := s.Open(protocol.TopicPartition{Topic: "u"}, protocol.TopicID{3}, DefaultConfig(), well)
		if err != nil {
			t.Fatal(err)
		}
		if a.Directory() == b.Directory() {
			t.Fatal("both are in one directory")
		}
		fault.Path = a.Directory() + "/"
		if fault.Ops == vfs.OpSyncDir {
			fault.Path = a.Directory()
		}
		s.dirs[0].start()
		s.dirs[1].start()
		faulty.Set(fault)
		var info AppendInfo
		appended := a.Append(records(0, "a"), AppendOptions{}, &info)
		if err := errors.Join(appended, a.Flush()); !errors.Is(err, kerr.KafkaStorageError) {
			t.Fatalf("%+v: %v", fault, err)
		}
		faulty.Set()
		if err := a.Append(records(0, "b"), AppendOptions{}, &info); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("%+v: after the failure: %v", fault, err)
		}
		if err := a.Flush(); err == nil {
			t.Errorf("%+v: flushed after the failure", fault)
		}
		mustAppend(t, b, records(0, "c"), 0)
		if err := b.Flush(); err != nil || b.DurableEndOffset() != 1 || well.told() != 0 {
			t.Errorf("%+v: the other one: %v", fault, err)
		}
		faulty.Set(vfs.Rule{Ops: vfs.OpSync, Err: syscall.EIO})
		mustAppend(t, b, records(0, "d"), 0)
		_ = b.Flush()
		if err := <-ended; !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%+v: Run ended with %v", fault, err)
		}
		if lost.last() >= 0 || lost.told() != 1 {
			t.Errorf("%+v: vouched up to %d, told %d times", fault, lost.last(), lost.told())
		}
	}
}

// TestStalledDiskHoldsUpOnlyItsSyncs: while an fsync does not return the same log takes appends and is read, another directory vouches, and the stall is told until it is over.
func TestStalledDiskHoldsUpOnlyItsSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		s := openStore(t, faulty, "first", "second")
		defer run(s)()
		w := new(watcher)
		a := openLog(t, s, DefaultConfig(), w)
		b, err := s.Open(protocol.TopicPartition{Topic: "u"}, protocol.TopicID{3}, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		faulty.Set(vfs.Rule{Ops: vfs.OpSync, Path: "first/t-0", Before: func() { <-release }})
		mustAppend(t, a, records(0, "a"), 0)
		a.RequestFlush()
		time.Sleep(4 * time.Second)
		if why := s.Stalled(); why != "" {
			t.Errorf("after 4 s: %s", why)
		}
		time.Sleep(4 * time.Second)
		if why := s.Stalled(); !strings.Contains(why, "fsync of first/t-0/") || s.dirs[0].stallIn() < 7*time.Second || s.dirs[1].stallIn() != 0 {
			t.Errorf("after 8 s: %q", why)
		}
		mustAppend(t, a, records(0, "b"), 0)
		a.WantFlush()
		s.Settle()
		if got := readAll(t, a, 0, 2, mib); len(got) != 2 {
			t.Errorf("read %v", got)
		}
		mustAppend(t, b, records(0, "c"), 0)
		if err := b.Flush(); err != nil {
			t.Error(err)
		}
		if w.last() >= 0 {
			t.Errorf("vouched up to %d", w.last())
		}
		close(release)
		time.Sleep(2 * time.Second)
		if why := s.Stalled(); why != "" || w.last() != 2 {
			t.Errorf("after it is over: %q, vouched up to %d", why, w.last())
		}
	})
}

// TestNoDescriptorForAFolderSync: the folder could not be opened, so nothing is lost: the flush is refused, and comes back.
func TestNoDescriptorForAFolderSync(t *testing.T) {
	faulty := vfs.NewFaulty(vfs.NewMem())
	s := openStore(t, faulty)
	l := openLog(t, s, DefaultConfig(), NopObserver{})
	mustAppend(t, l, records(0, "a"), 0)
	faulty.Set(vfs.Rule{Ops: vfs.OpSyncDir, Path: "d/t-0", Err: syscall.EMFILE})
	if err := l.Flush(); !errors.Is(err, kerr.KafkaStorageError) || l.Err() != nil || l.DurableEndOffset() != 0 {
		t.Errorf("%v, offline %v, durable up to %d", err, l.Err(), l.DurableEndOffset())
	}
	faulty.Set()
	if err := l.Flush(); err != nil || l.DurableEndOffset() != 1 {
		t.Errorf("%v, durable up to %d", err, l.DurableEndOffset())
	}
}

// TestFailedDeletionIsTheDirectorysEnd: its manifest is as the failed sync left it. A full disk is none.
func TestFailedDeletionIsTheDirectorysEnd(t *testing.T) {
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC} {
		faulty := vfs.NewFaulty(vfs.NewMem())
		s := openStore(t, faulty)
		w := new(watcher)
		l := openLog(t, s, DefaultConfig(), NopObserver{})
		other, err := s.Open(protocol.TopicPartition{Topic: "u"}, protocol.TopicID{3}, DefaultConfig(), w)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, records(0, "a"), 0)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		faulty.Set(vfs.Rule{Ops: vfs.OpWrite | vfs.OpSync, Path: "ottla.folders", Err: errno})
		if err := s.Delete(l); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("%v: %v", errno, err)
		}
		if failed := errno == syscall.EIO; failed != (other.Err() != nil) || failed != (len(w.offline) == 1) {
			t.Errorf("%v: the other log: %v, told %v", errno, other.Err(), w.offline)
		}
	}
}

// TestTruncationWithoutRoomEndsOneLog: what it left on disk is for a recovery to look at; the directory is sound.
func TestTruncationWithoutRoomEndsOneLog(t *testing.T) {
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem)
	s := openStore(t, faulty)
	l := openLog(t, s, DefaultConfig(), NopObserver{})
	for range 3 {
		mustAppend(t, l, records(0, "a"), 0)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	faulty.Set(vfs.Rule{Ops: vfs.OpCreate, Path: "d/t-0/", Err: syscall.ENOSPC})
	if err := l.Truncate(1); !errors.Is(err, kerr.KafkaStorageError) || l.Err() == nil || s.dirs[0].err() != nil {
		t.Errorf("%v, log %v, directory %v", err, l.Err(), s.dirs[0].err())
	}
	faulty.Set()
	again := openStore(t, mem.CrashClone(nil, 1))
	if got := openLog(t, again, DefaultConfig(), NopObserver{}).LogEndOffset(); got != 1 && got != 3 {
		t.Errorf("after a crash the log ends at %d", got)
	}
}
