package quorum

import (
	"encoding/binary"
	"fmt"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/controller/sabotage"
	"ottla/protocol"
)

// An entry's data, numbers big-endian:
//
//	 0  version      1  1
//	 1  term         8  it was decided in
//	 9  proposal id  8  the offset it was decided for
//	17  records      …  see controller/record/FORMAT.md
//
// An entry counts only where its term and its proposal id are those of its place in the log: then, and only then, it follows the state it was decided against.
const (
	proposalVersion = 1
	proposalSize    = 17
)

// proposal is an entry's data, decoded. records aliases it.
type proposal struct {
	term, id uint64
	records  []byte
}

func (p proposal) encode() []byte {
	b := make([]byte, 0, proposalSize+len(p.records))
	b = append(b, proposalVersion)
	b = binary.BigEndian.AppendUint64(b, p.term)
	b = binary.BigEndian.AppendUint64(b, p.id)
	return append(b, p.records...)
}

func parseProposal(b []byte) (proposal, error) {
	switch {
	case len(b) < proposalSize:
		return proposal{}, fmt.Errorf("proposal of %d bytes: %w", len(b), record.ErrMalformed)
	case b[0] != proposalVersion:
		return proposal{}, fmt.Errorf("proposal of version %d: %w", b[0], record.ErrNewer)
	}
	return proposal{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), b[proposalSize:]}, nil
}

// Misplaced is where an entry of metadata was decided for, if that is not where it stands.
type Misplaced struct{ Term, ID uint64 }

// Next is the state after a committed entry of metadata, and what it changed: the same on every member, at a start or live, and on every observer. One that was decided for
// another place (misplaced is not nil) changes nothing. Errors are those of record.Each.
func Next(was *image.Image, at protocol.Offset, term protocol.Term, data []byte) (next *image.Image, delta *image.Delta, misplaced *Misplaced, err error) {
	p, err := parseProposal(data)
	if err != nil {
		return nil, nil, nil, err
	}
	if (p.term != uint64(term) || p.id != uint64(at)) && !sabotage.On(sabotage.StaleProposal) {
		next, delta = was.Apply(at, term, nil)
		return next, delta, &Misplaced{p.term, p.id}, nil
	}
	next, delta, err = was.ApplyList(at, term, p.records)
	return next, delta, nil, err
}
