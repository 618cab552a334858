package vfs

import (
	"io"
	"io/fs"
	"strings"
	"sync"
)

// Op is a set of kinds of operation, for rules: OpWrite|OpSync.
type Op uint16

const (
	OpCreate Op = 1 << iota
	OpOpen      // Open and OpenReadOnly
	OpRead
	OpWrite // WriteAt and WriteVecAt
	OpSync  // Sync and SyncData
	OpTruncate
	OpAllocate
	OpSize // Size and Stat
	OpRename
	OpRemove // Remove and RemoveAll
	OpMkdir
	OpReadDir
	OpSyncDir
	OpLock
	OpSpace
	OpClose
)

// Rule makes matching operations fail.
type Rule struct {
	Ops  Op
	Path string // a substring of the name; of either name of a rename
	Nth  int    // the nth matching call from when the rule was set, counted from 1; 0 is every call
	Err  error
	// Short is how many bytes a failing read or write moves before it fails.
	Short int
}

// Faulty is a file system whose operations fail as the rules say; all others go to the file system below. A failing operation does nothing below but for
// Rule.Short, except Close, which closes and then fails. The first rule that fires decides; every rule counts every call that it matches.
type Faulty struct {
	fs FS

	mu    sync.Mutex
	rules []rule
}

type rule struct {
	Rule
	calls int
}

var _ FS = (*Faulty)(nil)

// NewFaulty wraps below.
func NewFaulty(below FS, rules ...Rule) *Faulty {
	f := &Faulty{fs: below}
	f.Set(rules...)
	return f
}

// Set replaces the rules and starts their counts anew; without arguments the disk is healed.
func (f *Faulty) Set(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = f.rules[:0]
	for _, r := range rules {
		f.rules = append(f.rules, rule{Rule: r})
	}
}

// fault is the rule's error for this call, as a path error, and its Short.
func (f *Faulty) fault(op Op, call string, names ...string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var short int
	var err error
	for i := range f.rules {
		r := &f.rules[i]
		if !r.matches(op, names) {
			continue
		}
		r.calls++
		if err == nil && (r.Nth == 0 || r.Nth == r.calls) {
			short, err = r.Short, &fs.PathError{Op: call, Path: names[0], Err: r.Err}
		}
	}
	return short, err
}

func (r *rule) matches(op Op, names []string) bool {
	if r.Ops&op == 0 {
		return false
	}
	for _, name := range names {
		if strings.Contains(name, r.Path) {
			return true
		}
	}
	return false
}

func (f *Faulty) Create(name string) (File, error) {
	if _, err := f.fault(OpCreate, "create", name); err != nil {
		return nil, err
	}
	return f.wrap(name, f.fs.Create)
}

func (f *Faulty) Open(name string) (File, error) {
	if _, err := f.fault(OpOpen, "open", name); err != nil {
		return nil, err
	}
	return f.wrap(name, f.fs.Open)
}

func (f *Faulty) OpenReadOnly(name string) (File, error) {
	if _, err := f.fault(OpOpen, "open", name); err != nil {
		return nil, err
	}
	return f.wrap(name, f.fs.OpenReadOnly)
}

func (f *Faulty) wrap(name string, open func(string) (File, error)) (File, error) {
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f, name: name}, nil
}

func (f *Faulty) Remove(name string) error {
	if _, err := f.fault(OpRemove, "remove", name); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

func (f *Faulty) RemoveAll(name string) error {
	if _, err := f.fault(OpRemove, "removeall", name); err != nil {
		return err
	}
	return f.fs.RemoveAll(name)
}

func (f *Faulty) Rename(oldName, newName string) error {
	if _, err := f.fault(OpRename, "rename", oldName, newName); err != nil {
		return err
	}
	return f.fs.Rename(oldName, newName)
}

func (f *Faulty) MkdirAll(dir string) error {
	if _, err := f.fault(OpMkdir, "mkdir", dir); err != nil {
		return err
	}
	return f.fs.MkdirAll(dir)
}

func (f *Faulty) ReadDir(dir string) ([]fs.DirEntry, error) {
	if _, err := f.fault(OpReadDir, "readdir", dir); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(dir)
}

func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if _, err := f.fault(OpSize, "stat", name); err != nil {
		return nil, err
	}
	return f.fs.Stat(name)
}

func (f *Faulty) SyncDir(dir string) error {
	if _, err := f.fault(OpSyncDir, "syncdir", dir); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

func (f *Faulty) Lock(name string) (io.Closer, error) {
	if _, err := f.fault(OpLock, "lock", name); err != nil {
		return nil, err
	}
	return f.fs.Lock(name)
}

func (f *Faulty) Space(dir string) (Space, error) {
	if _, err := f.fault(OpSpace, "statfs", dir); err != nil {
		return Space{}, err
	}
	return f.fs.Space(dir)
}

// faultyFile asks the rules under the name that the file was opened by.
type faultyFile struct {
	File
	fs   *Faulty
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if short, err := f.fs.fault(OpRead, "read", f.name); err != nil {
		n := 0
		if short = min(short, len(p)); short > 0 {
			n, _ = f.File.ReadAt(p[:short], off) // the rule's error is the one that counts
		}
		return n, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if short, err := f.fs.fault(OpWrite, "write", f.name); err != nil {
		return f.writeShort([][]byte{p}, off, short), err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	if short, err := f.fs.fault(OpWrite, "pwritev", f.name); err != nil {
		return f.writeShort(bufs, off, short), err
	}
	return f.File.WriteVecAt(bufs, off)
}

// writeShort writes the first short bytes of bufs and tells how many arrived.
func (f *faultyFile) writeShort(bufs [][]byte, off int64, short int) int {
	total := 0
	for _, b := range bufs {
		b = b[:min(len(b), short-total)]
		if len(b) == 0 {
			continue
		}
		n, err := f.File.WriteAt(b, off+int64(total))
		total += n
		if err != nil {
			break // the rule's error is the one that counts
		}
	}
	return total
}

func (f *faultyFile) Size() (int64, error) {
	if _, err := f.fs.fault(OpSize, "stat", f.name); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *faultyFile) Truncate(size int64) error {
	if _, err := f.fs.fault(OpTruncate, "truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if _, err := f.fs.fault(OpSync, "sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) SyncData() error {
	if _, err := f.fs.fault(OpSync, "fdatasync", f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *faultyFile) Allocate(off, n int64) error {
	if _, err := f.fs.fault(OpAllocate, "fallocate", f.name); err != nil {
		return err
	}
	return f.File.Allocate(off, n)
}

func (f *faultyFile) Close() error {
	_, fault := f.fs.fault(OpClose, "close", f.name)
	if err := f.File.Close(); err != nil {
		return err
	}
	return fault
}

// FD hides the descriptor: a sendfile would go past the rules.
func (f *faultyFile) FD() (uintptr, bool) { return 0, false }
