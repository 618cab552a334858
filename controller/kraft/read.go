package kraft

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// Folder is the partition of the metadata in a log directory.
const Folder = "__cluster_metadata-0"

// maxDecompressed bounds what a batch of metadata inflates to; Kafka writes them plain.
const maxDecompressed = 64 << 20

var errFrame = errors.New("not a metadata record")

// Read reads the newest snapshot and the log behind it in dir, a metadata folder of a node that has stopped. Nothing is written.
//
// A node that was one of several controllers may have records at the end of its log that were never committed; they are taken as they are.
// Errors: fs.ErrNotExist if there is no such folder; *segment.DamageError; what is wrong with a record.
func Read(fsys vfs.FS, dir string) (*State, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	r := reader{files: segment.NewFiles(fsys, 1), dir: dir, state: newState()}
	var end protocol.Offset
	snapshot := ""
	for _, e := range entries { // sorted by name, which is by offset
		if at, ok := parseSnapshot(e.Name()); ok {
			snapshot, end = e.Name(), at
		}
	}
	if snapshot != "" {
		size, err := size(fsys, path.Join(dir, snapshot))
		if err == nil {
			err = r.file(snapshot, size, 0)
		}
		if err != nil {
			return nil, err
		}
	}
	from := end // offsets inside a snapshot are its own
	r.next = end
	for _, e := range entries {
		base, suffix, ok := segment.ParseName(e.Name())
		if !ok || suffix != segment.LogSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if base > r.next {
			return nil, fmt.Errorf("%s: metadata from offset %d on is missing", path.Join(dir, e.Name()), r.next)
		}
		if err := r.file(e.Name(), info.Size(), from); err != nil {
			return nil, err
		}
	}
	if err := r.state.check(); err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	return r.state, nil
}

// parseSnapshot reads OFFSET-EPOCH.checkpoint: the snapshot holds all records before the offset.
func parseSnapshot(name string) (end protocol.Offset, ok bool) {
	name, ok = strings.CutSuffix(name, ".checkpoint")
	offset, epoch, dash := strings.Cut(name, "-")
	if !ok || !dash || len(offset) != 20 || len(epoch) != 10 {
		return 0, false
	}
	n, err := strconv.ParseInt(offset, 10, 64)
	return protocol.Offset(n), err == nil
}

func size(fsys vfs.FS, name string) (int64, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// reader applies records in order.
type reader struct {
	files *segment.Files
	dir   string
	state *State
	next  protocol.Offset // behind what was read

	inTransaction bool
	held          []held // records of a metadata transaction that has not ended
}

type held struct {
	kind, version uint64
	body          []byte
}

// file reads the batches of a file, and applies the records from offset from on.
func (r *reader) file(name string, size int64, from protocol.Offset) error {
	h, err := r.files.Acquire(path.Join(r.dir, name))
	if err != nil {
		return err
	}
	defer h.Release()
	var c segment.Cursor
	c.Start(h, 0, size)
	defer c.Close()
	var buf []byte
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return err
		}
		if from > 0 && c.Header.LastOffset() < from {
			continue
		}
		if buf, err = c.Batch(buf); err != nil {
			return err
		}
		if !batch.CheckCRC(buf) {
			return fmt.Errorf("%s: CRC is wrong at position %d", path.Join(r.dir, name), c.Position)
		}
		if !c.Header.Attributes.Control() {
			if err := r.records(buf, from); err != nil {
				return fmt.Errorf("%s: position %d: %w", path.Join(r.dir, name), c.Position, err)
			}
		}
		r.next = max(r.next, c.Header.NextOffset())
	}
}

func (r *reader) records(b []byte, from protocol.Offset) error {
	records, err := batch.NewReader(b, maxDecompressed)
	if err != nil {
		return err
	}
	defer records.Close()
	var rec batch.Record
	for {
		ok, err := records.Next(&rec)
		if err != nil || !ok {
			return err
		}
		if from > 0 && rec.Offset < from {
			continue
		}
		if err := r.record(rec.Value); err != nil {
			return fmt.Errorf("offset %d: %w", rec.Offset, err)
		}
	}
}

// record takes the frame off, and holds back what belongs to a transaction until it ends (KIP-868).
func (r *reader) record(value []byte) error {
	f := fields{rest: value}
	frame, kind, version := f.uvarint(), f.uvarint(), f.uvarint()
	if f.err != nil || frame != 1 {
		return errFrame
	}
	switch {
	case kind == keyBeginTransaction:
		r.inTransaction, r.held = true, nil
	case kind == keyAbortTransaction:
		r.inTransaction, r.held = false, nil
	case kind == keyEndTransaction:
		all := r.held
		r.inTransaction, r.held = false, nil
		for _, h := range all {
			if err := r.state.apply(h.kind, h.version, &fields{rest: h.body}); err != nil {
				return err
			}
		}
	case r.inTransaction:
		r.held = append(r.held, held{kind, version, append([]byte(nil), f.rest...)})
	default:
		return r.state.apply(kind, version, &f)
	}
	return nil
}
