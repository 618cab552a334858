package wire

import "fmt"

// Check walks the body of a request by its key's schema: every length and count must fit into what is left, every section of tags keep within MaxTags and MaxTagBytes,
// nothing be null that may not be, and nothing be left over. allocates is what kmsg will allocate to decode it, in bytes, never less.
// Check allocates nothing; its work is linear in the body and its depth is that of the schema.
func Check(key, version int16, body []byte) (allocates int, err error) {
	if version < 0 || version > MaxVersion(key) {
		return 0, fmt.Errorf("key %d version %d: %w", key, version, ErrUnsupported)
	}
	r := requests[key]
	w := walk{cursor: cursor{b: body}, version: int8(version), flexible: version >= r.flexible}
	w.structure(r.root)
	if w.bad || len(w.b) != 0 {
		return 0, fmt.Errorf("key %d version %d, body of %d bytes: %w", key, version, len(body), ErrMalformed)
	}
	return int(w.allocates), nil
}

// walk is one Check on its way.
type walk struct {
	cursor
	version   int8
	flexible  bool
	allocates int64
}

func (w *walk) structure(index uint16) {
	s := structs[index]
	all := fields[s.first : int(s.first)+int(s.count)]
	for i := range all {
		f := &all[i]
		if f.tag < 0 && f.from <= w.version && w.version <= f.to {
			w.field(f)
		}
	}
	if w.flexible && !s.plain {
		w.taggedFields(all)
	}
}

func (w *walk) field(f *field) {
	switch f.kind {
	case kindFixed:
		w.take(int64(f.size))
	case kindString:
		n := w.nonNull(f, w.length(w.flexible, false))
		w.take(n)
		w.charge(int64(f.size), 1)
		w.charge(1, n)
	case kindBytes:
		w.take(w.nonNull(f, w.length(w.flexible, true)))
	case kindArray:
		w.array(f)
	case kindStruct:
		w.structure(f.sub)
	case kindOptional:
		if w.int8() != -1 && !w.bad {
			w.charge(int64(f.size), 1)
			w.structure(f.sub)
		}
	}
}

// nonNull is 0 for a null that the field's version allows, and refuses any other.
func (w *walk) nonNull(f *field, n int64) int64 {
	if n >= 0 {
		return n
	}
	if w.version < f.null {
		w.fail()
	}
	return 0
}

func (w *walk) array(f *field) {
	n := w.nonNull(f, w.length(w.flexible, true))
	if n > int64(len(w.b)) { // no element is smaller than a byte
		w.fail()
		return
	}
	w.charge(int64(f.size), n)
	if elem := structs[f.sub]; elem.plain && fields[elem.first].kind == kindFixed {
		w.take(n * int64(fields[elem.first].size))
		return
	}
	for ; n > 0 && !w.bad; n-- {
		w.structure(f.sub)
	}
}

// taggedFields reads the section of tags at the end of a struct. kmsg keeps the ones it does not know in a map.
func (w *walk) taggedFields(all []field) {
	t := w.tags()
	unknown := int64(0)
	for {
		tag, inner, ok := t.next(&w.cursor)
		if !ok {
			break
		}
		f := tagged(all, tag)
		if f == nil {
			unknown++
			continue
		}
		outer := w.cursor
		w.cursor = inner
		w.field(f)
		inner, w.cursor = w.cursor, outer
		w.close(&inner)
	}
	if unknown > 0 {
		w.charge(tagMap, 1)
	}
	if unknown > 8 {
		w.charge(tagMapEntry, unknown)
	}
}

// tagged is the field with this tag. Like kmsg it does not ask whether the version has it yet.
func tagged(all []field, tag uint32) *field {
	for i := range all {
		if f := &all[i]; f.tag >= 0 && uint32(f.tag) == tag {
			return f
		}
	}
	return nil
}

// What a map[uint32][]byte costs in Go 1.26: its header and first group of eight slots, then all of the tables that it outgrows, per entry.
const (
	tagMap      = 400
	tagMapEntry = 176
)

// charge adds one allocation of n elements of a size, rounded up as Go's allocator does at worst: by an eighth and 16 bytes, by a page above 32 KiB, and 8 bytes of header.
func (w *walk) charge(size, n int64) {
	total := size * n
	switch {
	case total == 0:
	case total <= 32<<10-8:
		w.allocates += (total + 8 + total/8 + 15) &^ 15
	default:
		w.allocates += (total + 8191) &^ 8191
	}
}
