package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"sync"
	"sync/atomic"

	"ottla/log/batch"
	"ottla/protocol"
)

// Segment is the batches from a base offset up to the next segment's, and their indexes. The calls that write (Write, Added, Seal, Take…, Cut, Recover) are ordered by the
// caller; the others may come from anywhere, beside them.
type Segment struct {
	base protocol.Offset
	dir  string

	log     slot
	offsets index
	times   index

	size     atomic.Int64 // bytes of whole batches
	modified int64        // milliseconds: when the file was last written, for segments without timestamps
	dirty    *Handle      // the writer's pin while the file has unsynced bytes
	replaced []*Handle    // pins until Close: another segment has taken over the names
	indexed  int64        // position of the batch that the newest index entry points to; 0 if there is none
	saved    int64        // position of the last batch for which the indexes were saved
	noted    int64        // timestamp of the newest time index entry, -1 if there is none

	checked atomic.Bool // the indexes were made here, or looked at
	settled atomic.Bool // the writer has finished: readers may rebuild the indexes

	mu    sync.Mutex // never held across I/O
	known bool       // the three below: a segment that was found on disk learns them when asked
	max   int64      // the largest timestamp, -1 if there is none
	maxAt protocol.Offset
	first int64 // the max timestamp of the first batch, -1 if there is none
}

func newSegment(files *Files, dir string, base protocol.Offset) *Segment {
	s := &Segment{base: base, dir: dir, max: protocol.NoTimestamp, maxAt: base, first: protocol.NoTimestamp, noted: protocol.NoTimestamp}
	s.log.files, s.log.name = files, path.Join(dir, Name(base, LogSuffix))
	s.offsets.files, s.offsets.name, s.offsets.width = files, path.Join(dir, Name(base, IndexSuffix)), offsetEntrySize
	s.times.files, s.times.name, s.times.width = files, path.Join(dir, Name(base, TimeIndexSuffix)), timeEntrySize
	return s
}

// Create makes an empty segment: its .log file exists when it returns, and stays open until the first sync. The index files follow with their first entries or Seal.
func Create(files *Files, dir string, base protocol.Offset, nowMs int64) (*Segment, error) {
	s := newSegment(files, dir, base)
	s.known, s.modified = true, nowMs
	s.startIndexes()
	h, err := s.log.create()
	if err != nil {
		return nil, err
	}
	s.dirty = h
	return s, nil
}

func (s *Segment) startIndexes() {
	s.offsets.ready, s.times.ready = true, true
	s.checked.Store(true)
}

// Found is a segment that lies on disk, complete: size bytes, last written at modifiedMs. No file is opened.
func Found(files *Files, dir string, base protocol.Offset, size, modifiedMs int64) *Segment {
	s := newSegment(files, dir, base)
	s.modified = modifiedMs
	s.settled.Store(true)
	s.size.Store(size)
	return s
}

// Base is the offset that the segment's files are named for: no record of it is below.
func (s *Segment) Base() protocol.Offset { return s.base }

// Size is the bytes of batches.
func (s *Segment) Size() int64 { return s.size.Load() }

// Name is the path of the .log file.
func (s *Segment) Name() string { return s.log.name }

// Acquire pins the .log file for reading. ErrGone and fs.ErrNotExist mean that the log has dropped the segment.
func (s *Segment) Acquire() (*Handle, error) { return s.log.acquire() }

// Activate readies a segment that was found on disk for Write.
func (s *Segment) Activate() error {
	if err := s.learn(); err != nil {
		return err
	}
	if _, err := s.FloorPosition(s.Size()); err != nil { // looks at the last entry while the indexes may still be rebuilt
		return err
	}
	s.settled.Store(false)
	var e entry
	ok, err := s.offsets.last(&e)
	if err != nil {
		return err
	}
	if ok {
		s.indexed = byPosition.key(e[:])
		s.saved = s.indexed
	}
	if ok, err = s.times.last(&e); err != nil {
		return err
	}
	if ok {
		s.noted = byTimestamp.key(e[:])
	}
	return nil
}

// errTorn says that a failed write could not be undone.
var errTorn = errors.New("bytes of a failed write remain")

