package batch

import (
	"io"
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// walker goes over the records of one batch once, without keeping them. Compressed ones pass through a window of fixed size, so that a record may be as long as it likes:
// one that the window does not hold is looked at field by field.
type walker struct {
	rest     []byte // not yet seen; all records if they are plain, else a part of window
	window   []byte
	src      source // what comes behind rest; nil at the end, and for plain records
	opened   source // src as it was at first
	inflated int    // bytes that src has given
	limit    int    // of inflated
	err      error  // the first of a long record; here and not there, so that the walker stays on the stack
}

// windowSize is the inflated bytes in memory at a time, apart from what the codec needs.
const windowSize = 64 << 10

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// openWalker begins to walk the records of a batch with header h. release gives its memory back.
func openWalker(records []byte, h *Header, limit int) (walker, error) {
	codec := h.Attributes.Codec()
	if codec == None {
		return walker{rest: records}, nil
	}
	src, err := openSource(codec, records, limit)
	if err != nil {
		return walker{}, err
	}
	window := windows.Get().(*[windowSize]byte)
	return walker{window: window[:], src: src, opened: src, limit: limit}, nil
}

func (w *walker) release() {
	if w.opened != nil {
		w.opened.release()
		windows.Put((*[windowSize]byte)(w.window))
	}
}

// walk checks that records are those that h declares and that o allows, and returns the largest time among them, at least NoTimestamp.
func walk(records []byte, h *Header, o *ValidateOptions) (newest int64, err error) {
	w, err := openWalker(records, h, o.MaxDecompressed)
	if err != nil {
		return 0, err
	}
	defer w.release()
	return w.walk(h, o)
}

func (w *walker) walk(h *Header, o *ValidateOptions) (newest int64, err error) {
	var (
		rec      Record
		rejected rejections
	)
	newest = protocol.NoTimestamp
	for i := range h.Count {
		if err := w.next(h, &rec); err != nil {
			return 0, err
		}
		if rec.offsetDelta != i {
			return 0, protocol.Errorf(kerr.InvalidRecord, "record %d has offset delta %d", i, rec.offsetDelta)
		}
		rejected.check(i, &rec, o)
		newest = max(newest, rec.Timestamp)
	}
	if err := w.end(h); err != nil {
		return 0, err
	}
	return newest, rejected.err()
}

// end checks that nothing comes behind the last record.
func (w *walker) end(h *Header) error {
	if err := w.fill(1); err != nil {
		return err
	}
	if len(w.rest) > 0 {
		return protocol.Errorf(kerr.InvalidRecord, "bytes are left behind the %d records that the batch declares", h.Count)
	}
	return nil
}

// next checks the next record. Of rec's fields, times, offset and whether the key is null can be relied on.
func (w *walker) next(h *Header, rec *Record) error {
	if w.src != nil {
		if err := w.fill(maxVarint); err != nil {
			return err
		}
		if length, n := varint(w.rest); n > 0 && length > 0 {
			size := int64(n) + int64(length)
			if size > int64(len(w.window)) {
				return w.long(h, rec)
			}
			if err := w.fill(int(size)); err != nil {
				return err
			}
		}
	}
	n, err := parseRecord(w.rest, h, rec)
	if err != nil {
		return err
	}
	w.rest = w.rest[n:]
	return nil
}

// fill has at least so many bytes ready in rest, unless the records end before. The window must hold them.
func (w *walker) fill(least int) error {
	if w.src == nil || len(w.rest) >= least {
		return nil
	}
	n := copy(w.window, w.rest)
	for n < least && w.src != nil {
		m, err := w.src.Read(w.window[n:])
		n += m
		if w.inflated += m; w.inflated > w.limit {
			return errTooLarge(w.limit)
		}
		if err == io.EOF {
			w.src = nil
		} else if err != nil {
			return err
		}
	}
	w.rest = w.window[:n]
	return nil
}

// long checks a record that the window does not hold: what parseRecord does, but over a stream.
func (w *walker) long(h *Header, rec *Record) error {
	l := longRecord{walker: w, left: math.MaxInt64}
	l.left = int64(l.varint("length"))
	l.skip(1, "attributes")
	delta := l.varlong("timestamp delta")
	rec.offsetDelta = l.varint("offset delta")
	rec.Key, rec.Value, rec.Headers = nil, nil, Headers{}
	if l.sized("key length", nullable) {
		rec.Key = w.window[:0]
	}
	l.sized("value length", nullable)
	count := l.varint("number of headers")
	if count < 0 || int64(count)*2 > l.left {
		l.fail("number of headers")
	}
	for i := int32(0); i < count && l.err == nil; i++ {
		l.sized("header key length", !nullable)
		l.sized("header value length", nullable)
	}
	if l.err == nil && l.left > 0 {
		l.err = protocol.Errorf(kerr.InvalidRecord, "invalid record: %d bytes behind its headers", l.left)
	}
	rec.Offset, rec.Timestamp = h.BaseOffset+protocol.Offset(rec.offsetDelta), h.BaseTimestamp+delta
	if h.Attributes.LogAppendTime() {
		rec.Timestamp = h.MaxTimestamp
	}
	return l.err
}

// longRecord reads the fields of one record. After the first error it reads nothing more.
type longRecord struct {
	*walker
	left int64 // bytes of the record not yet read
}

const nullable = true

func (l *longRecord) fail(field string) {
	if l.err == nil {
		l.err = invalidRecord(field, int(l.left))
	}
}

// ahead is the next bytes of the record, enough for a number.
func (l *longRecord) ahead() []byte {
	if l.err == nil {
		l.err = l.fill(maxVarlong)
	}
	if l.err != nil {
		return nil
	}
	return l.rest[:min(int64(len(l.rest)), l.left)]
}

func (l *longRecord) took(n int, field string) {
	if n == 0 {
		l.fail(field)
		return
	}
	l.rest, l.left = l.rest[n:], l.left-int64(n)
}

func (l *longRecord) varint(field string) int32 {
	v, n := varint(l.ahead())
	l.took(n, field)
	return v
}

func (l *longRecord) varlong(field string) int64 {
	v, n := varlong(l.ahead())
	l.took(n, field)
	return v
}

// sized skips bytes with their length before them, and tells whether they are not null.
func (l *longRecord) sized(field string, null bool) bool {
	size := int64(l.varint(field))
	switch {
	case size >= 0:
		l.skip(size, field)
		return true
	case size < -1 || !null:
		l.fail(field)
	}
	return false
}

func (l *longRecord) skip(n int64, field string) {
	if n > l.left {
		l.fail(field)
	}
	for n > 0 && l.err == nil {
		if l.err = l.fill(1); l.err == nil && len(l.rest) == 0 {
			l.fail(field)
			return
		}
		m := min(n, int64(len(l.rest)))
		l.rest, l.left, n = l.rest[m:], l.left-m, n-m
	}
}
