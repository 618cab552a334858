package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/producer"
	"ottla/log/segment"
	"ottla/protocol"
)

// partitionVerifier is the state of Verify in one folder.
type partitionVerifier struct {
	v         *verifier
	tp        protocol.TopicPartition
	folder    string
	vouched   bool                 // the manifest has the folder, so that the checkpoints speak of it
	point     protocol.Offset      // recovery point
	floor     protocol.Offset      // a bad batch below is damage
	known     protocol.LeaderEpoch // the newest in the checkpoint of epochs, NoLeaderEpoch if there is none
	snapshots []protocol.Offset
	epochs    epochs
	next      protocol.Offset // behind the last batch; -1 before the first segment
	gaps      int
	cut       bool // a start ends the log before what comes now
	report    PartitionVerification
}

func (p *partitionVerifier) found(s Severity, file string, position int64, offset protocol.Offset, format string, args ...any) {
	p.report.Findings = append(p.report.Findings, Finding{s, path.Join(p.folder, file), position, offset, fmt.Sprintf(format, args...)})
}

func (p *partitionVerifier) verify() error {
	segs, err := p.segments()
	if err != nil {
		return err
	}
	start := p.v.starts[p.tp]
	p.known = protocol.NoLeaderEpoch
	if entries, err := checkpoint.ReadEpochs(p.v.fs, p.folder); err == nil {
		p.known = (&epochs{entries: entries}).latest()
	}
	for len(segs) > 1 && segs[1].Base() <= start {
		p.found(Note, path.Base(segs[0].Name()), -1, segs[0].Base(), "lies below the log start offset %d and is deleted by a start", start)
		segs = segs[1:]
	}
	p.report.Segments = len(segs)
	if len(segs) > 0 {
		p.report.Start = max(start, segs[0].Base())
	}
	for i, s := range segs {
		if err := p.segment(s, i+1 == len(segs), segs); err != nil {
			return err
		}
	}
	p.report.End = max(0, p.next)
	if p.report.End < p.point && p.point > start {
		p.found(Damage, "", -1, p.report.End, "records up to offset %d were durable, the log ends at %d", p.point, p.report.End)
	}
	if p.gaps > 0 {
		p.found(Note, "", -1, protocol.NoOffset, "%d gaps between offsets: right in a topic that is compacted, or was", p.gaps)
	}
	return errors.Join(p.checkEpochs(), p.checkSnapshots(), p.checkIdentity(), p.checkKnown())
}

// segment checks one segment and its indexes.
func (p *partitionVerifier) segment(s *segment.Segment, last bool, segs []*segment.Segment) error {
	name := path.Base(s.Name())
	p.report.Bytes += s.Size()
	if p.cut {
		p.found(Tail, name, 0, s.Base(), "stands behind the end of the log: %d bytes would be deleted", s.Size())
		return nil
	}
	if p.next >= 0 && s.Base() != p.next {
		if s.Base() < p.next {
			p.bad(segment.Extent{From: p.next, Damage: &segment.DamageError{Name: s.Name(), Offset: p.next, Err: fmt.Errorf("segment begins at offset %d, expected %d", s.Base(), p.next)}}, s)
			return nil
		}
		p.gaps++
	}
	p.next = s.Base()
	var end protocol.Offset
	if !last {
		end = segs[slices.Index(segs, s)+1].Base()
	}
	before := *p
	before.epochs.entries = slices.Clone(p.epochs.entries)
	indexes := newIndexVerifier(p, s)
	err := s.Scrub(segment.ScrubOptions{End: s.Size(), Next: end,
		Bad: func(e segment.Extent) {
			if p.cut {
				return
			}
			p.bad(e, s)
			indexes.stop()
			if !p.cut {
				p.next = max(p.next, e.To)
			}
		},
		Visit: func(position int64, h *batch.Header) error {
			p.visit(position, h, indexes)
			return nil
		},
		Again: func() {
			*p = before
			indexes = newIndexVerifier(p, s)
		}})
	if err != nil {
		return err
	}
	indexes.end()
	return nil
}

