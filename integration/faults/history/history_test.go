package history

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// sound is a history of two partitions that every judge accepts: 100 records each, acknowledged in order, one of them with an unknown outcome, one refused.
func sound() *History {
	h := &History{Ends: map[int32]int64{}}
	reader := Session{Name: "reader"}
	h.Final.Name = "final"
	for i := range int64(200) {
		op := Op{ID: ID{Producer: uint32(i % 2), Seq: uint64(i / 2)}, Partition: int32(i % 2), Outcome: OK, Promised: true, Offset: i / 2, Invoke: 10*i + 1, Done: 10*i + 5}
		if i == 50 {
			op.Outcome, op.Offset = Info, NoOffset
		}
		h.Ops = append(h.Ops, op)
		r := Read{Partition: op.Partition, Offset: i / 2, ID: op.ID}
		if i < 150 {
			reader.Reads = append(reader.Reads, r)
		}
		h.Final.Reads = append(h.Final.Reads, r)
		h.Ends[op.Partition] = i/2 + 1
	}
	h.Ops = append(h.Ops, Op{ID: ID{Producer: 9}, Outcome: Fail, Invoke: 1, Done: 2, Offset: NoOffset})
	h.Sessions = append(h.Sessions, reader)
	return h
}

func TestASoundHistoryPasses(t *testing.T) {
	h := sound()
	suffix, lost := Suffix(h)
	for _, v := range []Verdict{Log(h), Order(h), Reads(h), suffix} {
		if !v.Valid() {
			t.Errorf("%+v", v)
		}
	}
	if c := h.Counts(); lost != 0 || c != (Counts{Sent: 201, Acked: 199, Failed: 1, Unknown: 1, Read: 350}) {
		t.Errorf("%d lost, %+v", lost, c)
	}
}

func suffixOf(h *History) Verdict {
	v, _ := Suffix(h)
	return v
}

// Each line plants what a broken broker could do, and names the judge and the word that must come of it.
func TestJudgesFindWhatIsPlanted(t *testing.T) {
	for name, c := range map[string]struct {
		judge func(*History) Verdict
		kind  string
		plant func(*History)
	}{
		"an acknowledged record is gone": {Log, "lost", func(h *History) { dropFinal(h, 199) }},
		"and its offset given to another": {Log, "lost", func(h *History) {
			h.Ops = append(h.Ops, Op{ID: ID{Producer: 5}, Partition: 1, Outcome: Info, Offset: NoOffset})
			h.Final.Reads[199].ID = ID{Producer: 5}
		}},
		"a record is there twice": {Log, "doubled", func(h *History) {
			h.Final.Reads = append(h.Final.Reads, Read{Partition: 1, Offset: 100, ID: h.Ops[199].ID})
			h.Ends[1]++
		}},
		"an unknown record is there twice": {Log, "doubled", func(h *History) {
			h.Final.Reads = append(h.Final.Reads, Read{Partition: 0, Offset: 100, ID: h.Ops[50].ID})
			h.Ends[0]++
		}},
		"two records have changed places": {Log, "misplaced", func(h *History) {
			a, b := &h.Final.Reads[198], &h.Final.Reads[196]
			a.ID, b.ID = b.ID, a.ID
		}},
		"two readers see different values":  {Log, "inconsistent-offset", func(h *History) { h.Sessions[0].Reads[7].ID.Seq += 40 }},
		"a reader saw what is gone":         {Log, "unread", func(h *History) { h.Ends[0] = 20 }},
		"a record that nobody sent":         {Log, "phantom", func(h *History) { h.Final.Reads[50].ID = ID{Producer: 77} }},
		"a refused record is there":         {Log, "refused", func(h *History) { h.Final.Reads[50].ID = ID{Producer: 9} }},
		"bytes that are no value":           {Log, "strange", func(h *History) { h.Strange = append(h.Strange, "partition 0 offset 3: not a value") }},
		"a later record lies before":        {Order, "order", func(h *History) { h.Ops[120].Offset, h.Ops[130].Offset = h.Ops[130].Offset, h.Ops[120].Offset }},
		"two acknowledgements of one place": {Order, "order", func(h *History) { h.Ops[122].Offset = h.Ops[120].Offset }},
		"a reader steps back":               {Reads, "nonmonotone", func(h *History) { h.Sessions[0].Reads[9].Offset = 2 }},
		"a reader skips":                    {Reads, "skip", func(h *History) { h.Sessions[0].Reads = slices.Delete(h.Sessions[0].Reads, 10, 11) }},
		"the final read ends early":         {Reads, "skip", func(h *History) { h.Final.Reads = h.Final.Reads[:198] }},
		"a hole below the end":              {suffixOf, "hole", func(h *History) { dropFinal(h, 100) }},
		"another record below the end":      {suffixOf, "hole", func(h *History) { h.Final.Reads[100].ID = ID{Producer: 9} }},
	} {
		t.Run(name, func(t *testing.T) {
			h := sound()
			c.plant(h)
			v := c.judge(h)
			if v.Valid() || !slices.ContainsFunc(v.Witnesses, func(w string) bool { return strings.HasPrefix(w, c.kind+":") }) {
				t.Errorf("want %q, got %+v", c.kind, v)
			}
		})
	}
}

