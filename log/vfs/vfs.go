// Package vfs is the file system seam of the log: OS in production, Mem in tests (with a clone of what a power cut leaves), Faulty to make the nth call fail.
//
// Nothing here interprets bytes. Paths are slash-separated. All implementations are safe for concurrent use; a File's methods too, except that the caller
// orders WriteAt calls that overlap. No goroutines are started. What is durable when: a file's bytes after Sync or SyncData returned nil, a file's *name* (created,
// removed, renamed) only after SyncDir of its folder returned nil. Start reading here, then os.go and mem.go.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// Errors are those of io/fs: fs.ErrNotExist, fs.ErrExist, and on Linux the syscall errors (ENOSPC, EIO, EROFS) wrapped in *fs.PathError.

// FS is a file system as the log uses it.
type FS interface {
	// Create makes a new file for reading and writing; fs.ErrExist if the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenReadOnly opens an existing file for reading.
	OpenReadOnly(name string) (File, error)
	Remove(name string) error
	RemoveAll(name string) error
	// Rename replaces newName atomically. Durable after SyncDir.
	Rename(oldName, newName string) error
	MkdirAll(dir string) error
	// ReadDir lists the names in dir, sorted.
	ReadDir(dir string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on the file (created if absent) that dies with the process; ErrLocked if another holder has it.
	Lock(name string) (io.Closer, error)
	// Space tells how many bytes the file system that holds dir has, and how many this process may still write.
	Space(dir string) (Space, error)
}

// Space is a file system's room, in bytes.
type Space struct{ Total, Free int64 }

// File is an open file. Offsets are explicit: there is no shared position.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteVecAt writes the buffers one after the other at off (pwritev); it returns the bytes written.
	WriteVecAt(bufs [][]byte, off int64) (int, error)
	// Size is the file's length in bytes.
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes bytes and metadata durable (fsync); SyncData the bytes and the size (fdatasync).
	Sync() error
	SyncData() error
	// Allocate reserves disk blocks for [off, off+n) without changing the size (fallocate KEEP_SIZE); errors.ErrUnsupported where the file system cannot.
	Allocate(off, n int64) error
	// FD is the descriptor for sendfile; false where there is none (Mem), or where reads are to be seen (Faulty).
	FD() (uintptr, bool)
}

// ErrLocked says that another process, or another holder in this one, has the lock.
var ErrLocked = errors.New("locked by another process")

// DiskFull tells whether err is about room (ENOSPC, EDQUOT), which comes back.
func DiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
