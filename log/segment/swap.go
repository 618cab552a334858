package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// A compacted segment takes the place of a row of segments in steps that a crash may end anywhere; each step is durable before the next:
//
//	1  BASE.log.cleaned          written and synced; removed by the next start
//	2  BASE.log.swap             renamed: from here on the next start finishes what is left
//	3  the others' files, and the first one's indexes, renamed to .deleted
//	4  BASE.log                  renamed over the old file
//	5  BASE.index .timeindex     written; rebuilt from the log where they are missing
//
// The draft's last batch ends where the last of the old segments does, so the swap file alone says which it replaces. Readers go on with the old files.

// Replace does steps 2 to 5 for a draft that is synced. old are the segments that it was made of, in order and sealed; they are closed by the caller, who has published the new one.
// After an error the draft is gone. committed tells whether step 2 may be on disk then; if not, everything is as it was. renamed are the paths that may be removed later.
func (d *Draft) Replace(old []*Segment, nowMs int64) (next *Segment, renamed []string, committed bool, err error) {
	fsys, s, first := d.s.log.files.fs, d.s, old[0]
	unpin, err := pinAll(old)
	if err != nil {
		return nil, nil, false, errors.Join(err, d.Discard())
	}
	swap := path.Join(s.dir, Name(s.base, LogSuffix+swapSuffix))
	d.close()
	if err = fsys.Rename(s.log.name, swap); err == nil {
		err = fsys.SyncDir(s.dir)
	}
	if err != nil {
		unpin()
		undone := d.takeBack(swap)
		return nil, nil, undone != nil, errors.Join(err, undone)
	}
	for _, o := range old {
		o.shut()
	}
	if renamed, err = finishSwap(fsys, s.dir, s.base, bases(old[1:])); err != nil {
		return nil, nil, true, err
	}
	next = newSegment(s.log.files, s.dir, s.base)
	next.offsets.adopt(&s.offsets)
	next.times.adopt(&s.times)
	next.checked.Store(true)
	next.size.Store(s.Size())
	next.known, next.max, next.maxAt, next.first = true, s.max, s.maxAt, s.first
	next.indexed, next.noted, next.modified = s.indexed, s.noted, first.modified
	for _, o := range old {
		next.modified = max(next.modified, o.modified)
	}
	if err = next.Seal(next.modified); err != nil {
		return nil, nil, true, err
	}
	if err = next.SyncIndexes(); err != nil {
		return nil, nil, true, err
	}
	next.offsets.letGo()
	next.times.letGo()
	return next, renamed, true, fsys.SyncDir(s.dir)
}

// takeBack makes step 2 undone, for sure: otherwise the next start would finish it, over what was appended or deleted since.
func (d *Draft) takeBack(swap string) error {
	fsys := d.s.log.files.fs
	for _, name := range []string{swap, d.s.log.name} {
		if err := fsys.Remove(name); err != nil && !notExist(err) {
			return err
		}
	}
	return fsys.SyncDir(d.s.dir)
}

func bases(segs []*Segment) []protocol.Offset {
	out := make([]protocol.Offset, len(segs))
	for i, s := range segs {
		out[i] = s.base
	}
	return out
}

// pinAll opens the files of all, so that readers find them until the segments are closed; undo gives them up again.
func pinAll(segs []*Segment) (undo func(), err error) {
	undo = func() {
		for _, s := range segs {
			for _, h := range s.replaced {
				h.Release()
			}
			s.replaced = nil
		}
	}
	for _, s := range segs {
		if err := s.pinFiles(); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// pinFiles pins the open files until Close.
func (s *Segment) pinFiles() error {
	for _, slot := range []*slot{&s.log, &s.offsets.slot, &s.times.slot} {
		h, err := slot.acquire()
		if err == nil {
			s.replaced = append(s.replaced, h)
		} else if !notExist(err) {
			return err
		}
	}
	return nil
}

// shut makes that nobody opens the files by name any more.
func (s *Segment) shut() {
	for _, slot := range []*slot{&s.log, &s.offsets.slot, &s.times.slot} {
		slot.seclude()
	}
}

// letGo frees the memory of entries that are in the file.
func (x *index) letGo() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.tail) == 0 {
		x.tail = nil
	}
}

