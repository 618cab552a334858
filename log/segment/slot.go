package segment

import (
	"errors"
	"io/fs"
	"sync/atomic"
)

// ErrGone says that the file was deleted or replaced: the log's list of segments has changed since the caller looked at it.
var ErrGone = errors.New("segment is gone")

// slot is the place of one file, open or not.
type slot struct {
	files  *Files
	name   string
	handle atomic.Pointer[Handle]
	gone   bool // guarded by files.mu
}

// acquire pins the file, opening it if need be.
func (s *slot) acquire() (*Handle, error) {
	if h := s.handle.Load(); h != nil && h.pin() {
		return h, nil
	}
	file, err := s.files.fs.Open(s.name)
	if err != nil {
		return nil, err
	}
	return s.files.add(s, file)
}

// create makes the file, in the place of one that may be there, and pins it. Readers of the old one keep it.
func (s *slot) create() (*Handle, error) {
	s.files.forget(s)
	file, err := s.files.fs.Create(s.name)
	if errors.Is(err, fs.ErrExist) {
		if err = s.files.fs.Remove(s.name); err == nil {
			file, err = s.files.fs.Create(s.name)
		}
	}
	if err != nil {
		return nil, err
	}
	return s.files.add(s, file)
}

// seclude makes that nobody opens the name any more: it is about to be removed or to stand for another file.
func (s *slot) seclude() {
	s.files.mu.Lock()
	s.gone = true
	s.files.mu.Unlock()
}

// retire is seclude, and gives up the cache's pin. Readers keep what they have pinned.
func (s *slot) retire() {
	s.seclude()
	s.files.forget(s)
}
