package server

import (
	"math/bits"
	"sync"
)

const (
	smallBuffer = 4 << 10   // what a reply, or the reader of a quiet connection, begins with
	largeBuffer = 256 << 10 // the slab of a busy connection: what one read can drain
)

// buffer is a pooled run of bytes; the pointer travels with it so that neither taking nor giving back allocates.
type buffer struct{ b []byte }

// Size classes: from 4 KiB on, four to each power of two, so that a buffer is at most a quarter larger than what it was asked for.
//
//	class    0     1     2     3     4     5 ...
//	size  4 KiB 5 KiB 6 KiB 7 KiB 8 KiB 10 KiB ...
const (
	classShift   = 12
	classesCount = 4*(31-classShift) + 1 // the last one is 2 GiB: any frame has a class
)

var pools [classesCount]sync.Pool

// classSize is the bytes of a class.
func classSize(class int) int { return (4 + class%4) << (classShift - 2 + class/4) }

// classFor is the smallest class that holds n bytes.
func classFor(n int) int {
	if n <= smallBuffer {
		return 0
	}
	c := classOf(n)
	if classSize(c) < n {
		c++
	}
	return c
}

// classOf is the largest class not larger than n, which is at least smallBuffer.
func classOf(n int) int {
	exp := bits.Len(uint(n)) - 1
	return 4*(exp-classShift) + n>>(exp-2)&3
}

// takeBuffer returns a buffer of at least n bytes, whose length is that of its class. Its content is left over from others.
func takeBuffer(n int) *buffer {
	c := classFor(n)
	if b, ok := pools[c].Get().(*buffer); ok {
		b.b = b.b[:cap(b.b)]
		return b
	}
	return &buffer{b: make([]byte, classSize(c))}
}

// put gives the buffer back; it must not be used any more. One that grew meanwhile goes to the class that it has reached.
func (b *buffer) put() {
	if n := cap(b.b); n >= smallBuffer {
		pools[min(classOf(n), classesCount-1)].Put(b)
	}
}
