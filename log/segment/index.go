package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// An index is a file of equal entries, big-endian, ascending in every field:
//
//	.index      relative offset 4 | position 4        of the last record of a batch, and where that batch begins
//	.timeindex  timestamp 8       | relative offset 4 the largest timestamp so far, and the last offset of the batch that brought it
//
// A relative offset counts from the segment's base offset.
const (
	offsetEntrySize = 8
	timeEntrySize   = 12
)

// field names what an index is searched by.
type field int8

const (
	byOffset field = iota
	byPosition
	byTimestamp
)

// key is the field's value in an entry.
func (f field) key(entry []byte) int64 {
	switch f {
	case byOffset:
		return int64(int32(binary.BigEndian.Uint32(entry)))
	case byPosition:
		return int64(int32(binary.BigEndian.Uint32(entry[4:])))
	default:
		return int64(binary.BigEndian.Uint64(entry))
	}
}

// entry is one entry's bytes, the first width of them.
type entry [timeEntrySize]byte

// index is one of a segment's two. Its newest entries are in memory (tail) and go to the file in steps: by the writer, whom the log's lock orders.
type index struct {
	slot
	width int

	mu    sync.Mutex // never held across I/O
	ready bool       // filed is known
	filed int        // entries in the file
	tail  []byte     // entries after those

	held bool // entries stay in memory: the index is the draft of another's
}

// tailSize is the bytes of entries that may wait in memory: one page of file.
const tailSize = bufferSize

var errIndexDamaged = errors.New("index does not fit its segment")

// load finds out how many entries the file has, once.
func (x *index) load() error {
	x.mu.Lock()
	ready := x.ready
	x.mu.Unlock()
	if ready {
		return nil
	}
	h, err := x.acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	if size%int64(x.width) != 0 {
		return fmt.Errorf("%s: %d bytes: %w", x.name, size, errIndexDamaged)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ready {
		x.ready, x.filed = true, int(size/int64(x.width))
	}
	return nil
}

// count is the number of entries.
func (x *index) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.filed + len(x.tail)/x.width
}

// unsaved tells whether entries wait in memory.
func (x *index) unsaved() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.tail) > 0
}

// add appends an entry.
func (x *index) add(e []byte) {
	x.mu.Lock()
	x.tail = append(x.tail, e...)
	full := len(x.tail) >= tailSize-x.width
	x.mu.Unlock()
	if full {
		x.save()
	}
}

// save has no entries wait in memory.
func (x *index) save() {
	if !x.held {
		// An error leaves the entries in memory; the next spill, at the latest that of the roll, meets it again.
		_ = x.spill()
	}
}

// spill writes the tail to the file, creating it if there is none. The file is not pinned until its sync, as a .log file is: thousands of segments are written to at a time. Should
// that lose a write error, the entries do not fit the batches, which every lookup would notice.
func (x *index) spill() error {
	h, err := x.write()
	if err != nil {
		return err
	}
	h.Release()
	return nil
}

// write is spill, and leaves the file pinned for the caller.
func (x *index) write() (*Handle, error) {
	open := x.acquire
	if x.filed == 0 {
		open = x.create
	}
	h, err := open()
	if err != nil || len(x.tail) == 0 {
		return h, err
	}
	n, err := h.file.WriteAt(x.tail, int64(x.filed)*int64(x.width))
	if err == nil && n != len(x.tail) {
		err = io.ErrShortWrite
	}
	if err != nil {
		h.Release()
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.filed += len(x.tail) / x.width
	x.tail = x.tail[:0]
	return h, nil
}

// last is the newest entry.
func (x *index) last(e *entry) (bool, error) {
	x.mu.Lock()
	if n := len(x.tail); n > 0 {
		copy(e[:], x.tail[n-x.width:])
		x.mu.Unlock()
		return true, nil
	}
	filed := x.filed
	x.mu.Unlock()
	if filed == 0 {
		return false, nil
	}
	h, err := x.acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	b := takeBuffer()
	defer b.free()
	if err := readFull(h, b[:x.width], int64(filed-1)*int64(x.width)); err != nil {
		return false, err
	}
	copy(e[:], b[:x.width])
	return true, nil
}

// floor finds the last entry whose field is at most key.
func (x *index) floor(f field, key int64, e *entry) (bool, error) {
	x.mu.Lock()
	if len(x.tail) > 0 && f.key(x.tail) <= key {
		at := floorIn(x.tail, x.width, f, key)
		copy(e[:], x.tail[at:at+x.width])
		x.mu.Unlock()
		return true, nil
	}
	filed := x.filed
	x.mu.Unlock()
	if filed == 0 {
		return false, nil
	}
	h, err := x.acquire()
	if err != nil {
		return false, err
	}
	defer h.Release()
	return x.floorInFile(h, filed, f, key, e)
}

// floorInFile narrows the search down to one buffer's worth of entries by reading the first entry of such blocks, and searches that one in memory.
func (x *index) floorInFile(h *Handle, filed int, f field, key int64, e *entry) (bool, error) {
	b := takeBuffer()
	defer b.free()
	perBlock := bufferSize / x.width
	low, high := 0, (filed-1)/perBlock // the answer is in one of these blocks
	for low < high {
		middle := (low + high + 1) / 2
		if err := readFull(h, b[:x.width], int64(middle)*int64(perBlock)*int64(x.width)); err != nil {
			return false, err
		}
		if f.key(b[:]) <= key {
			low = middle
		} else {
			high = middle - 1
		}
	}
	first := low * perBlock
	n := min(perBlock, filed-first) * x.width
	if err := readFull(h, b[:n], int64(first)*int64(x.width)); err != nil {
		return false, err
	}
	if f.key(b[:]) > key {
		return false, nil
	}
	at := floorIn(b[:n], x.width, f, key)
	copy(e[:], b[at:at+x.width])
	return true, nil
}

// floorIn is the byte position of the last entry whose field is at most key; the first entry's is.
func floorIn(entries []byte, width int, f field, key int64) int {
	low, high := 0, len(entries)/width-1
	for low < high {
		middle := (low + high + 1) / 2
		if f.key(entries[middle*width:]) <= key {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low * width
}

// sync writes what is left and makes the file durable.
func (x *index) sync() error {
	h, err := x.write()
	if err != nil {
		return err
	}
	defer h.Release()
	return h.SyncData()
}
