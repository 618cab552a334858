package timeline

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// world is a timeline with everything on it, and the model: whole copies of the state at each mark.
type world struct {
	timeline *Timeline
	maps     [2]*Map[int, int]
	value    *Value[int]
	now      state
	marks    []marked
}

type state struct {
	maps  [2]map[int]int
	value int
}

type marked struct {
	offset int64
	state  state
}

func newWorld() *world {
	t := New()
	return &world{
		timeline: t, maps: [2]*Map[int, int]{NewMap[int, int](t), NewMap[int, int](t)}, value: NewValue(t, 0),
		now: state{maps: [2]map[int]int{{}, {}}},
	}
}

func (s state) clone() state {
	return state{maps: [2]map[int]int{maps.Clone(s.maps[0]), maps.Clone(s.maps[1])}, value: s.value}
}

// step does one random thing to both; choose(n) is a number below n.
func (w *world) step(choose func(n int) int) {
	which, key, value := choose(2), choose(6), choose(100)
	switch choose(10) {
	case 0, 1, 2:
		w.maps[which].Set(key, value)
		w.now.maps[which][key] = value
	case 3, 4:
		w.maps[which].Delete(key)
		delete(w.now.maps[which], key)
	case 5:
		w.value.Set(value)
		w.now.value = value
	case 6, 7:
		offset := int64(value % 3)
		if n := len(w.marks); n > 0 {
			offset += w.marks[n-1].offset + 1
		}
		w.timeline.Mark(offset)
		w.marks = append(w.marks, marked{offset, w.now.clone()})
	case 8:
		if len(w.marks) > 0 {
			n := choose(len(w.marks))
			w.timeline.Forget(w.marks[n].offset + int64(w.gap(n)))
			w.marks = w.marks[n:]
		}
	case 9:
		if len(w.marks) > 0 {
			n := choose(len(w.marks))
			w.timeline.Revert(w.marks[n].offset)
			w.now = w.marks[n].state.clone()
			w.marks = w.marks[:n+1]
		}
	}
}

// gap is how many offsets mean mark n besides its own, at most 2.
func (w *world) gap(n int) int {
	if n == len(w.marks)-1 {
		return 2
	}
	return int(w.marks[n+1].offset-w.marks[n].offset) - 1
}

func (w *world) compare(t *testing.T) {
	t.Helper()
	want := int64(-1)
	if len(w.marks) > 0 {
		want = w.marks[0].offset
	}
	if got := w.timeline.Committed(); got != want {
		t.Fatalf("committed is %d, the model says %d", got, want)
	}
	for i, m := range w.maps {
		if got := maps.Collect(m.All()); !maps.Equal(got, w.now.maps[i]) || m.Len() != len(got) {
			t.Fatalf("map %d is %v of length %d, the model says %v", i, got, m.Len(), w.now.maps[i])
		}
	}
	if got := w.value.Get(); got != w.now.value {
		t.Fatalf("the value is %d, the model says %d", got, w.now.value)
	}
	for n, at := range w.marks {
		for _, offset := range []int64{at.offset, at.offset + int64(w.gap(n))} {
			w.compareAt(t, offset, at.state)
		}
	}
}

func (w *world) compareAt(t *testing.T, offset int64, want state) {
	t.Helper()
	for i, m := range w.maps {
		if got := maps.Collect(m.AllAt(offset)); !maps.Equal(got, want.maps[i]) {
			t.Fatalf("map %d is %v as of %d, the model says %v", i, got, offset, want.maps[i])
		}
		for key := range 6 {
			got, ok := m.GetAt(offset, key)
			if v, present := want.maps[i][key]; got != v || ok != present {
				t.Fatalf("map %d has %d, %t as of %d for %d, the model says %d, %t", i, got, ok, offset, key, v, present)
			}
		}
	}
	if got := w.value.GetAt(offset); got != want.value {
		t.Fatalf("the value is %d as of %d, the model says %d", got, offset, want.value)
	}
}

// historyIsWhatWasOverwritten: no layer outlives its mark, and a layer holds no key twice nor one that did not change.
func (w *world) historyIsWhatWasOverwritten(t *testing.T) {
	t.Helper()
	for _, m := range w.maps {
		if len(m.layers) > len(w.marks) || len(w.marks) > 0 && len(m.layers) > 0 && m.layers[0].mark < w.marks[0].offset {
			t.Fatalf("%d layers from %d on for the marks %v", len(m.layers), m.layers[0].mark, w.marks)
		}
	}
	if len(w.value.layers) > len(w.marks) {
		t.Fatalf("the value has %d layers for %d marks", len(w.value.layers), len(w.marks))
	}
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld()
		for range 400 {
			w.step(r.IntN)
			w.compare(t)
			w.historyIsWhatWasOverwritten(t)
		}
	}
}

func FuzzAgainstModel(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0, 0, 0, 0, 6, 0, 1, 5, 1, 0, 0, 0, 9, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := newWorld()
		choose := func(n int) int {
			if len(steps) == 0 {
				return 0
			}
			b := steps[0]
			steps = steps[1:]
			return int(b) % n
		}
		for len(steps) > 0 {
			w.step(choose)
			w.compare(t)
			w.historyIsWhatWasOverwritten(t)
		}
	})
}
