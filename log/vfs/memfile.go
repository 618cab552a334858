package vfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const pageSize = 4096

type page [pageSize]byte

// content is a file's bytes; a nil page is a hole. The bytes of the last page past size are zero.
type content struct {
	size     int64
	pages    []*page
	borrowed bool // the slice is another content's too: it is copied before it is changed
}

// own makes the slice of pages c's alone.
func (c *content) own() {
	if c.borrowed {
		c.pages, c.borrowed = slices.Clone(c.pages), false
	}
}

// memData is a file: its bytes now, those that are durable, and the writes in between.
//
// Pages are shared: a page that durable holds is never changed, by anyone (clones hold it too); a write replaces it in now by a copy.
type memData struct {
	fs *Mem

	mu       sync.RWMutex
	now      content
	durable  content
	unsynced []dataOp
	modTime  time.Time
	linked   bool // has a name
	handles  int  // open files
	owned    int  // pages in now that count as used space
}

// dataOp is one write, or a truncation when bytes is nil.
type dataOp struct {
	bytes []byte
	at    int64 // of the first byte; the new size of a truncation
}

var errNegative = errors.New("negative offset or size")

func (d *memData) readAt(p []byte, off int64) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if off >= d.now.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), d.now.size-off))
	d.now.copyTo(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// copyTo fills p from off; all of it lies within the size.
func (c *content) copyTo(p []byte, off int64) {
	for len(p) > 0 {
		in := int(off % pageSize)
		n := min(len(p), pageSize-in)
		if pg := c.page(off / pageSize); pg != nil {
			copy(p[:n], pg[in:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

func (c *content) page(i int64) *page {
	if i >= int64(len(c.pages)) {
		return nil
	}
	return c.pages[i]
}

// writable is page i, made or copied unless it is c's alone; shared is the content whose pages must stay.
func (c *content) writable(i int64, shared *content) *page {
	c.own()
	for int64(len(c.pages)) <= i {
		c.pages = append(c.pages, nil)
	}
	switch old := c.pages[i]; {
	case old == nil:
		c.pages[i] = new(page)
	case old == shared.page(i), old == &allocated:
		fresh := *old
		c.pages[i] = &fresh
	}
	return c.pages[i]
}

func (c *content) write(p []byte, off int64, shared *content) {
	c.size = max(c.size, off+int64(len(p)))
	for len(p) > 0 {
		in := int(off % pageSize)
		n := copy(c.writable(off/pageSize, shared)[in:], p)
		p, off = p[n:], off+int64(n)
	}
}

func (c *content) truncate(size int64, shared *content) {
	if size < c.size {
		keep := (size + pageSize - 1) / pageSize
		if keep < int64(len(c.pages)) {
			c.own()
			clear(c.pages[keep:])
			c.pages = c.pages[:keep]
		}
		if in := size % pageSize; in != 0 && c.page(size/pageSize) != nil {
			clear(c.writable(size/pageSize, shared)[in:])
		}
	}
	c.size = size
}

func (d *memData) writeAt(p []byte, off int64) error {
	if off < 0 {
		return errNegative
	}
	if len(p) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.charge(off, len(p)); err != nil {
		return err
	}
	d.now.write(p, off, &d.durable)
	d.unsynced = append(d.unsynced, dataOp{bytes: append([]byte(nil), p...), at: off})
	d.modTime = time.Now()
	return nil
}

// charge accounts for the pages that a write will add. The caller holds d.mu.
func (d *memData) charge(off int64, n int) error {
	fresh := 0
	for i := off / pageSize; i <= (off+int64(n)-1)/pageSize; i++ {
		if d.now.page(i) == nil {
			fresh++
		}
	}
	if fresh == 0 {
		return nil
	}
	if d.fs.used.Add(int64(fresh)*pageSize) > d.fs.capacity.Load() {
		d.fs.used.Add(-int64(fresh) * pageSize)
		return syscall.ENOSPC
	}
	d.owned += fresh
	return nil
}

// allocated stands for pages that are accounted for and were never written.
var allocated page

func (d *memData) allocate(off, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.charge(off, int(n)); err != nil {
		return err
	}
	for i := off / pageSize; i <= (off+n-1)/pageSize; i++ {
		d.now.allocate(i)
		d.durable.allocate(i) // kept by a power cut: no sync knows of it
	}
	return nil
}

func (c *content) allocate(i int64) {
	c.own()
	for int64(len(c.pages)) <= i {
		c.pages = append(c.pages, nil)
	}
	if c.pages[i] == nil {
		c.pages[i] = &allocated
	}
}

func (d *memData) truncate(size int64) error {
	if size < 0 {
		return errNegative
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.truncate(size, &d.durable)
	d.unsynced = append(d.unsynced, dataOp{at: size})
	d.modTime = time.Now()
	d.recount()
	return nil
}

// recount gives back the space of pages that went away. The caller holds d.mu.
func (d *memData) recount() {
	pages := 0
	if d.linked || d.handles > 0 {
		for _, p := range d.now.pages {
			if p != nil {
				pages++
			}
		}
	}
	d.fs.used.Add(int64(pages-d.owned) * pageSize)
	d.owned = pages
}

func (d *memData) unlink() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.linked = false
	d.recount()
}

func (d *memData) addHandle(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handles += n
	if d.handles == 0 && !d.linked {
		d.recount()
	}
}

// sync makes the bytes durable by sharing the pages that the unsynced operations touched.
func (d *memData) sync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable.own()
	pages := int64(len(d.now.pages))
	for int64(len(d.durable.pages)) < pages {
		d.durable.pages = append(d.durable.pages, nil)
	}
	clear(d.durable.pages[pages:])
	d.durable.pages = d.durable.pages[:pages]
	d.durable.size = d.now.size
	for _, op := range d.unsynced {
		first, end := op.at/pageSize, pages // a truncation touches all that follows
		if op.bytes != nil {
			end = min(pages, (op.at+int64(len(op.bytes))+pageSize-1)/pageSize)
		}
		for i := first; i < end; i++ {
			d.durable.pages[i] = d.now.pages[i]
		}
	}
	d.unsynced = nil
}

// dirty tells whether something is not durable.
func (d *memData) dirty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.unsynced) > 0
}

// crashClone is the file in the file system to after a power cut.
func (d *memData) crashClone(to *Mem, dice dice) *memData {
	d.mu.Lock() // of durable, which is lent out
	defer d.mu.Unlock()
	left := content{size: d.durable.size, pages: d.durable.pages, borrowed: true}
	d.durable.borrowed = true
	for _, op := range d.unsynced {
		left.applySurviving(op, &d.durable, dice)
	}
	left.borrowed = true
	clone := &memData{fs: to, linked: true, modTime: d.modTime, now: left, durable: left}
	clone.recount()
	return clone
}

func (c *content) applySurviving(op dataOp, shared *content, dice dice) {
	switch {
	case dice.survives():
		if op.bytes == nil {
			c.truncate(op.at, shared)
		} else {
			c.write(op.bytes, op.at, shared)
		}
	case op.bytes != nil:
		c.tear(op, shared, dice)
	}
}

// sectorSize is what a disk writes as a whole.
const sectorSize = 512

// tear lets some sectors of a write survive, and perhaps the size that it gave the file: then zeros stand where the rest should be.
func (c *content) tear(op dataOp, shared *content, dice dice) {
	for p, at := op.bytes, op.at; len(p) > 0; {
		n := min(len(p), int(sectorSize-at%sectorSize))
		if len(p)+int(at-op.at) > n && dice.survives() { // one sector alone is written, or is not
			c.write(p[:n], at, shared)
		}
		p, at = p[n:], at+int64(n)
	}
	if end := op.at + int64(len(op.bytes)); end > c.size && dice.survives() {
		c.size = end
	}
}

// memFile is an open file of a Mem.
type memFile struct {
	data     *memData
	name     string
	writable bool
	closed   atomic.Bool
}

// check tells whether the file may be used, and written.
func (f *memFile) check(op string, write bool) error {
	switch {
	case f.closed.Load():
		return pathError(op, f.name, fs.ErrClosed)
	case write && !f.writable:
		return pathError(op, f.name, syscall.EBADF)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.name, errNegative)
	}
	return f.data.readAt(p, off)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	if err := f.data.writeAt(p, off); err != nil {
		return 0, pathError("write", f.name, err)
	}
	return len(p), nil
}

// WriteVecAt is one write per buffer, so that a power cut may keep some: pwritev promises no more.
func (f *memFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := f.WriteAt(b, off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false); err != nil {
		return 0, err
	}
	f.data.mu.RLock()
	defer f.data.mu.RUnlock()
	return f.data.now.size, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true); err != nil {
		return err
	}
	if err := f.data.truncate(size); err != nil {
		return pathError("truncate", f.name, err)
	}
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check("sync", false); err != nil {
		return err
	}
	f.data.sync()
	return nil
}

func (f *memFile) SyncData() error { return f.Sync() }

// Allocate takes room for pages without giving them memory.
func (f *memFile) Allocate(off, n int64) error {
	if err := f.check("allocate", true); err != nil {
		return err
	}
	if off < 0 || n <= 0 {
		return pathError("allocate", f.name, syscall.EINVAL)
	}
	if err := f.data.allocate(off, n); err != nil {
		return pathError("allocate", f.name, err)
	}
	return nil
}

func (f *memFile) FD() (uintptr, bool) { return 0, false }

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.data.addHandle(-1)
	return nil
}
