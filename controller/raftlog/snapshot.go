package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// A snapshot file is a sequence of batches like the log's, so that the tools that read logs read it. Its name holds the offset of the first entry that is not
// in it and the term of the last that is. Batches have offsets from 0 and the snapshot's term:
//
//	header   control; value: index 8, term 8, ConfState (protobuf) …
//	chunks   value: what the driver gave
//	footer   control; value: number of chunks 8
const (
	snapshotSuffix  = ".checkpoint"
	snapshotFixed   = 16
	maxSnapshotItem = 32 << 20 // bytes of one batch; more is damage
	firstFill       = 4096     // bytes read of a batch before its length is believed a little more
)

// SnapshotID names a snapshot as Kafka does: by the offset behind the last entry that is in it, and the term of that one.
type SnapshotID struct {
	End  protocol.Offset
	Term protocol.Term
}

// IDOf names the snapshot that m is about.
func IDOf(m *pb.SnapshotMetadata) SnapshotID {
	return SnapshotID{protocol.Offset(m.GetIndex() + 1), protocol.Term(m.GetTerm())}
}

// fileName has Kafka's form.
func (id SnapshotID) fileName() string {
	return fmt.Sprintf("%020d-%010d%s", id.End, id.Term, snapshotSuffix)
}

func snapshotName(m *pb.SnapshotMetadata) string { return IDOf(m).fileName() }

// WriteSnapshot makes a file of the state after the entry that m names and returns its size. It changes nothing else, and may run on any goroutine while the
// others go on; Adopt makes the file the newest snapshot.
func (s *Storage) WriteSnapshot(m *pb.SnapshotMetadata, chunks iter.Seq[[]byte]) (size int64, err error) {
	w := snapshotWriter{term: m.GetTerm(), builder: batch.NewBuilder()}
	err = writeFile(s.fs, s.dir, snapshotName(m), func(f vfs.File) error {
		w.file = f
		return w.write(m, chunks)
	})
	return w.size, err
}

// snapshotWriter appends batches to a file.
type snapshotWriter struct {
	file    vfs.File
	builder *batch.Builder
	term    uint64
	next    protocol.Offset
	size    int64
	buf     []byte
}

func (w *snapshotWriter) write(m *pb.SnapshotMetadata, chunks iter.Seq[[]byte]) error {
	head := binary.BigEndian.AppendUint64(nil, m.GetIndex())
	head = binary.BigEndian.AppendUint64(head, m.GetTerm())
	head, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(head, m.GetConfState())
	if err != nil {
		return err
	}
	if err := w.add(kindSnapshotHeader, head); err != nil {
		return err
	}
	count := uint64(0)
	for c := range chunks {
		if err := w.add(kindSnapshotChunk, c); err != nil {
			return err
		}
		count++
	}
	return w.add(kindSnapshotFooter, binary.BigEndian.AppendUint64(nil, count))
}

func (w *snapshotWriter) add(k kind, value []byte) error {
	w.buf = appendBatch(w.buf[:0], w.builder, w.next, w.term, k, value)
	if len(w.buf) > maxSnapshotItem {
		return fmt.Errorf("a chunk of %d bytes, at most %d fit", len(value), maxSnapshotItem)
	}
	n, err := w.file.WriteAt(w.buf, w.size)
	w.size += int64(n)
	w.next++
	return err
}

// Adopt makes the snapshot that WriteSnapshot wrote the newest, and removes older ones.
func (s *Storage) Adopt(m *pb.SnapshotMetadata) error {
	if m.GetIndex() <= s.snapshot.GetIndex() {
		return nil
	}
	s.setSnapshot(m)
	names, err := s.snapshotNames()
	if err != nil {
		return fmt.Errorf("remove old snapshots: %w", err)
	}
	for _, name := range names {
		if name >= snapshotName(m) {
			continue
		}
		if err := s.fs.Remove(path.Join(s.dir, name)); err != nil {
			return fmt.Errorf("remove old snapshots: %w", err)
		}
	}
	return nil
}

func (s *Storage) snapshotNames() ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), snapshotSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, nil // sorted, hence by index
}

