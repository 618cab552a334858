package compact

import (
	"math"

	"ottla/log/segment"
	"ottla/protocol"
)

// maxMembers bounds the files that are open while a group is swapped: three of each segment.
const maxMembers = 64

// Groups cuts a row of neighbouring segments, the last of which ends before end, into rows that together are at most maxBytes large and whose offsets one segment can address: each
// row becomes one segment, so that what cleanings have made small does not stay many. alone says that a segment may not be joined with others.
func Groups(segs []*segment.Segment, end protocol.Offset, maxBytes int64, alone func(*segment.Segment) (bool, error)) ([][]*segment.Segment, error) {
	var out [][]*segment.Segment
	var size int64
	single := true // the last group takes no more
	for i, s := range segs {
		next := end
		if i+1 < len(segs) {
			next = segs[i+1].Base()
		}
		only, err := alone(s)
		if err != nil {
			return nil, err
		}
		n := len(out) - 1
		if !only && !single && size+s.Size() <= maxBytes && next-1-out[n][0].Base() <= math.MaxInt32 && len(out[n]) < maxMembers {
			out[n] = append(out[n], s)
			size += s.Size()
			continue
		}
		out = append(out, []*segment.Segment{s})
		size, single = s.Size(), only
	}
	return out, nil
}
