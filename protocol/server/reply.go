package server

// Source is something pinned that holds bytes; FD is its descriptor for sendfile, false where there is none. ReadAt and FD are valid until Release.
type Source interface {
	ReadAt(p []byte, off int64) (int, error)
	FD() (uintptr, bool)
	Release()
}

// Reply collects the body of a response: one run of bytes, and ranges of pinned sources that stand between them. Large ranges of files are sent by sendfile.
// The server writes the length, the correlation id and the header's empty tag section (SetFlexible) itself.
type Reply struct {
	flexible  bool
	errorCode int16
	buf       *buffer // nil until the first Buf
	ranges    []sourceRange
	rangeSize int // bytes of all ranges
	usual     int // size of the last byte run: what the next buffer starts with
}

// sourceRange stands before the byte at index at of the reply's byte run.
type sourceRange struct {
	at     int
	source Source
	pos    int64
	size   int
}

// Ranges kept by a slot between calls; a longer slice is left to the garbage collector.
const keptRanges = 32

// SetFlexible chooses response header v1: one empty tag section (never for ApiVersions, KIP-511).
func (r *Reply) SetFlexible(flexible bool) { r.flexible = flexible }

// SetError records an error code of the reply for the metrics. The first one that is not 0 counts.
func (r *Reply) SetError(code int16) {
	if r.errorCode == 0 {
		r.errorCode = code
	}
}

// Buf is all bytes appended so far, without the ranges between them. Append with r.SetBuf(append(r.Buf(), …)); what stands at an index of Buf can be patched
// until the reply is done.
func (r *Reply) Buf() []byte {
	if r.buf == nil {
		r.buf = takeBuffer(max(r.usual, smallBuffer))
		r.buf.b = r.buf.b[:0]
	}
	return r.buf.b
}

// SetBuf stores what an append to Buf returned.
func (r *Reply) SetBuf(b []byte) {
	if r.buf == nil {
		r.buf = new(buffer)
	}
	r.buf.b = b
}

// Len is the bytes so far, ranges included.
func (r *Reply) Len() int {
	if r.buf == nil {
		return r.rangeSize
	}
	return len(r.buf.b) + r.rangeSize
}

// memory is the bytes of memory that it holds.
func (r *Reply) memory() int64 {
	if r.buf == nil {
		return 0
	}
	return int64(cap(r.buf.b))
}

// Range adds n bytes of s from pos on. The reply owns s from now on: it is released once the bytes were sent or dropped.
func (r *Reply) Range(s Source, pos int64, n int) {
	if n <= 0 {
		s.Release()
		return
	}
	at := 0
	if r.buf != nil {
		at = len(r.buf.b)
	}
	r.ranges = append(r.ranges, sourceRange{at: at, source: s, pos: pos, size: n})
	r.rangeSize += n
}

// Reset drops what was collected and releases the ranges.
func (r *Reply) Reset() {
	for i := range r.ranges {
		r.ranges[i].source.Release()
	}
	clear(r.ranges)
	r.ranges = r.ranges[:0]
	if cap(r.ranges) > keptRanges {
		r.ranges = nil
	}
	if r.buf != nil {
		r.usual = min(len(r.buf.b), largeBuffer)
		r.buf.put()
		r.buf = nil
	}
	r.flexible, r.errorCode, r.rangeSize = false, 0, 0
}
