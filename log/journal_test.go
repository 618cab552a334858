package log

import (
	"errors"
	"syscall"
	"testing"

	"ottla/log/vfs"
)

// lying is a disk whose syncs succeed after it has given its journal up, as ext4's may.
type lying struct {
	*vfs.Mem
	err error
}

func (l *lying) Journal(string) vfs.Journal { return l }
func (l *lying) Check() error               { return l.err }
func (l *lying) Close() error               { return nil }

// TestSyncWithoutJournal: a sync that succeeds on a file system without its journal vouches for nothing, and the directory is done.
func TestSyncWithoutJournal(t *testing.T) {
	disk := &lying{Mem: vfs.NewMem()}
	l := openLog(t, openStore(t, disk), DefaultConfig(), NopObserver{})
	mustAppend(t, l, records(nowMs(), "x"), 0)
	mustFlush(t, l)
	disk.err = syscall.EROFS
	mustAppend(t, l, records(nowMs(), "y"), 0)
	if err := l.Flush(); !errors.Is(err, syscall.EROFS) || l.DurableEndOffset() != 1 {
		t.Errorf("flushed up to %d, %v", l.DurableEndOffset(), err)
	}
	if l.Err() == nil {
		t.Error("the directory goes on")
	}
}
