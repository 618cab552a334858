package vfs

import (
	"golang.org/x/sys/unix"
)

// ReadAside reads as io.ReaderAt does, and leaves in the page cache only what was there before: whoever reads all data once must not drive out what others read again.
func ReadAside(f File, p []byte, off int64) (int, error) {
	fd, ok := f.FD()
	if !ok || len(p) == 0 {
		return f.ReadAt(p, off)
	}
	// What is cached comes at once; everything else is an error or a short count here.
	n, err := unix.Preadv2(int(fd), [][]byte{p}, off, unix.RWF_NOWAIT)
	if err == nil && n == len(p) {
		return n, nil
	}
	n, err = f.ReadAt(p, off)
	_ = unix.Fadvise(int(fd), off, int64(n), unix.FADV_DONTNEED) // advice: nothing depends on it
	return n, err
}
