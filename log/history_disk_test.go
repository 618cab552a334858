package log_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"path"
	"strings"

	"ottla/log/vfs"
)

// cutDisk is a disk whose power may fail at every sync: cut is called before and after each of them.
type cutDisk struct {
	*vfs.Mem
	cut func(done bool)
}

type cutFile struct {
	vfs.File
	disk *cutDisk
}

func (d *cutDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return cutFile{f, d}, nil
}

func (d *cutDisk) Create(name string) (vfs.File, error) { return d.wrap(d.Mem.Create(name)) }
func (d *cutDisk) Open(name string) (vfs.File, error)   { return d.wrap(d.Mem.Open(name)) }

func (d *cutDisk) around(sync func() error) error {
	d.cut(false)
	err := sync()
	d.cut(true)
	return err
}

func (d *cutDisk) SyncDir(dir string) error {
	return d.around(func() error { return d.Mem.SyncDir(dir) })
}

func (f cutFile) Sync() error     { return f.disk.around(f.File.Sync) }
func (f cutFile) SyncData() error { return f.disk.around(f.File.SyncData) }

// noteBoot lets a disk's machine have another boot id, as Linux tells it.
func noteBoot(disk *vfs.Mem, id int) error {
	const dir, name = "/proc/sys/kernel/random", "/proc/sys/kernel/random/boot_id"
	if err := errors.Join(disk.RemoveAll(name), disk.MkdirAll(dir)); err != nil {
		return err
	}
	f, err := disk.Create(name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.NewOffsetWriter(f, 0), "boot-%d", id)
	return errors.Join(err, f.Close())
}

// digests are the files below dir with a hash of their bytes.
func digests(fsys vfs.FS, dir string, into map[string]uint64) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			if err := digests(fsys, name, into); err != nil {
				return err
			}
			continue
		}
		if strings.HasSuffix(name, ".deleted") {
			continue // goes when it is due, or at the next start
		}
		b, err := content(fsys, name, e)
		if err != nil {
			return err
		}
		h := fnv.New64a()
		_, _ = h.Write(b)
		into[name] = h.Sum64()
	}
	return nil
}

func content(fsys vfs.FS, name string, e fs.DirEntry) ([]byte, error) {
	info, err := e.Info()
	if err != nil {
		return nil, err
	}
	f, err := fsys.OpenReadOnly(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	_, err = f.ReadAt(b, 0)
	if err == io.EOF && len(b) == 0 {
		err = nil
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return b, err
}