// SnapshotMetadata names the newest snapshot; nil if there is none.
func (s *Storage) SnapshotMetadata() *pb.SnapshotMetadata { return s.snapshot }

func (s *Storage) setSnapshot(m *pb.SnapshotMetadata) {
	s.snapshot = m
	s.newest.Store(new(IDOf(m)))
}

// NewestSnapshot names the newest snapshot, on any goroutine; false if there is none. It is known before older ones, and the entries that it replaces, are forgotten.
func (s *Storage) NewestSnapshot() (SnapshotID, bool) {
	if id := s.newest.Load(); id != nil {
		return *id, true
	}
	return SnapshotID{}, false
}

// SnapshotFile opens the file of a snapshot, on any goroutine; fs.ErrNotExist if there is none, or none any more. The caller closes it: until then its bytes stay as they are.
func (s *Storage) SnapshotFile(id SnapshotID) (vfs.File, error) {
	return s.fs.OpenReadOnly(path.Join(s.dir, id.fileName()))
}

// ReadSnapshot hands the newest snapshot's chunks to f, in order; they are valid until f returns. ErrDamaged if the file is not as it was written, which may
// come after chunks that were right.
func (s *Storage) ReadSnapshot(f func(chunk []byte) error) error {
	if s.snapshot == nil {
		return nil
	}
	name := snapshotName(s.snapshot)
	file, err := s.fs.OpenReadOnly(path.Join(s.dir, name))
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	defer file.Close()
	r := snapshotReader{from: file}
	if _, err := r.all(f); err != nil {
		return fmt.Errorf("read snapshot %s: %w", name, err)
	}
	return nil
}

// Snapshot implements raft.Storage: the newest one, whole. Its data is the file's bytes.
func (s *Storage) Snapshot() (*pb.Snapshot, error) {
	if s.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	f, err := s.fs.OpenReadOnly(path.Join(s.dir, snapshotName(s.snapshot)))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return &pb.Snapshot{Data: data, Metadata: proto.CloneOf(s.snapshot)}, nil
}

// CheckSnapshot tells whether a snapshot from another voter is what that one wrote, to its last byte. ErrDamaged if not.
func CheckSnapshot(snapshot *pb.Snapshot) error {
	_, err := checkSent(snapshot)
	return err
}

func checkSent(snapshot *pb.Snapshot) (*pb.SnapshotMetadata, error) {
	said := snapshot.GetMetadata()
	m, err := readWhole(snapshot.GetData(), IDOf(said), func([]byte) error { return nil })
	if err != nil {
		return nil, err
	}
	if err := m.GetConfState().Equivalent(pb.EnsureConfState(said.GetConfState())); err != nil {
		return nil, fmt.Errorf("%w: its members: %w", ErrDamaged, err)
	}
	return m, nil
}

// EachChunk hands the chunks of a snapshot's bytes to f, in order; they alias nothing, and are valid until f returns. ErrDamaged if the bytes are not all of that snapshot and
// nothing else, which may come after chunks that were right.
func EachChunk(data []byte, id SnapshotID, f func(chunk []byte) error) error {
	_, err := readWhole(data, id, f)
	return err
}

func readWhole(data []byte, id SnapshotID, f func(chunk []byte) error) (*pb.SnapshotMetadata, error) {
	r := snapshotReader{from: bytes.NewReader(data)}
	m, err := r.all(f)
	switch {
	case err != nil:
		return nil, err
	case IDOf(m) != id:
		return nil, fmt.Errorf("%w: it is that of index %d, term %d", ErrDamaged, m.GetIndex(), m.GetTerm())
	case r.position != int64(len(data)):
		return nil, fmt.Errorf("%w: %d bytes behind its footer", ErrDamaged, int64(len(data))-r.position)
	}
	return m, nil
}

