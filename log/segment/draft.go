package segment

import (
	"errors"
	"fmt"

	"ottla/log/batch"
	"ottla/protocol"
)

// Draft is the new content of one or more neighbouring segments, written by compaction under the first one's base offset and CleanedSuffix. It belongs to one goroutine, which
// ends it with Replace, Discard or Abandon. Its index entries are in memory until then.
type Draft struct {
	s        *Segment
	h        *Handle
	buf      []byte // whole batches that are not in the file yet
	written  int64
	interval int64
	err      error // of the file
}

// draftBuffer is how many bytes gather before they are written.
const draftBuffer = 512 << 10

var errUnaddressable = errors.New("compacted segment cannot address its records")

// NewDraft creates the file, in the place of one that a failed attempt has left. interval is index.interval.bytes.
func NewDraft(files *Files, dir string, base protocol.Offset, interval int64) (*Draft, error) {
	s := newSegment(files, dir, base)
	s.log.name += cleanedSuffix
	s.known, s.offsets.held, s.times.held = true, true, true
	s.startIndexes()
	h, err := s.log.create()
	if err != nil {
		return nil, err
	}
	return &Draft{s: s, h: h, interval: interval}, nil
}

// Size is the bytes that the segment would have.
func (d *Draft) Size() int64 { return d.s.Size() }

// Add appends the one batch b, which lies behind what was added before.
func (d *Draft) Add(b []byte) error {
	var h batch.Header
	if err := batch.ParseHeader(b, &h); err != nil {
		return err
	}
	if !d.s.Fits(int64(len(b)), h.LastOffset()) {
		return fmt.Errorf("%s: %d bytes, offset %d: %w", d.s.Name(), d.s.Size()+int64(len(b)), h.LastOffset(), errUnaddressable)
	}
	d.buf = append(d.buf, b...)
	d.s.Added(&h, d.interval)
	if len(d.buf) < draftBuffer {
		return nil
	}
	return d.write()
}

func (d *Draft) write() error {
	if _, d.err = d.h.file.WriteAt(d.buf, d.written); d.err != nil {
		return d.err
	}
	d.written += int64(len(d.buf))
	d.buf = d.buf[:0]
	return nil
}

// Sync makes the content durable.
func (d *Draft) Sync() error {
	if err := d.write(); err != nil {
		return err
	}
	d.err = d.h.file.Sync()
	return d.err
}

// Err is the error of the file that Add or Sync has met: it says more of the disk than of the records.
func (d *Draft) Err() error { return d.err }

// Discard removes the file. One that does not exist any more is no error: its folder may have been deleted.
func (d *Draft) Discard() error {
	d.close()
	if err := d.s.log.files.fs.Remove(d.s.log.name); err != nil && !notExist(err) {
		return err
	}
	return nil
}

// Abandon gives the file up and leaves its name alone: the folder may be gone, or another of the same name.
func (d *Draft) Abandon() { d.close() }

func (d *Draft) close() {
	d.s.log.retire()
	d.h.Release()
}
