package history

// Log judges what the log holds: one value per offset for everybody, every promised record where it was acknowledged to be, no record twice, none that was refused and none
// that nobody sent.
func Log(h *History) Verdict {
	v := Verdict{Judge: "log"}
	for _, s := range h.Strange {
		v.object("strange", "%s", s)
	}
	ops := h.byID(&v)
	held := h.holders(&v)
	at := map[ID]place{}
	for _, r := range h.Final.Reads {
		if before, twice := at[r.ID]; twice {
			v.object("doubled", "record %s at %s and at offset %d", r.ID, before, r.Offset)
		}
		at[r.ID] = r.place()
		if op, sent := ops[r.ID]; !sent {
			v.object("phantom", "record %s at %s was never sent", r.ID, r.place())
		} else if op.Outcome == Fail {
			v.object("refused", "record %s at %s was refused", r.ID, r.place())
		}
	}
	for i := range h.Ops {
		h.judgeAck(&v, &h.Ops[i], at, held)
	}
	return v
}

func (h *History) byID(v *Verdict) map[ID]*Op {
	ops := make(map[ID]*Op, len(h.Ops))
	for i := range h.Ops {
		if ops[h.Ops[i].ID] != nil {
			v.object("history", "record %s was sent twice by the load itself", h.Ops[i].ID)
		}
		ops[h.Ops[i].ID] = &h.Ops[i]
	}
	return ops
}

// holders is which record was met at each place, by any reader.
func (h *History) holders(v *Verdict) map[place]ID {
	held := map[place]ID{}
	for _, s := range h.sessions() {
		for _, r := range s.Reads {
			if other, met := held[r.place()]; met && other != r.ID {
				v.object("inconsistent-offset", "%s was %s, and is %s for %s", r.place(), other, r.ID, s.Name)
			}
			held[r.place()] = r.ID
		}
	}
	for _, s := range h.Sessions {
		for _, r := range s.Reads {
			if r.Offset >= h.Ends[r.Partition] {
				v.object("unread", "%s was read by %s, and the log ends at %d", r.place(), s.Name, h.Ends[r.Partition])
			}
		}
	}
	return held
}

// judgeAck holds an acknowledgement against what was read at the end.
func (h *History) judgeAck(v *Verdict, op *Op, at map[ID]place, held map[place]ID) {
	if op.Outcome != OK || !op.Promised {
		return
	}
	where, there := at[op.ID]
	switch told := (place{op.Partition, op.Offset}); {
	case !there && op.Offset != NoOffset && held[told] != op.ID && told.offset < h.Ends[op.Partition]:
		v.object("lost", "record %s was acknowledged at %s, which holds %s", op.ID, told, held[told])
	case !there:
		v.object("lost", "record %s was acknowledged at %s; the log ends at %d", op.ID, told, h.Ends[op.Partition])
	case op.Offset != NoOffset && where != told:
		v.object("misplaced", "record %s was acknowledged at %s and is at %s", op.ID, told, where)
	}
}