// finishSwap does steps 3 and 4 for the swap file at base, which covers the segments at others. Files that are gone already are no error.
func finishSwap(fsys vfs.FS, dir string, base protocol.Offset, others []protocol.Offset) (renamed []string, err error) {
	names := []string{Name(base, IndexSuffix), Name(base, TimeIndexSuffix)}
	for _, o := range others {
		for _, suffix := range []string{LogSuffix, IndexSuffix, TimeIndexSuffix, TxnIndexSuffix, SnapshotSuffix} {
			names = append(names, Name(o, suffix))
		}
	}
	for _, name := range names {
		name = path.Join(dir, name)
		switch err := fsys.Rename(name, name+DeletedSuffix); {
		case err == nil:
			renamed = append(renamed, name+DeletedSuffix)
		case !notExist(err):
			return nil, err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return nil, err
	}
	name := path.Join(dir, Name(base, LogSuffix))
	if err := fsys.Rename(name+swapSuffix, name); err != nil {
		return nil, err
	}
	return renamed, fsys.SyncDir(dir)
}

// FinishSwaps finishes the swaps that a crash has interrupted in a partition's folder, whose entries are given; it tells whether there were any. A swap file is durable when it has its
// name: one that is not whole is a *DamageError, and nothing is changed for it.
func FinishSwaps(files *Files, dir string, entries []fs.DirEntry) (found bool, err error) {
	for _, e := range entries {
		base, suffix, ok := ParseName(e.Name())
		if !ok || suffix != LogSuffix+swapSuffix {
			continue
		}
		next, err := swapEnd(files, dir, base)
		if err != nil {
			return found, err
		}
		var others []protocol.Offset
		for _, e := range entries {
			if o, suffix, ok := ParseName(e.Name()); ok && (suffix == LogSuffix || suffix == SnapshotSuffix) && o > base && o < next {
				others = append(others, o)
			}
		}
		if _, err := finishSwap(files.fs, dir, base, others); err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
}

// swapEnd reads a swap file through and tells the offset past its last batch.
func swapEnd(files *Files, dir string, base protocol.Offset) (next protocol.Offset, err error) {
	s := newSegment(files, dir, base)
	s.log.name += swapSuffix
	h, err := s.log.acquire()
	if err != nil {
		return 0, err
	}
	defer s.log.retire()
	defer h.Release()
	size, err := h.file.Size()
	if err != nil {
		return 0, err
	}
	var c Cursor
	c.Start(h, 0, size)
	defer c.Close()
	var buf []byte
	for next = base; ; next = c.Header.NextOffset() {
		ok, err := c.Next()
		if err != nil || !ok {
			return next, err
		}
		if buf, err = c.Batch(buf); err != nil {
			return 0, err
		}
		if c.Header.BaseOffset < next {
			return 0, &DamageError{Name: s.log.name, Position: c.Position, Err: fmt.Errorf("base offset is %d, expected %d or more", c.Header.BaseOffset, next)}
		}
		if !batch.CheckCRC(buf) {
			return 0, &DamageError{Name: s.log.name, Position: c.Position, Err: errCRC}
		}
	}
}

// HasTransactions tells whether a transaction index of the segment has entries: then it stays a file of its own.
func (s *Segment) HasTransactions() (bool, error) {
	info, err := s.log.files.fs.Stat(path.Join(s.dir, strings.TrimSuffix(path.Base(s.log.name), LogSuffix)+TxnIndexSuffix))
	if notExist(err) {
		return false, nil
	}
	return err == nil && info.Size() > 0, err
}
