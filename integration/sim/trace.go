package sim

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// traceTail is how many of the last lines are kept for the report of a failure.
const traceTail = 60

// trace is everything that happened, as lines. Their hash stands for the whole run; the last ones are kept, and all are written out if somebody watches.
type trace struct {
	hash  uint64
	lines [traceTail][]byte
	count int
	watch io.Writer // nil: nobody
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func newTrace(watch io.Writer) trace { return trace{hash: fnvOffset, watch: watch} }

// say adds a line.
func (t *trace) say(now time.Duration, format string, args ...any) {
	at := t.count % traceTail
	b := fmt.Appendf(t.lines[at][:0], "%12.6f ", now.Seconds())
	b = append(fmt.Appendf(b, format, args...), '\n')
	for _, c := range b {
		t.hash = (t.hash ^ uint64(c)) * fnvPrime
	}
	t.lines[at] = b
	t.count++
	if t.watch != nil {
		_, _ = t.watch.Write(b) // who watches sees what is missing
	}
}

// tail is the last lines.
func (t *trace) tail() string {
	var b strings.Builder
	for n := max(0, t.count-traceTail); n < t.count; n++ {
		b.Write(t.lines[n%traceTail])
	}
	return b.String()
}
