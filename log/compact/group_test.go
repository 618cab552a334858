package compact

import (
	"fmt"
	"testing"

	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

func TestGroups(t *testing.T) {
	files := segment.NewFiles(vfs.NewMem(), 1)
	row := func(sizes map[protocol.Offset]int64, bases ...protocol.Offset) (out []*segment.Segment) {
		for _, b := range bases {
			out = append(out, segment.Found(files, "p", b, sizes[b], 0))
		}
		return out
	}
	alone := func(s *segment.Segment) (bool, error) { return s.Base() == 30, nil }
	for want, segs := range map[string][]*segment.Segment{
		"[0 10] [20]":           row(map[protocol.Offset]int64{0: 60, 10: 40, 20: 1}, 0, 10, 20),
		"[0] [10] [20]":         row(map[protocol.Offset]int64{0: 150, 10: 90, 20: 20}, 0, 10, 20),
		"[20] [30] [40 50]":     row(nil, 20, 30, 40, 50),
		"[0] [3000000000]":      row(nil, 0, 3_000_000_000),
		"[0] [10] [2147483700]": row(nil, 0, 10, 2_147_483_700), // 10 may hold records up to the next
	} {
		groups, err := Groups(segs, segs[len(segs)-1].Base()+10, 100, alone)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, g := range groups {
			var bases []protocol.Offset
			for _, s := range g {
				bases = append(bases, s.Base())
			}
			if i > 0 {
				got += " "
			}
			got += fmt.Sprint(bases)
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
