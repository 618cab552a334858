package log

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

// mountFS is a Mem that is a mount: its files have descriptors, and SyncAll syncs those it is given.
type mountFS struct {
	*vfs.Mem
	mu    sync.Mutex // guards files
	files map[uintptr]vfs.File
	calls int
	err   error
}

type mountedFile struct {
	vfs.File
	descriptor uintptr
}

func (f *mountFS) Mount(string) vfs.Mount { return f }
func (f *mountFS) Close() error           { return nil }

func (f *mountFS) SyncAll(descriptors []uintptr) error {
	f.calls++
	for _, fd := range descriptors {
		if err := f.files[fd].Sync(); err != nil {
			return err
		}
	}
	return f.err
}

func (f *mountFS) Create(name string) (vfs.File, error) { return f.wrap(f.Mem.Create(name)) }
func (f *mountFS) Open(name string) (vfs.File, error)   { return f.wrap(f.Mem.Open(name)) }

func (f *mountFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fd := uintptr(len(f.files))
	f.files[fd] = file
	return &mountedFile{file, fd}, nil
}

func (f *mountedFile) FD() (uintptr, bool) { return f.descriptor, true }

// TestManyFilesAreSyncedAtOnce: few one by one, many by one call, and a power cut takes nothing that was vouched for. An error of that call is the directory's end, for every log of the pass.
func TestManyFilesAreSyncedAtOnce(t *testing.T) {
	for _, c := range []struct {
		logs, calls int
		err         error
	}{{manyFiles, 0, nil}, {manyFiles + 1, 1, nil}, {manyFiles + 1, 1, syscall.EIO}} {
		fsys := &mountFS{Mem: vfs.NewMem(), files: map[uintptr]vfs.File{}, err: c.err}
		s := openStore(t, fsys)
		w := new(watcher)
		var logs []*Log
		for i := range c.logs {
			l, err := s.Open(protocol.TopicPartition{Topic: fmt.Sprintf("t%d", i)}, protocol.TopicID{byte(i + 1)}, DefaultConfig(), w)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, records(0, "a", "b"), 0)
			l.WantFlush()
			logs = append(logs, l)
		}
		s.Settle()
		if fsys.calls != c.calls {
			t.Errorf("%+v: %d calls", c, fsys.calls)
		}
		if c.err != nil {
			if len(w.durable) != 0 || len(w.offline) != c.logs || !errors.Is(logs[0].Err(), c.err) {
				t.Errorf("%+v: %d vouched for, %d told, %v", c, len(w.durable), len(w.offline), logs[0].Err())
			}
			continue
		}
		after := openStore(t, fsys.CrashClone(nil, 0))
		for _, l := range logs {
			again, err := after.Open(l.TopicPartition(), l.TopicID(), DefaultConfig(), NopObserver{})
			if err != nil {
				t.Fatal(err)
			}
			if l.DurableEndOffset() != 2 || again.LogEndOffset() != 2 {
				t.Errorf("%+v: %s was durable up to %d and ends at %d", c, l.tp, l.DurableEndOffset(), again.LogEndOffset())
			}
		}
	}
}