// Write appends bytes that are whole batches to the file; Added follows for each of them. After an error the file is as long as it was before, unless Torn(err).
func (s *Segment) Write(b []byte) error {
	h, err := s.writer()
	if err != nil {
		return err
	}
	at := s.size.Load()
	n, err := h.file.WriteAt(b, at)
	if err == nil && n == len(b) {
		return nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	if cut := h.file.Truncate(at); cut != nil {
		return fmt.Errorf("%w: %w: %w", errTorn, err, cut)
	}
	return err
}

// writer is the pin that lasts until TakeDirty.
func (s *Segment) writer() (*Handle, error) {
	if s.dirty == nil {
		h, err := s.log.acquire()
		if err != nil {
			return nil, err
		}
		s.dirty = h
	}
	return s.dirty, nil
}

// Torn tells whether a failed Write left bytes behind, so that the segment takes no more.
func Torn(err error) bool { return errors.Is(err, errTorn) }

// saveBytes is how much of a log's end the index files may not know: what a start after a kill has to read again, whatever the size of batches. It is half of what entries for
// every index interval of 4 KiB would fill a page with.
const saveBytes = 1 << 20

// Added counts a batch of what Write wrote, in order, and indexes it if more than interval bytes have passed since the last one that was (index.interval.bytes).
// The entries are those that Apache Kafka writes: last offset and position of a batch; the largest timestamp so far and the last offset of the batch that brought it.
func (s *Segment) Added(h *batch.Header, interval int64) {
	at := s.size.Load()
	s.mu.Lock()
	if at == 0 {
		s.first = h.MaxTimestamp
	}
	if h.MaxTimestamp > s.max && h.Count > 0 { // what compaction has emptied has a time that no record has
		s.max, s.maxAt = h.MaxTimestamp, h.LastOffset()
	}
	max, maxAt := s.max, s.maxAt
	s.mu.Unlock()
	if at-s.indexed > interval {
		s.indexOffset(h.LastOffset(), at)
		s.indexTime(max, maxAt)
		s.indexed = at
	}
	if s.indexed-s.saved >= saveBytes {
		s.saved = s.indexed
		s.offsets.save()
		s.times.save()
	}
	s.size.Store(at + int64(h.Size()))
}

func (s *Segment) indexOffset(last protocol.Offset, position int64) {
	var e [offsetEntrySize]byte
	binary.BigEndian.PutUint32(e[:], uint32(last-s.base))
	binary.BigEndian.PutUint32(e[4:], uint32(position))
	s.offsets.add(e[:])
}

// indexTime notes a timestamp if it is larger than all before.
func (s *Segment) indexTime(max int64, at protocol.Offset) {
	if max <= s.noted {
		return
	}
	var e [timeEntrySize]byte
	binary.BigEndian.PutUint64(e[:], uint64(max))
	binary.BigEndian.PutUint32(e[8:], uint32(at-s.base))
	s.times.add(e[:])
	s.noted = max
}

// Fits tells whether a write of n bytes whose last record is last can be addressed here: relative offsets and positions are 31 bits.
func (s *Segment) Fits(n int64, last protocol.Offset) bool {
	return last-s.base <= math.MaxInt32 && s.size.Load()+n <= math.MaxInt32
}

// IndexFull tells whether an index has reached segment.index.bytes. As in Kafka one entry of the time index is kept for Seal.
func (s *Segment) IndexFull(bytes int64) bool {
	return int64(s.offsets.count()) >= bytes/offsetEntrySize || int64(s.times.count()) >= bytes/timeEntrySize-1
}

// Seal ends writing: the largest timestamp becomes the time index's last entry. Nothing is written yet: see Sync.
func (s *Segment) Seal(nowMs int64) error {
	max, at, err := s.MaxTimestamp()
	if err != nil {
		return err
	}
	s.indexTime(max, at)
	s.modified = nowMs
	return nil
}

// TakeDirty hands the writer's pin on the unsynced .log file to the caller, who syncs and releases it; nil if all is synced.
func (s *Segment) TakeDirty() *Handle {
	h := s.dirty
	s.dirty = nil
	return h
}

// SyncIndexes writes the indexes of a sealed segment to their files and makes them durable.
func (s *Segment) SyncIndexes() error {
	if err := s.offsets.sync(); err != nil {
		return err
	}
	if err := s.times.sync(); err != nil {
		return err
	}
	s.settled.Store(true)
	return nil
}

// Unsaved tells whether an index has entries that are not in its file: a reader had to rebuild it.
func (s *Segment) Unsaved() bool { return s.offsets.unsaved() || s.times.unsaved() }

// Close gives the files up: they are closed as soon as their last readers are done, and cannot be reached through s any more. What is unsynced stays unsynced.
func (s *Segment) Close() {
	if h := s.TakeDirty(); h != nil {
		h.Release()
	}
	s.log.retire()
	s.offsets.retire()
	s.times.retire()
	for _, h := range s.replaced {
		h.Release()
	}
	s.replaced = nil
}

// seclude lets readers go on with the open files, but nobody open them by name any more: until Close.
func (s *Segment) seclude() error {
	if err := s.pinFiles(); err != nil {
		return err
	}
	s.shut()
	return nil
}

// Delete renames the files (and leftovers under other suffixes) away and returns the new paths, for removal after file.delete.delay.ms.
// Files that do not exist are no error.
func (s *Segment) Delete() (renamed []string, err error) {
	s.Close()
	return s.deleteFiles(s.log.name, s.offsets.name, s.times.name, path.Join(s.dir, Name(s.base, TxnIndexSuffix)))
}

func (s *Segment) deleteFiles(names ...string) (renamed []string, err error) {
	for _, name := range names {
		to := name + DeletedSuffix
		switch e := s.log.files.fs.Rename(name, to); {
		case e == nil:
			renamed = append(renamed, to)
		case !notExist(e):
			err = errors.Join(err, e)
		}
	}
	return renamed, err
}

// FileSize is the bytes of the .log file, which after Recover may be more than those of the batches.
func (s *Segment) FileSize() (int64, error) {
	h, err := s.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	return h.file.Size()
}
