package runtime

import (
	"time"

	"ottla/protocol"
)

// parked is an operation that was appended and waits for the high watermark to reach at, the end of its batch. What loading found above the high watermark waits as
// well, without anybody to answer.
type parked struct {
	at      protocol.Offset
	effects Effects
	since   time.Time // of its decision
	own     bool      // nobody asked for it: not counted as an operation
}

// lineup is parked operations in the order of their offsets.
type lineup struct {
	all  []parked
	head int
}

func (l *lineup) empty() bool { return l.head == len(l.all) }

func (l *lineup) first() *parked { return &l.all[l.head] }

func (l *lineup) push(p parked) {
	if l.head > len(l.all)/2 && len(l.all) == cap(l.all) {
		n := copy(l.all, l.all[l.head:])
		clear(l.all[n:])
		l.all, l.head = l.all[:n], 0
	}
	l.all = append(l.all, p)
}

func (l *lineup) pop() parked {
	p := l.all[l.head]
	l.all[l.head] = parked{}
	if l.head++; l.empty() {
		l.all, l.head = l.all[:0], 0
	}
	return p
}
