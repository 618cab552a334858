package history

// Suffix judges a run in which acknowledged records may be lost, but only from the end of the log: below the log's final end each of them is where it was acknowledged to be.
// lost is how many acknowledged records are past that end. Nothing may have been sent after the loss.
func Suffix(h *History) (v Verdict, lost int) {
	v.Judge = "suffix"
	for _, s := range h.Strange {
		v.object("strange", "%s", s)
	}
	final := make(map[place]ID, len(h.Final.Reads))
	for _, r := range h.Final.Reads {
		final[r.place()] = r.ID
	}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Outcome != OK || op.Offset == NoOffset {
			continue
		}
		told := place{op.Partition, op.Offset}
		if op.Offset >= h.Ends[op.Partition] {
			lost++
		} else if held, there := final[told]; !there || held != op.ID {
			v.object("hole", "record %s was acknowledged at %s, which holds %s; the log ends at %d", op.ID, told, held, h.Ends[op.Partition])
		}
	}
	return v, lost
}
