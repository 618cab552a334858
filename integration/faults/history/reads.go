package history

// Reads judges the readers: each goes through a partition without a step back and without a gap. Logs of these histories are not compacted and have no transactions.
func Reads(h *History) Verdict {
	v := Verdict{Judge: "reads"}
	for _, s := range h.sessions() {
		next := map[int32]int64{}
		for _, r := range s.Reads {
			want, begun := next[r.Partition]
			switch {
			case begun && r.Offset < want:
				v.object("nonmonotone", "%s met %s after offset %d", s.Name, r.place(), want-1)
			case begun && r.Offset > want:
				v.object("skip", "%s met %s after offset %d", s.Name, r.place(), want-1)
			}
			next[r.Partition] = r.Offset + 1
		}
	}
	last := map[int32]int64{}
	for _, r := range h.Final.Reads {
		last[r.Partition] = r.Offset + 1
	}
	for p, end := range h.Ends {
		if last[p] != end {
			v.object("skip", "the final read of partition %d stopped before offset %d, the log ends at %d", p, last[p], end)
		}
	}
	return v
}
