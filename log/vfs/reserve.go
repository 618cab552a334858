package vfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"sync/atomic"
)

// Reserve is a file system that has put room by: a ballast file in each folder that Add names. What must not fail for want of room (all but the writes of files
// that spare names) gets a piece of the ballast when it meets a full disk, and is tried again: nothing is lost by a write that a full disk refused. Syncs are never tried again.
type Reserve struct {
	FS
	spare    func(name string) bool
	ballasts []*Ballast
}

// NewReserve puts nothing by yet. spare tells the files whose writes are refused by a full disk like anybody's.
func NewReserve(below FS, spare func(name string) bool) *Reserve {
	return &Reserve{FS: below, spare: spare}
}

// Add has the files below dir served by a ballast file of that name in it, which may be there already; nothing is changed by it. All calls come before the first other one.
func (r *Reserve) Add(dir, name string) (*Ballast, error) {
	b := &Ballast{fs: r.FS, dir: path.Clean(dir) + "/", name: path.Join(dir, name)}
	switch info, err := r.FS.Stat(b.name); {
	case err == nil:
		b.size.Store(info.Size())
		b.made.Store(info.Size() > 0)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	r.ballasts = append(r.ballasts, b)
	return b, nil
}

// yields tells whether a call that ended with err is to be tried again.
func (r *Reserve) yields(name string, err error) bool {
	if err == nil || !DiskFull(err) {
		return false
	}
	name = path.Clean(name)
	for _, b := range r.ballasts {
		if strings.HasPrefix(name+"/", b.dir) {
			return b.yield()
		}
	}
	return false
}

func (r *Reserve) Create(name string) (File, error) { return r.open(name, r.FS.Create) }
func (r *Reserve) Open(name string) (File, error)   { return r.open(name, r.FS.Open) }

func (r *Reserve) open(name string, open func(string) (File, error)) (File, error) {
	f, err := open(name)
	for r.yields(name, err) {
		f, err = open(name)
	}
	if err != nil || r.spare(name) {
		return f, err
	}
	return &reservedFile{File: f, reserve: r, name: name}, nil
}

func (r *Reserve) Rename(oldName, newName string) error {
	err := r.FS.Rename(oldName, newName)
	for r.yields(newName, err) {
		err = r.FS.Rename(oldName, newName)
	}
	return err
}

func (r *Reserve) MkdirAll(dir string) error {
	err := r.FS.MkdirAll(dir)
	for r.yields(dir, err) {
		err = r.FS.MkdirAll(dir)
	}
	return err
}

// Remove and RemoveAll may need room on a file system that copies what it changes.
func (r *Reserve) Remove(name string) error {
	err := r.FS.Remove(name)
	for r.yields(name, err) {
		err = r.FS.Remove(name)
	}
	return err
}

func (r *Reserve) RemoveAll(name string) error {
	err := r.FS.RemoveAll(name)
	for r.yields(name, err) {
		err = r.FS.RemoveAll(name)
	}
	return err
}

// reservedFile is a file whose writes must not fail for want of room.
type reservedFile struct {
	File
	reserve *Reserve
	name    string
}

func (f *reservedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	for f.reserve.yields(f.name, err) {
		n, err = f.File.WriteAt(p, off)
	}
	return n, err
}

func (f *reservedFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	n, err := f.File.WriteVecAt(bufs, off)
	for f.reserve.yields(f.name, err) {
		n, err = f.File.WriteVecAt(bufs, off)
	}
	return n, err
}

func (f *reservedFile) Truncate(size int64) error {
	err := f.File.Truncate(size)
	for f.reserve.yields(f.name, err) {
		err = f.File.Truncate(size)
	}
	return err
}

// Ballast is a file that only takes room. It is given up in pieces, so that who else fills the disk does not get all of it at once.
type Ballast struct {
	fs   FS
	dir  string // with a slash at its end
	name string

	size atomic.Int64
	made atomic.Bool // there was one, now or earlier

	mu sync.Mutex // held while the file changes
}

const (
	ballastParts = 8       // of what is left is a piece
	minPiece     = 1 << 20 // bytes
)

// Size is the bytes that are put by.
func (b *Ballast) Size() int64 { return b.size.Load() }

// GivenUp is what a ballast of size bytes lacks because it was used; 0 if there never was one.
func (b *Ballast) GivenUp(size int64) int64 {
	if !b.made.Load() {
		return 0
	}
	return max(0, size-b.size.Load())
}

// yield gives a piece up, the whole file at last; false if there is nothing to give up. The blocks are free when it returns.
func (b *Ballast) yield() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := b.size.Load()
	if size == 0 {
		return false
	}
	rest := size - max(size/ballastParts, minPiece)
	if rest <= 0 {
		if b.fs.Remove(b.name) != nil {
			return false // the caller has its own error
		}
		b.size.Store(0)
		return true
	}
	f, err := b.fs.Open(b.name)
	if err != nil {
		return false
	}
	err = f.Truncate(rest)
	if err == nil {
		b.size.Store(rest)
		_ = f.Sync() // some file systems free blocks at the end of a transaction only; if it fails the caller's next try tells
	}
	_ = f.Close() // it holds nothing
	return err == nil
}

// Fill makes the ballast size bytes long, if it is shorter. After an error it is as it was.
func (b *Ballast) Fill(size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.size.Load()
	if old >= size {
		return nil
	}
	f, err := b.fs.Open(b.name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = b.fs.Create(b.name)
	}
	if err != nil {
		return err
	}
	// The size comes last: a crash on the way must not leave a file that looks large and holds no blocks.
	if err = f.Allocate(old, size-old); errors.Is(err, errors.ErrUnsupported) {
		err = writeNoise(f, old, size)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		// Blocks behind the end of a file go for sure only when it becomes shorter.
		return errors.Join(err, f.Truncate(size), f.Truncate(old), f.Close())
	}
	b.size.Store(size)
	b.made.Store(true)
	return f.Close()
}

// writeNoise takes room on a file system that cannot allocate: bytes that none of them makes smaller.
func writeNoise(f File, from, to int64) error {
	noise := make([]byte, 1<<20)
	dice := rand.NewChaCha8([32]byte{1})
	for from < to {
		_, _ = dice.Read(noise) // never fails
		n, err := f.WriteAt(noise[:min(int64(len(noise)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}
