package vfs

import (
	"io"
	"io/fs"
	"sync"
)

// Faulty is a file system whose operations fail as the rules say; all others go to the file system below. A failing operation does nothing below but for
// Rule.Short, except Close, which closes and then fails. The first rule that fires decides; every rule counts every call that it matches.
type Faulty struct {
	fs FS

	mu    sync.Mutex
	rules []rule
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
		f.rules = append(f.rules, newRule(r))
	}
}

// verdict is what becomes of one call.
type verdict struct {
	err   error // nil: it goes to the file system below
	short int
	after func()
}

// part is how many of n bytes a call moves that fails.
func (v verdict) part(n int) int {
	if v.short == Half {
		return n / 2
	}
	return min(v.short, n)
}

// done comes after the call below.
func (v verdict) done() {
	if v.after != nil {
		v.after()
	}
}

// meet counts a call and runs Rule.Before, without a lock: it may take its time.
func (f *Faulty) meet(op Op, call string, names ...string) verdict {
	f.mu.Lock()
	var fired *Rule
	for i := range f.rules {
		r := &f.rules[i]
		if r.matches(op, names) && r.fires() && fired == nil {
			fired = &r.Rule
		}
	}
	if fired == nil {
		f.mu.Unlock()
		return verdict{}
	}
	r := *fired // Set may overwrite it
	f.mu.Unlock()
	if r.Before != nil {
		r.Before()
	}
	v := verdict{short: r.Short, after: r.After}
	if r.Err != nil {
		v.err = &fs.PathError{Op: call, Path: names[0], Err: r.Err}
	}
	return v
}

// reads tells whether a rule is about reads.
func (f *Faulty) reads() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.rules {
		if f.rules[i].Ops&OpRead != 0 {
			return true
		}
	}
	return false
}

func (f *Faulty) Create(name string) (File, error) {
	v := f.meet(OpCreate, "create", name)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
	return f.wrap(name, f.fs.Create)
}

func (f *Faulty) Open(name string) (File, error) {
	v := f.meet(OpOpen, "open", name)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
	return f.wrap(name, f.fs.Open)
}

func (f *Faulty) OpenReadOnly(name string) (File, error) {
	v := f.meet(OpOpen, "open", name)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
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
	v := f.meet(OpRemove, "remove", name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.fs.Remove(name)
}

func (f *Faulty) RemoveAll(name string) error {
	v := f.meet(OpRemove, "removeall", name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.fs.RemoveAll(name)
}

func (f *Faulty) Rename(oldName, newName string) error {
	v := f.meet(OpRename, "rename", oldName, newName)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.fs.Rename(oldName, newName)
}

func (f *Faulty) MkdirAll(dir string) error {
	v := f.meet(OpMkdir, "mkdir", dir)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.fs.MkdirAll(dir)
}

func (f *Faulty) ReadDir(dir string) ([]fs.DirEntry, error) {
	v := f.meet(OpReadDir, "readdir", dir)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
	return f.fs.ReadDir(dir)
}

func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	v := f.meet(OpSize, "stat", name)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
	return f.fs.Stat(name)
}

func (f *Faulty) SyncDir(dir string) error {
	v := f.meet(OpSyncDir, "syncdir", dir)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.fs.SyncDir(dir)
}

func (f *Faulty) Lock(name string) (io.Closer, error) {
	v := f.meet(OpLock, "lock", name)
	if v.err != nil {
		return nil, v.err
	}
	defer v.done()
	return f.fs.Lock(name)
}

func (f *Faulty) Space(dir string) (Space, error) {
	v := f.meet(OpSpace, "statfs", dir)
	if v.err != nil {
		return Space{}, v.err
	}
	defer v.done()
	return f.fs.Space(dir)
}

// faultyFile asks the rules under the name that the file was opened by.
type faultyFile struct {
	File
	fs   *Faulty
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	v := f.fs.meet(OpRead, "read", f.name)
	defer v.done()
	if v.err == nil {
		return f.File.ReadAt(p, off)
	}
	n := 0
	if short := v.part(len(p)); short > 0 {
		n, _ = f.File.ReadAt(p[:short], off) // the rule's error is the one that counts
	}
	return n, v.err
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	v := f.fs.meet(OpWrite, "write", f.name)
	defer v.done()
	if v.err != nil {
		return f.writeShort([][]byte{p}, off, v.part(len(p))), v.err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	v := f.fs.meet(OpWrite, "pwritev", f.name)
	defer v.done()
	if v.err != nil {
		size := 0
		for _, b := range bufs {
			size += len(b)
		}
		return f.writeShort(bufs, off, v.part(size)), v.err
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
	v := f.fs.meet(OpSize, "stat", f.name)
	if v.err != nil {
		return 0, v.err
	}
	defer v.done()
	return f.File.Size()
}

func (f *faultyFile) Truncate(size int64) error {
	v := f.fs.meet(OpTruncate, "truncate", f.name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	v := f.fs.meet(OpSync, "sync", f.name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.File.Sync()
}

func (f *faultyFile) SyncData() error {
	v := f.fs.meet(OpSync, "fdatasync", f.name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.File.SyncData()
}

func (f *faultyFile) Allocate(off, n int64) error {
	v := f.fs.meet(OpAllocate, "fallocate", f.name)
	if v.err != nil {
		return v.err
	}
	defer v.done()
	return f.File.Allocate(off, n)
}

func (f *faultyFile) Close() error {
	v := f.fs.meet(OpClose, "close", f.name)
	defer v.done()
	if err := f.File.Close(); err != nil {
		return err
	}
	return v.err
}

// FD hides the descriptor while a rule is about reads: a sendfile would go past it.
func (f *faultyFile) FD() (uintptr, bool) {
	if f.fs.reads() {
		return 0, false
	}
	return f.File.FD()
}
