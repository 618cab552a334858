package segment

import (
	"sync/atomic"

	"ottla/log/vfs"
)

// Handle is an open file that several holders share: whoever pinned it calls Release once. The bytes stay readable until then, whatever happens to the file's name:
// a reader's sendfile may outlive the segment. It has the methods of the server's Source.
type Handle struct {
	file vfs.File
	slot *slot
	refs atomic.Int32 // holders, the cache being one of them; 0 is closed
	used atomic.Bool  // since the cache's hand last passed
}

// pin adds a holder, unless the file is closed already.
func (h *Handle) pin() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			if !h.used.Load() {
				h.used.Store(true)
			}
			return true
		}
	}
}

// Release gives one pin back; the last one closes the file.
func (h *Handle) Release() {
	if h.refs.Add(-1) == 0 {
		// No record that is unsynced can be lost here: its file is pinned by its writer until the sync.
		_ = h.file.Close()
	}
}

// ReadAt reads as io.ReaderAt does.
func (h *Handle) ReadAt(p []byte, off int64) (int, error) { return h.file.ReadAt(p, off) }

// FD is the descriptor for sendfile; false where there is none.
func (h *Handle) FD() (uintptr, bool) { return h.file.FD() }

// SyncData makes the file's bytes durable.
func (h *Handle) SyncData() error { return h.file.SyncData() }
