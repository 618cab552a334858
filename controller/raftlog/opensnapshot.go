package raftlog

import (
	"errors"
	"fmt"
	"path"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/protocol"
)

// skippedSnapshot is a damaged one. Without it the node may go on only if an older one and the log hold everything that it held.
type skippedSnapshot struct {
	index uint64
	err   error
}

// openSnapshot finds the newest snapshot that is what was written, to its last byte. Damaged ones are passed over: whether that is safe is seen when the log is known.
func (s *Storage) openSnapshot() error {
	if err := s.removeTemporary(); err != nil {
		return err
	}
	names, err := s.snapshotNames()
	if err != nil {
		return err
	}
	for n := len(names) - 1; n >= 0; n-- {
		m, err := s.checkSnapshot(names[n])
		if err == nil {
			s.setSnapshot(m)
			return nil
		}
		var next, term uint64
		_, malformed := fmt.Sscanf(names[n], "%020d-%010d"+snapshotSuffix, &next, &term)
		if !errors.Is(err, ErrDamaged) || malformed != nil || next == 0 {
			return err
		}
		s.logger.Error("snapshot of the metadata is damaged", "snapshot", names[n], "error", err)
		if s.skipped == nil {
			s.skipped = &skippedSnapshot{next - 1, err}
		}
	}
	return nil
}

// checkSnapshot reads a snapshot as a whole.
func (s *Storage) checkSnapshot(name string) (*pb.SnapshotMetadata, error) {
	f, err := s.fs.OpenReadOnly(path.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	r := snapshotReader{from: f}
	m, err := r.all(func([]byte) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", name, err)
	}
	if name != snapshotName(m) {
		return nil, fmt.Errorf("%w: snapshot %s is that of index %d, term %d", ErrDamaged, name, m.GetIndex(), m.GetTerm())
	}
	return m, nil
}

// checkSkipped refuses to go on without a damaged snapshot unless the log reaches from what is left to where that one ended.
func (s *Storage) checkSkipped() error {
	if s.skipped == nil {
		return nil
	}
	var from protocol.Offset // without an older snapshot the log must have all entries since the bootstrap
	if s.snapshot != nil {
		from = protocol.Offset(s.snapshot.GetIndex() + 1)
	}
	if start, end := s.log.LogStartOffset(), s.log.LogEndOffset(); start > from || uint64(end) <= s.skipped.index {
		return fmt.Errorf("the log, from %d to %d, does not make up for it: %w", start, end, s.skipped.err)
	}
	return nil
}
