package vfs

import (
	"sync/atomic"
	"time"
)

// Watch is a file system that knows which calls that change the disk are under way, and since when: a disk that does not answer gives no error. Reads are not watched.
// A call on a file costs one look at the clock and allocates nothing.
type Watch struct {
	FS
	origin time.Time     // of the clock below
	next   atomic.Uint64 // calls since the start, and places that were looked at in vain
	calls  [watched]watchedCall

	resting atomic.Bool // somebody is in Await
	wake    chan struct{}
}

// watched is how many calls at a time are known; those beyond are not, which can only be when as many are under way.
const watched = 128

// watchedCall is the place of a call under way.
type watchedCall struct {
	began atomic.Int64 // on the Watch's clock; 0: free
	what  atomic.Pointer[callName]
}

type callName struct{ op, name string }

// Stall is a call that is under way.
type Stall struct {
	Op, Name string
	For      time.Duration
}

// NewWatch watches below.
func NewWatch(below FS) *Watch {
	return &Watch{FS: below, origin: time.Now().Add(-1), wake: make(chan struct{}, 1)}
}

// begin notes a call; nil if there is no place for it.
func (w *Watch) begin(what *callName) *watchedCall {
	if w.resting.Load() && w.resting.Swap(false) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	now := int64(time.Since(w.origin))
	for range watched {
		c := &w.calls[w.next.Add(1)%watched]
		if c.began.Load() == 0 && c.began.CompareAndSwap(0, now) {
			c.what.Store(what)
			return c
		}
	}
	return nil
}

func (c *watchedCall) end() {
	if c != nil {
		c.began.Store(0)
	}
}

// Longest is the call that has been under way for the longest time; false if there is none.
func (w *Watch) Longest() (s Stall, ok bool) {
	now := int64(time.Since(w.origin))
	for i := range w.calls {
		c := &w.calls[i]
		began, what := c.began.Load(), c.what.Load()
		if began == 0 || what == nil || c.began.Load() != began {
			continue // free, just begun, or just over
		}
		if d := time.Duration(now - began); !ok || d > s.For {
			s, ok = Stall{what.op, what.name, d}, true
		}
	}
	return s, ok
}

// Calls grows with every call that begins.
func (w *Watch) Calls() uint64 { return w.next.Load() }

// Await gives a token when a call begins. One caller at a time uses it, and looks at Calls after: one may have begun before.
func (w *Watch) Await() <-chan struct{} {
	w.resting.Store(true)
	return w.wake
}

func (w *Watch) Create(name string) (File, error) {
	defer w.begin(&callName{"create", name}).end()
	return w.wrap(name, w.FS.Create)
}

func (w *Watch) Open(name string) (File, error) { return w.wrap(name, w.FS.Open) }

func (w *Watch) wrap(name string, open func(string) (File, error)) (File, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return &watchedFile{File: f, watch: w, writes: callName{"write", name}, syncs: callName{"fsync", name}}, nil
}

func (w *Watch) Remove(name string) error {
	defer w.begin(&callName{"remove", name}).end()
	return w.FS.Remove(name)
}

func (w *Watch) RemoveAll(name string) error {
	defer w.begin(&callName{"remove", name}).end()
	return w.FS.RemoveAll(name)
}

func (w *Watch) Rename(oldName, newName string) error {
	defer w.begin(&callName{"rename", oldName}).end()
	return w.FS.Rename(oldName, newName)
}

func (w *Watch) MkdirAll(dir string) error {
	defer w.begin(&callName{"mkdir", dir}).end()
	return w.FS.MkdirAll(dir)
}

func (w *Watch) SyncDir(dir string) error {
	defer w.begin(&callName{"fsync of the folder", dir}).end()
	return w.FS.SyncDir(dir)
}

// watchedFile is a file that may be written.
type watchedFile struct {
	File
	watch *Watch

	writes, syncs callName
}

func (f *watchedFile) WriteAt(p []byte, off int64) (int, error) {
	c := f.watch.begin(&f.writes)
	n, err := f.File.WriteAt(p, off)
	c.end()
	return n, err
}

func (f *watchedFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	c := f.watch.begin(&f.writes)
	n, err := f.File.WriteVecAt(bufs, off)
	c.end()
	return n, err
}

func (f *watchedFile) Truncate(size int64) error {
	defer f.watch.begin(&callName{"truncate", f.writes.name}).end()
	return f.File.Truncate(size)
}

func (f *watchedFile) Sync() error {
	defer f.watch.begin(&f.syncs).end()
	return f.File.Sync()
}

func (f *watchedFile) SyncData() error {
	defer f.watch.begin(&f.syncs).end()
	return f.File.SyncData()
}

func (f *watchedFile) Allocate(off, n int64) error {
	defer f.watch.begin(&callName{"fallocate", f.writes.name}).end()
	return f.File.Allocate(off, n)
}
