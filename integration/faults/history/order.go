package history

import (
	"cmp"
	"slices"
)

// Order judges whether offsets follow real time: on one partition, a record that was acknowledged before another was sent has the smaller offset. Times of a history come from
// one clock.
func Order(h *History) Verdict {
	v := Verdict{Judge: "order"}
	byPartition := map[int32][]*Op{}
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Outcome == OK && op.Promised && op.Offset != NoOffset {
			byPartition[op.Partition] = append(byPartition[op.Partition], op)
		}
	}
	for _, ops := range byPartition {
		orderOf(&v, ops)
	}
	return v
}

// orderOf walks acknowledgements and invocations in the order of time, and remembers the largest offset that was acknowledged so far.
func orderOf(v *Verdict, ops []*Op) {
	acked := slices.Clone(ops)
	slices.SortFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Invoke, b.Invoke) })
	slices.SortFunc(acked, func(a, b *Op) int { return cmp.Compare(a.Done, b.Done) })
	var last *Op // acknowledged, with the largest offset
	next := 0
	for _, op := range ops {
		for ; next < len(acked) && acked[next].Done < op.Invoke; next++ {
			if last == nil || acked[next].Offset > last.Offset {
				last = acked[next]
			}
		}
		if last != nil && last.Offset >= op.Offset {
			v.object("order", "record %s at partition %d offset %d was sent after %s at offset %d had been acknowledged", op.ID, op.Partition, op.Offset, last.ID, last.Offset)
		}
	}
}
