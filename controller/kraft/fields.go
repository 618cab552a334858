package kraft

import (
	"encoding/binary"
	"errors"

	"ottla/protocol"
)

// fields reads Kafka's flexible encoding from the start of rest. After the first error everything reads as zero.
type fields struct {
	rest []byte
	err  error
}

var errShort = errors.New("malformed field")

// take is the next n bytes.
func (f *fields) take(n uint64) []byte {
	if f.err != nil || n > uint64(len(f.rest)) {
		f.err = errors.Join(f.err, errShort)
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		n = len(f.rest) + 1
	}
	f.take(uint64(n))
	if f.err != nil {
		return 0
	}
	return v
}

func (f *fields) int8() int8 {
	if b := f.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (f *fields) int32() int32 {
	if b := f.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (f *fields) int64() int64 {
	if b := f.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (f *fields) id() (id protocol.ID) {
	copy(id[:], f.take(uint64(len(id))))
	return id
}

// nullable is a compact string; false is null.
func (f *fields) nullable() (string, bool) {
	n := f.uvarint()
	if n == 0 {
		return "", false
	}
	return string(f.take(n - 1)), true
}

func (f *fields) string() string {
	s, ok := f.nullable()
	if !ok && f.err == nil {
		f.err = errShort
	}
	return s
}

// int32s skips a compact list of numbers, which may be null.
func (f *fields) int32s() {
	if n := f.uvarint(); n > 0 {
		if n-1 > uint64(len(f.rest))/4 {
			f.err = errShort
			return
		}
		f.take(4 * (n - 1))
	}
}

// tags calls visit with each tagged field.
func (f *fields) tags(visit func(tag uint64, value *fields)) {
	for range f.uvarint() {
		tag := f.uvarint()
		value := fields{rest: f.take(f.uvarint())}
		if f.err != nil {
			return
		}
		visit(tag, &value)
		if value.err != nil {
			f.err = value.err
			return
		}
	}
}
