package vfs

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a mounted file system that holds nothing but one folder's files, so that many of them are made durable by one call.
type Mount interface {
	// SyncAll is SyncData of the files with these descriptors, which are of this file system and open for writing.
	SyncAll(descriptors []uintptr) error
	Close() error
}

// Mounter is an FS that may know mounts. Those that do not are synced file by file.
type Mounter interface {
	// Mount is the mount whose root dir is; nil if dir is something else, or if this kernel or kind of file system does not promise what SyncAll needs.
	Mount(dir string) Mount
}

// mountOf asks fsys, if it can be asked.
func mountOf(fsys FS, dir string) Mount {
	if m, ok := fsys.(Mounter); ok {
		return m.Mount(dir)
	}
	return nil
}

// Mount knows ext4 and XFS: of other kinds it is not known here that syncfs waits for the disk. Before Linux 5.17 syncfs drops errors of the journal.
func (OS) Mount(dir string) Mount {
	var here, above unix.Stat_t
	var kind unix.Statfs_t
	if !syncfsTells() || unix.Stat(dir, &here) != nil || unix.Stat(path.Join(dir, ".."), &above) != nil || here.Dev == above.Dev || unix.Statfs(dir, &kind) != nil {
		return nil
	}
	if kind.Type != unix.EXT4_SUPER_MAGIC && kind.Type != unix.XFS_SUPER_MAGIC {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	return &osMount{dir: f}
}

// syncfsTells tells whether the kernel is 5.17 or newer.
func syncfsTells() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, rest, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	if err != nil {
		return false
	}
	b, err := strconv.Atoi(minor)
	return err == nil && (a > 5 || a == 5 && b >= 17)
}

type osMount struct {
	dir *os.File // open since before the first write: the kernel tells each descriptor once of every failed write-back since
}

// SyncAll loses no error that fdatasync of each file would give:
//
//   - syncfs writes back every dirty page of the file system, waits for them, commits the journal with all changes of sizes and blocks, and has the disk empty its cache. It
//     returns the errors of the commit, and any write-back error on the file system since dir was opened or the last call.
//   - sync_file_range then looks at each file as fdatasync does: it finds pages that are dirty still, tries those again, and returns the file's own write-back errors, which are kept
//     for each open file. It neither commits nor empties caches, so it costs next to nothing where syncfs has done the work.
//   - What fails for all files at once (the journal was given up, the file system shut down or made read-only) lasts until the next mount: fdatasync of one file finds it.
//
// Errors of other files, even deleted ones, count too: that disk is not to be trusted.
func (m *osMount) SyncAll(descriptors []uintptr) error {
	fail := func(call string, err error) error { return &fs.PathError{Op: call, Path: m.dir.Name(), Err: err} }
	if err := retry(func() error { return unix.Syncfs(int(m.dir.Fd())) }); err != nil {
		return fail("syncfs", err)
	}
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	for i, fd := range descriptors {
		if err := retry(func() error { return unix.SyncFileRange(int(fd), 0, 0, all) }); err != nil {
			return fail("sync_file_range", err)
		}
		if i > 0 {
			continue
		}
		if err := retry(func() error { return unix.Fdatasync(int(fd)) }); err != nil {
			return fail("fdatasync", err)
		}
	}
	return nil
}

func (m *osMount) Close() error { return m.dir.Close() }

// Mount implements Mounter; a sync of many is one call under way.
func (w *Watch) Mount(dir string) Mount {
	m := mountOf(w.FS, dir)
	if m == nil {
		return nil
	}
	return &watchedMount{Mount: m, watch: w, what: callName{"fsync of all files", dir}}
}

type watchedMount struct {
	Mount
	watch *Watch
	what  callName
}

func (m *watchedMount) SyncAll(descriptors []uintptr) error {
	defer m.watch.begin(&m.what).end()
	return m.Mount.SyncAll(descriptors)
}

// Mount implements Mounter.
func (r *Reserve) Mount(dir string) Mount { return mountOf(r.FS, dir) }
