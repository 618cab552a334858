package vfs

import (
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Mem is a file system in memory for tests. It knows what has been synced: CrashClone is the disk that a power cut would leave.
//
// Names are rooted at one folder that always exists: "a/b" and "/a/b" are the same file. A file that is removed while open stays readable. No lock is held
// for longer than a copy of bytes, so goroutines of a synctest bubble may use it freely.
type Mem struct {
	used     atomic.Int64 // bytes in pages of files that have a name or are open
	capacity atomic.Int64

	mu      sync.Mutex // guards every folder below root; taken before a memData's mu
	root    *inode
	pending []*dirOp // name changes that no SyncDir has made durable, oldest first
	locked  map[string]bool
}

var _ FS = (*Mem)(nil)

// inode is a file or a folder apart from its name: exactly one of dir and data is set.
type inode struct {
	dir  *memDir
	data *memData
}

// memDir is a folder: its names now, and those that a power cut would leave.
type memDir struct {
	names, durable map[string]*inode
}

// NewMem returns an empty file system with room for 1 TiB.
func NewMem() *Mem {
	m := &Mem{root: newDirInode(), locked: map[string]bool{}}
	m.capacity.Store(1 << 40)
	return m
}

func newDirInode() *inode {
	return &inode{dir: &memDir{names: map[string]*inode{}, durable: map[string]*inode{}}}
}

// SetCapacity makes the disk's size n bytes: writes that need more fail with ENOSPC.
func (m *Mem) SetCapacity(n int64) { m.capacity.Store(n) }

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// split cuts a name into the folders on its way, without the root.
func split(name string) []string {
	clean := strings.Trim(path.Clean("/"+name), "/")
	if clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

// find is the inode called name. The caller holds m.mu.
func (m *Mem) find(name string) (*inode, error) {
	n := m.root
	for _, part := range split(name) {
		if n.dir == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.dir.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent is the folder that holds (or would hold) name, and name's last part. The caller holds m.mu.
func (m *Mem) parent(name string) (*memDir, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", syscall.EBUSY // the root itself
	}
	last := len(parts) - 1
	n, err := m.find(path.Join(parts[:last]...))
	if err != nil {
		return nil, "", err
	}
	if n.dir == nil {
		return nil, "", syscall.ENOTDIR
	}
	return n.dir, parts[last], nil
}

func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	if dir.names[base] != nil {
		return nil, pathError("create", name, fs.ErrExist)
	}
	n := m.addFile(dir, base)
	return m.handle(n, name, true), nil
}

// addFile makes an empty file. The caller holds m.mu.
func (m *Mem) addFile(dir *memDir, base string) *inode {
	n := &inode{data: &memData{fs: m, linked: true, modTime: time.Now()}}
	m.change(n, nameChange{dir, base, n})
	return n
}

func (m *Mem) Open(name string) (File, error)         { return m.open(name, true) }
func (m *Mem) OpenReadOnly(name string) (File, error) { return m.open(name, false) }

func (m *Mem) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.dir != nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return m.handle(n, name, writable), nil
}

func (m *Mem) handle(n *inode, name string, writable bool) File {
	n.data.addHandle(1)
	return &memFile{data: n.data, name: name, writable: writable}
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	n := dir.names[base]
	switch {
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case n.dir != nil && len(n.dir.names) > 0:
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	m.unlink(dir, base, n)
	return nil
}

// unlink takes a name away. The caller holds m.mu.
func (m *Mem) unlink(dir *memDir, base string, n *inode) {
	m.change(n, nameChange{dir, base, nil})
	if n.data != nil {
		n.data.unlink()
	}
}

// RemoveAll is one change per name, deepest first, as on a disk: a power cut may leave a part.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == fs.ErrNotExist {
		return nil
	}
	if err != nil {
		return pathError("removeall", name, err)
	}
	if n := dir.names[base]; n != nil {
		m.removeTree(dir, base, n)
	}
	return nil
}

func (m *Mem) removeTree(dir *memDir, base string, n *inode) {
	if n.dir != nil {
		for _, child := range slices.Sorted(maps.Keys(n.dir.names)) {
			m.removeTree(n.dir, child, n.dir.names[child])
		}
	}
	m.unlink(dir, base, n)
}

func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldName, newName); err != nil {
		return pathError("rename", oldName, err)
	}
	return nil
}

func (m *Mem) rename(oldName, newName string) error {
	from, fromBase, err := m.parent(oldName)
	if err != nil {
		return err
	}
	to, toBase, err := m.parent(newName)
	if err != nil {
		return err
	}
	n, target := from.names[fromBase], to.names[toBase]
	if n == nil {
		return fs.ErrNotExist
	}
	if n == target {
		return nil
	}
	if err := replaceable(n, target); err != nil {
		return err
	}
	if n.dir != nil && inside(oldName, newName) {
		return syscall.EINVAL
	}
	m.change(n, nameChange{from, fromBase, nil}, nameChange{to, toBase, n})
	if target != nil && target.data != nil {
		target.data.unlink()
	}
	return nil
}

// replaceable tells whether a rename of n may take target's name.
func replaceable(n, target *inode) error {
	switch {
	case target == nil:
		return nil
	case n.dir == nil && target.dir != nil:
		return syscall.EEXIST // as package os says before it asks the kernel
	case n.dir != nil && target.dir == nil:
		return syscall.ENOTDIR
	case target.dir != nil && len(target.dir.names) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// inside tells whether name lies below dir.
func inside(dir, name string) bool {
	d, n := split(dir), split(name)
	return len(n) > len(d) && slices.Equal(d, n[:len(d)])
}

func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, part := range split(dir) {
		next := n.dir.names[part]
		if next == nil {
			next = newDirInode()
			m.change(next, nameChange{n.dir, part, next})
		}
		if next.dir == nil {
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

func (m *Mem) ReadDir(dir string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("readdir", dir, err)
	}
	entries := make([]fs.DirEntry, 0, len(n.dir.names))
	for _, name := range slices.Sorted(maps.Keys(n.dir.names)) {
		entries = append(entries, fs.FileInfoToDirEntry(n.dir.names[name].info(name)))
	}
	return entries, nil
}

func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(path.Clean(name))), nil
}

func (n *inode) info(name string) fs.FileInfo {
	if n.dir != nil {
		return memInfo{name: name, mode: fs.ModeDir | dirMode}
	}
	n.data.mu.RLock()
	defer n.data.mu.RUnlock()
	return memInfo{name: name, mode: fileMode, size: n.data.now.size, modTime: n.data.modTime}
}

type memInfo struct {
	name    string
	mode    fs.FileMode
	size    int64
	modTime time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.modTime }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }

func (m *Mem) Space(dir string) (Space, error) {
	m.mu.Lock()
	_, err := m.find(dir)
	m.mu.Unlock()
	if err != nil {
		return Space{}, pathError("statfs", dir, err)
	}
	total := m.capacity.Load()
	return Space{Total: total, Free: max(0, total-m.used.Load())}, nil
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	key := path.Join(split(name)...)
	if m.locked[key] {
		return nil, pathError("lock", name, ErrLocked)
	}
	if dir.names[base] == nil {
		m.addFile(dir, base)
	}
	m.locked[key] = true
	return &memLock{fs: m, key: key}, nil
}

type memLock struct {
	fs   *Mem
	key  string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		delete(l.fs.locked, l.key)
		l.fs.mu.Unlock()
	})
	return nil
}