// visit is told of every sound batch.
func (p *partitionVerifier) visit(position int64, h *batch.Header, indexes *indexVerifier) {
	if p.cut {
		return
	}
	if h.BaseOffset > p.next {
		p.gaps++
	}
	p.report.Batches++
	p.epochs.assign(h.LeaderEpoch, h.BaseOffset)
	p.next = h.NextOffset()
	indexes.batch(position, h)
}

// bad classifies what is no sound batch, as recovery would.
func (p *partitionVerifier) bad(e segment.Extent, s *segment.Segment) {
	name := path.Base(e.Damage.Name)
	before := e.From == p.floor && e.Damage.MaybeBefore() && p.known >= 0 && p.epochs.latest() > p.known
	if p.v.report.Clean || e.From < p.floor || before {
		p.found(Damage, name, e.Position, e.From, "%v", e.Damage.Err)
		return
	}
	p.cut = true
	p.found(Tail, name, e.Position, e.From, "unflushed end, %d bytes would be cut: %v", s.Size()-e.Position, e.Damage.Err)
}

// checkEpochs compares the checkpoint of leader epochs with the batches.
func (p *partitionVerifier) checkEpochs() error {
	entries, err := checkpoint.ReadEpochs(p.v.fs, p.folder)
	if errors.Is(err, checkpoint.ErrMalformed) || errors.Is(err, fs.ErrNotExist) {
		if len(p.epochs.entries) > 0 {
			p.found(Rebuilt, checkpoint.EpochsName, -1, protocol.NoOffset, "%v", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	in := epochs{entries: entries}
	in.cutEnd(p.report.End)
	in.cutStart(p.report.Start)
	have := p.epochs
	have.cutStart(p.report.Start)
	if !slices.Equal(in.entries, have.entries) {
		p.found(Rebuilt, checkpoint.EpochsName, -1, protocol.NoOffset, "says %v, the batches say %v", in.entries, have.entries)
	}
	return nil
}

func (p *partitionVerifier) checkSnapshots() error {
	for _, offset := range p.snapshots {
		name := segment.Name(offset, segment.SnapshotSuffix)
		b, err := readFile(p.v.fs, path.Join(p.folder, name), maxSnapshotBytes)
		if err != nil {
			return err
		}
		var state producer.State
		if err := state.Load(b); err != nil {
			p.found(Rebuilt, name, -1, offset, "%v", err)
		} else if offset > p.report.End {
			p.found(Rebuilt, name, -1, offset, "is the state behind the end of the log, %d", p.report.End)
		}
	}
	return nil
}

// checkIdentity compares the topic id in the folder with the one in the manifest.
func (p *partitionVerifier) checkIdentity() error {
	id, err := checkpoint.ReadPartition(p.v.fs, p.folder)
	switch {
	case errors.Is(err, checkpoint.ErrMalformed):
		p.found(Damage, checkpoint.PartitionName, -1, protocol.NoOffset, "%v", err)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && p.vouched && p.v.ids[p.tp] != id:
		p.found(Damage, checkpoint.PartitionName, -1, protocol.NoOffset, "topic id %s, but %s has %s", id, checkpoint.ManifestName, p.v.ids[p.tp])
	}
	return nil
}

// checkKnown tells of damage that an earlier run has found.
func (p *partitionVerifier) checkKnown() error {
	known, err := checkpoint.ReadDamage(p.v.fs, p.folder)
	if errors.Is(err, checkpoint.ErrMalformed) {
		p.found(Rebuilt, checkpoint.DamageName, -1, protocol.NoOffset, "%v", err)
		return nil
	}
	for _, d := range known {
		p.found(Note, checkpoint.DamageName, d.Position, d.From, "offsets %d to %d are known to be damaged, and not served", d.From, d.To-1)
	}
	return err
}