// install makes a snapshot from another voter the state to go on from. The log is emptied and goes on behind it; a crash before that is made up for by
// reconcile.
func (s *Storage) install(snapshot *pb.Snapshot) error {
	m, err := checkSent(snapshot)
	if err != nil {
		return err
	}
	err = writeFile(s.fs, s.dir, snapshotName(m), func(f vfs.File) error {
		_, err := f.WriteAt(snapshot.GetData(), 0)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.Adopt(m); err != nil {
		return err
	}
	if err := s.log.ResetTo(protocol.Offset(m.GetIndex() + 1)); err != nil {
		return err
	}
	s.first, s.last, s.terms, s.recent = m.GetIndex()+1, m.GetIndex(), terms{}, recent{}
	s.terms.add(m.GetIndex(), m.GetTerm())
	return nil
}

// snapshotReader walks a snapshot's batches. It trusts nothing, and holds one batch at a time.
type snapshotReader struct {
	from     io.ReaderAt
	position int64
	next     protocol.Offset
	buf      []byte
}

func (r *snapshotReader) read() (item, error) {
	if err := r.fill(batch.HeaderSize); err != nil {
		return item{}, err
	}
	size := int64(binary.BigEndian.Uint32(r.buf[8:])) + batch.Overhead
	if size < batch.HeaderSize || size > maxSnapshotItem {
		return item{}, fmt.Errorf("%w: a batch of %d bytes", ErrDamaged, size)
	}
	if err := r.fill(int(size)); err != nil {
		return item{}, err
	}
	i, err := parseItem(r.buf)
	if err != nil {
		return item{}, err
	}
	if i.offset != r.next {
		return item{}, fmt.Errorf("%w: offset %d where %d should be", ErrDamaged, i.offset, r.next)
	}
	r.position += size
	r.next++
	return i, nil
}

// fill reads n bytes at the position, in steps, so that a length that lies costs no more than the file holds.
func (r *snapshotReader) fill(n int) error {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		step := min(n-have, max(have, firstFill))
		r.buf = append(r.buf, make([]byte, step)...)
		if got, err := r.from.ReadAt(r.buf[have:], r.position+int64(have)); got < step {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it ends early", ErrDamaged)
			}
			return err
		}
	}
	return nil
}

func (r *snapshotReader) head() (*pb.SnapshotMetadata, error) {
	i, err := r.read()
	if err != nil {
		return nil, err
	}
	if i.kind != kindSnapshotHeader || len(i.value) < snapshotFixed {
		return nil, fmt.Errorf("%w: it begins with kind %d of %d bytes", ErrDamaged, i.kind, len(i.value))
	}
	m := &pb.SnapshotMetadata{
		Index: new(binary.BigEndian.Uint64(i.value)), Term: new(binary.BigEndian.Uint64(i.value[8:])), ConfState: &pb.ConfState{},
	}
	if err := proto.Unmarshal(i.value[snapshotFixed:], m.ConfState); err != nil {
		return nil, fmt.Errorf("%w: its members: %w", ErrDamaged, err)
	}
	if m.GetIndex() == 0 || m.GetTerm() != i.term {
		return nil, fmt.Errorf("%w: head of index %d, term %d in a batch of term %d", ErrDamaged, m.GetIndex(), m.GetTerm(), i.term)
	}
	pb.EnsureConfState(m.ConfState)
	return m, nil
}

func (r *snapshotReader) all(f func(chunk []byte) error) (*pb.SnapshotMetadata, error) {
	m, err := r.head()
	if err != nil {
		return nil, err
	}
	for count := uint64(0); ; count++ {
		i, err := r.read()
		if err != nil {
			return nil, err
		}
		if i.term != m.GetTerm() { // the CRC does not cover it
			return nil, fmt.Errorf("%w: batch %d is of term %d", ErrDamaged, i.offset, i.term)
		}
		if i.kind == kindSnapshotFooter {
			if len(i.value) != 8 || binary.BigEndian.Uint64(i.value) != count {
				return nil, fmt.Errorf("%w: %d chunks, but the footer says %x", ErrDamaged, count, i.value)
			}
			return m, nil
		}
		if i.kind != kindSnapshotChunk {
			return nil, fmt.Errorf("%w: kind %d among the chunks", ErrDamaged, i.kind)
		}
		if err := f(i.value); err != nil {
			return nil, err
		}
	}
}
