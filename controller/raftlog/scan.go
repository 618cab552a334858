package raftlog

import (
	"errors"
	"fmt"
	"io"

	"ottla/log"
	"ottla/protocol"
)

// scanChunk is how many bytes are read at once; a batch that is larger is read alone.
const scanChunk = 1 << 20

// scan goes through the batches with offsets from lo to before hi, until f says stop. ErrDamaged if one is missing or is not what was written.
// The item's value is valid until f returns.
func (s *Storage) scan(lo, hi protocol.Offset, f func(item) (more bool, err error)) error {
	var buf []byte
	for next := lo; next < hi; {
		var err error
		if buf, err = s.readChunk(buf, next, hi); err != nil {
			return fmt.Errorf("read metadata log at %d: %w", next, err)
		}
		if len(buf) == 0 {
			return fmt.Errorf("%w: nothing at offset %d", ErrDamaged, next)
		}
		for rest := buf; len(rest) > 0; {
			i, err := parseItem(rest)
			if err != nil {
				return err
			}
			if i.offset != next {
				return fmt.Errorf("%w: offset %d where %d should be", ErrDamaged, i.offset, next)
			}
			if more, err := f(i); err != nil || !more {
				return err
			}
			rest, next = rest[i.size:], next+1
		}
	}
	return nil
}

// readChunk reads whole batches from the log into buf, which grows as needed.
func (s *Storage) readChunk(buf []byte, from, limit protocol.Offset) ([]byte, error) {
	var r log.Range
	if err := s.log.Read(from, limit, scanChunk, true, &r); err != nil {
		return nil, err
	}
	if r.Size == 0 {
		return buf[:0], nil
	}
	defer r.Source.Release()
	if cap(buf) < r.Size {
		buf = make([]byte, r.Size)
	}
	buf = buf[:r.Size]
	if n, err := r.Source.ReadAt(buf, r.Position); n < len(buf) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the file ends within a batch", ErrDamaged)
		}
		return nil, err
	}
	return buf, nil
}

func (s *Storage) readOne(at protocol.Offset) (found item, err error) {
	err = s.scan(at, at+1, func(i item) (bool, error) {
		found = i
		return false, nil
	})
	return found, err
}
