//go:build gates

package gates

import (
	"sync/atomic"

	"ottla/log/vfs"
)

// countedDisk is the machine's file system, with what is asked of it counted. Opening a file is the only call that costs more by it.
type countedDisk struct {
	vfs.OS
	bytes, writes, syncs atomic.Int64
}

func (d *countedDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &countedFile{f, d}, nil
}

func (d *countedDisk) Create(name string) (vfs.File, error) { return d.wrap(d.OS.Create(name)) }
func (d *countedDisk) Open(name string) (vfs.File, error)   { return d.wrap(d.OS.Open(name)) }

func (d *countedDisk) SyncDir(dir string) error {
	d.syncs.Add(1)
	return d.OS.SyncDir(dir)
}

type countedFile struct {
	vfs.File
	disk *countedDisk
}

func (f *countedFile) wrote(n int, err error) (int, error) {
	f.disk.writes.Add(1)
	f.disk.bytes.Add(int64(n))
	return n, err
}

func (f *countedFile) WriteAt(b []byte, off int64) (int, error) {
	return f.wrote(f.File.WriteAt(b, off))
}

func (f *countedFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	return f.wrote(f.File.WriteVecAt(bufs, off))
}

func (f *countedFile) Sync() error {
	f.disk.syncs.Add(1)
	return f.File.Sync()
}

func (f *countedFile) SyncData() error {
	f.disk.syncs.Add(1)
	return f.File.SyncData()
}
