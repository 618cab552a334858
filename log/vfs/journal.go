package vfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Journal tells whether a file system still writes its journal.
//
// ext4 that gives its journal up (an error, a shutdown) drops the transaction that was open. An fdatasync that is on its way then may find that its transaction is neither open nor being
// committed any more, take that for done, and succeed, although the file's new size and blocks are nowhere. For some milliseconds the same holds for calls that come later. What starts a
// transaction fails from the first moment on: so a sync counts if such a call has succeeded after it.
type Journal interface {
	// Check is an error if the journal was given up: no sync that has not been checked before can be believed. It costs a few microseconds.
	Check() error
	Close() error
}

// Journaler is an FS that may know a file system whose syncs have to be checked.
type Journaler interface {
	// Journal is that of the file system of the file name, which exists; nil if its syncs can be believed.
	Journal(name string) Journal
}

// journalOf asks fsys, if it can be asked.
func journalOf(fsys FS, name string) Journal {
	if j, ok := fsys.(Journaler); ok {
		return j.Journal(name)
	}
	return nil
}

// Journal knows ext4.
func (OS) Journal(name string) Journal {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	var kind unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &kind) != nil || kind.Type != unix.EXT4_SUPER_MAGIC {
		_ = f.Close() // nothing was written
		return nil
	}
	return &osJournal{file: f}
}

type osJournal struct{ file *os.File }

// Check reserves the file's first block, which it has after the first time: that starts a transaction and changes nothing.
func (j *osJournal) Check() error {
	err := retry(func() error { return unix.Fallocate(int(j.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1) })
	if err == nil || DiskFull(err) { // without room there was a transaction all the same
		return nil
	}
	return &fs.PathError{Op: "check the journal of", Path: j.file.Name(), Err: err}
}

func (j *osJournal) Close() error { return j.file.Close() }

// Journal implements Journaler.
func (w *Watch) Journal(name string) Journal { return journalOf(w.FS, name) }

// Journal implements Journaler.
func (r *Reserve) Journal(name string) Journal { return journalOf(r.FS, name) }

// Journal implements Journaler.
func (f *Faulty) Journal(name string) Journal { return journalOf(f.fs, name) }
