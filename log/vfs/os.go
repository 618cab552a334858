package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// OS is the file system of the machine. Its zero value is ready for use.
//
// A caller closes a File only when no other goroutine is inside one of its methods: descriptors are handed to the kernel as numbers, and the kernel gives a
// closed number to the next file.
type OS struct{}

var _ FS = OS{}

const (
	fileMode = 0o600 // a data folder holds what clients wrote, and the secret of the cluster
	dirMode  = 0o755
	// maxVec is the kernel's limit of buffers per pwritev (IOV_MAX).
	maxVec = 1024
)

func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (OS) Open(name string) (File, error) { return openOS(name, os.O_RDWR) }

func (OS) OpenReadOnly(name string) (File, error) { return openOS(name, os.O_RDONLY) }

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, fd: int(f.Fd())}, nil
}

func (OS) Remove(name string) error    { return os.Remove(name) }
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Rename gives the errors of rename(2) as a *fs.PathError, like every other method here, and not as a *os.LinkError.
func (OS) Rename(oldName, newName string) error {
	if err := os.Rename(oldName, newName); err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err
		}
		return &fs.PathError{Op: "rename", Path: oldName, Err: err}
	}
	return nil
}

func (OS) MkdirAll(dir string) error                 { return os.MkdirAll(dir, dirMode) }
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (OS) Stat(name string) (fs.FileInfo, error)     { return os.Stat(name) }

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock takes two locks: flock, and the record lock of fcntl in its open-file-description form. The second is the one that a JVM sees: a Kafka that is running
// on the folder keeps us out, and we keep it out. Both belong to the open file, so a second holder in this process is refused too.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockDescriptor(int(f.Fd())); err != nil {
		_ = f.Close() // nothing was written
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

func lockDescriptor(fd int) error {
	err := retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = retry(func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &whole) })
		if errors.Is(err, unix.EINVAL) {
			err = nil // a kernel without such locks: flock alone must do
		}
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}

func (OS) Space(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &s) }); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := int64(s.Bsize)
	return Space{Total: int64(s.Blocks) * block, Free: int64(s.Bavail) * block}, nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

type osFile struct {
	*os.File
	fd int
}

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// WriteVecAt is one pwritev in the usual case. What a short write leaves over is written buffer by buffer: only that path is slow.
func (f *osFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for len(bufs) > 0 {
		vec := bufs[:min(len(bufs), maxVec)]
		n, err := unix.Pwritev(f.fd, vec, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return total, &fs.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		rest, err := f.writeRest(vec, n, off)
		total += n + rest
		off += int64(n + rest)
		if err != nil {
			return total, err
		}
		bufs = bufs[len(vec):]
	}
	return total, nil
}

// writeRest writes what lies beyond the first done bytes of bufs, which stand at off.
func (f *osFile) writeRest(bufs [][]byte, done int, off int64) (int, error) {
	written, start := 0, 0
	for _, b := range bufs {
		end := start + len(b)
		if end > done {
			from := max(start, done)
			n, err := f.WriteAt(b[from-start:], off+int64(from))
			written += n
			if err != nil {
				return written, err
			}
		}
		start = end
	}
	return written, nil
}

func (f *osFile) SyncData() error {
	for {
		err := unix.Fdatasync(f.fd)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

func (f *osFile) Allocate(off, n int64) error {
	for {
		err := unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, off, n)
		switch err {
		case unix.EINTR:
			continue
		case nil:
			return nil
		}
		return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
}

func (f *osFile) FD() (uintptr, bool) { return uintptr(f.fd), true }
