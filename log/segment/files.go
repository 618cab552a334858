package segment

import (
	"sync"

	"ottla/log/vfs"
)

// Files opens the files of all segments of a store and keeps a bounded number of idle ones open. A file that is pinned (being read, being sent, or written and not yet
// synced) is never closed, so what is in use may pass the bound.
type Files struct {
	fs    vfs.FS
	limit int

	mu   sync.Mutex
	open []*Handle // those that the cache holds a pin on, in no order
	hand int       // of the clock: the next candidate for closing
}

// NewFiles returns a cache of at most limit idle files on fs.
func NewFiles(fs vfs.FS, limit int) *Files { return &Files{fs: fs, limit: limit} }

// FS is the file system below.
func (f *Files) FS() vfs.FS { return f.fs }

// add makes file the open handle of s, pinned once for the caller, and closes what the bound asks for. If somebody else opened the same file meanwhile, theirs is used.
func (f *Files) add(s *slot, file vfs.File) (*Handle, error) {
	h := &Handle{file: file, slot: s}
	h.refs.Store(2) // the cache and the caller
	h.used.Store(true)

	f.mu.Lock()
	other := s.handle.Load()
	switch {
	case s.gone:
		f.mu.Unlock()
		_ = file.Close()
		return nil, ErrGone
	case other != nil && other.pin():
		f.mu.Unlock()
		_ = file.Close()
		return other, nil
	}
	s.handle.Store(h)
	f.open = append(f.open, h)
	victim := f.evict()
	f.mu.Unlock()
	victim.close()
	return h, nil
}

// evict picks one idle handle if there are more than limit, in second-chance order; nil if there is none. The caller holds mu, and closes it after letting go.
func (f *Files) evict() *Handle {
	if len(f.open) <= f.limit {
		return nil
	}
	for range 2 * len(f.open) {
		if f.hand >= len(f.open) {
			f.hand = 0
		}
		if h := f.open[f.hand]; h.idle() {
			f.remove(f.hand)
			return h
		}
		f.hand++
	}
	return nil
}

// idle takes the cache's own pin away if it is the last one and the file was not used since the last call.
func (h *Handle) idle() bool {
	return h.refs.Load() == 1 && !h.used.Swap(false) && h.refs.CompareAndSwap(1, 0)
}

// close ends a handle that idle has taken.
func (h *Handle) close() {
	if h == nil {
		return
	}
	h.slot.handle.CompareAndSwap(h, nil)
	_ = h.file.Close()
}

// remove takes entry i out of open. The caller holds mu.
func (f *Files) remove(i int) {
	last := len(f.open) - 1
	f.open[i] = f.open[last]
	f.open[last] = nil
	f.open = f.open[:last]
}

// CloseIdle closes every file that nobody has pinned since the last call: a partition that is not used holds no descriptor for long.
func (f *Files) CloseIdle() {
	var idle []*Handle
	f.mu.Lock()
	for i := 0; i < len(f.open); {
		if h := f.open[i]; h.idle() {
			f.remove(i)
			idle = append(idle, h)
			continue
		}
		i++
	}
	f.mu.Unlock()
	for _, h := range idle {
		h.close()
	}
}

// Open is the number of files that the cache holds open.
func (f *Files) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// forget closes the file of s as soon as its last reader is done.
func (f *Files) forget(s *slot) {
	f.mu.Lock()
	h := s.handle.Swap(nil)
	found := false
	for i, o := range f.open {
		if h != nil && o == h {
			f.remove(i)
			found = true
			break
		}
	}
	f.mu.Unlock()
	if found { // else it was evicted at this moment, and its pin is gone already
		h.Release()
	}
}

// Acquire opens a file of batches that is no segment's (a snapshot of metadata), pinned for the caller.
func (f *Files) Acquire(name string) (*Handle, error) {
	return (&slot{files: f, name: name}).acquire()
}