func dropFinal(h *History, i int) { h.Final.Reads = slices.Delete(h.Final.Reads, i, i+1) }

// What acks=1 promises ends with the power: such acknowledgements bind nobody.
func TestWhatWasNotPromisedMayBeLost(t *testing.T) {
	h := sound()
	for i := 190; i < 200; i++ {
		h.Ops[i].Promised = false
	}
	h.Final.Reads = h.Final.Reads[:190]
	h.Ends[0], h.Ends[1] = 95, 95
	for _, v := range []Verdict{Log(h), Order(h), Reads(h)} {
		if !v.Valid() {
			t.Errorf("%+v", v)
		}
	}
	if v, lost := Suffix(h); !v.Valid() || lost != 10 {
		t.Errorf("%d lost, %+v", lost, v)
	}
}

func TestManyRecordsAreJudgedAtOnce(t *testing.T) {
	h := &History{Ends: map[int32]int64{}}
	const n, partitions = 200_000, 100
	for i := range int64(n) {
		op := Op{ID: ID{Seq: uint64(i)}, Partition: int32(i % partitions), Outcome: OK, Promised: true, Offset: i / partitions, Invoke: 2 * i, Done: 2*i + 1}
		h.Ops = append(h.Ops, op)
		h.Final.Reads = append(h.Final.Reads, Read{op.Partition, op.Offset, op.ID})
		h.Ends[op.Partition] = op.Offset + 1
	}
	began := time.Now()
	for _, v := range []Verdict{Log(h), Order(h), Reads(h)} {
		if !v.Valid() {
			t.Errorf("%+v", v)
		}
	}
	t.Logf("%d records judged in %v", n, time.Since(began))
}

func TestValuesTellWhereTheyBelong(t *testing.T) {
	v := Value{Run: 7, Topic: "numbers", Partition: 3, ID: ID{Producer: 4, Seq: 500}}
	for _, size := range []int{0, MinValue, 500} {
		b := v.Append(nil, size)
		if id, err := ParseValue(b, 7, "numbers", 3); err != nil || id != v.ID || len(b) != max(size, MinValue) {
			t.Errorf("%d bytes for %d: %v, %v", len(b), size, id, err)
		}
		for i := range b {
			changed := slices.Clone(b)
			changed[i] ^= 1
			if _, err := ParseValue(changed, 7, "numbers", 3); err == nil {
				t.Errorf("byte %d changed, and nobody notices", i)
			}
		}
		for _, err := range []error{second(ParseValue(b, 8, "numbers", 3)), second(ParseValue(b, 7, "other", 3)), second(ParseValue(b, 7, "numbers", 4)), second(ParseValue(b[:MinValue-1], 7, "numbers", 3))} {
			if err == nil {
				t.Error("a value in a wrong place was taken")
			}
		}
	}
}

func second[A any](_ A, err error) error { return err }
