package timeline

import (
	"strconv"
	"testing"
)

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestMisuseIsNotAnswered(t *testing.T) {
	tl := New()
	m, v := NewMap[string, int](tl), NewValue(tl, 1)
	panics(t, "a read before the first mark", func() { m.GetAt(0, "a") })
	tl.Mark(5)
	tl.Mark(7)
	panics(t, "a mark that does not ascend", func() { tl.Mark(7) })
	panics(t, "going back to what is no mark", func() { tl.Revert(6) })
	tl.Forget(8)
	panics(t, "a read below the lowest mark", func() { v.GetAt(6) })
	panics(t, "going back to a mark that is gone", func() { tl.Revert(5) })
}

func TestLoadingKeepsNoHistory(t *testing.T) {
	tl := New()
	m := NewMap[int, int](tl)
	for i := range 1000 {
		m.Set(i%10, i)
	}
	if len(m.layers) != 0 {
		t.Fatal("a map without marks keeps what is overwritten")
	}
	tl.Mark(1000)
	if v, ok := m.GetAt(1000, 9); v != 999 || !ok {
		t.Fatalf("%d, %t as of the first mark", v, ok)
	}
}

// A map of maps is how a machine keeps a group's members: the inner map may be younger than the mark that is read.
func TestMapsMadeAfterAMarkWereEmptyThen(t *testing.T) {
	tl := New()
	groups := NewMap[string, *Map[string, int]](tl)
	tl.Mark(1)
	members := NewMap[string, int](tl)
	groups.Set("g", members)
	members.Set("a", 1)
	tl.Mark(2)
	members.Set("b", 2)
	groups.Delete("g")
	tl.Mark(3)
	if _, ok := groups.GetAt(1, "g"); ok {
		t.Error("the group is there as of 1")
	}
	g, ok := groups.GetAt(2, "g")
	if !ok {
		t.Fatal("the group is not there as of 2")
	}
	if _, ok := g.GetAt(2, "b"); ok {
		t.Error("member b is there as of 2")
	}
	tl.Revert(1)
	if members.Len() != 0 || groups.Len() != 0 {
		t.Errorf("%d members and %d groups are left", members.Len(), groups.Len())
	}
}

// cycle is what a coordinator does for each batch: a few changes, a mark, and the one before is forgotten.
func cycle(tl *Timeline, m *Map[string, int], v *Value[int], keys []string, offset int64) {
	for i := range 4 {
		m.Set(keys[(int(offset)*4+i)%len(keys)], i)
	}
	v.Set(int(offset))
	tl.Mark(offset)
	tl.Forget(offset - 1)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	tl := New()
	m, v, keys := NewMap[string, int](tl), NewValue(tl, 0), names(100)
	offset := int64(0)
	run := func() { offset++; cycle(tl, m, v, keys, offset) }
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(1000, run); n > 1 {
		t.Errorf("%v allocations a batch", n)
	}
}

func names(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "group-" + strconv.Itoa(i)
	}
	return keys
}

func BenchmarkGoMap(b *testing.B) {
	keys, m := names(100_000), map[string]int{}
	for i := 0; b.Loop(); i++ {
		m[keys[i%len(keys)]] = i
	}
}

func BenchmarkSetLoading(b *testing.B) {
	keys, m := names(100_000), NewMap[string, int](New())
	for i := 0; b.Loop(); i++ {
		m.Set(keys[i%len(keys)], i)
	}
}

func BenchmarkSetAndMark(b *testing.B) {
	tl := New()
	keys, m, v := names(100_000), NewMap[string, int](tl), NewValue(tl, 0)
	b.ReportAllocs()
	for offset := int64(1); b.Loop(); offset++ {
		cycle(tl, m, v, keys, offset)
	}
}

func BenchmarkGetAt(b *testing.B) {
	tl := New()
	keys, m := names(100_000), NewMap[string, int](tl)
	for offset := range int64(4) {
		for i := range keys[:50] {
			m.Set(keys[i], i)
		}
		tl.Mark(offset)
	}
	for i := 0; b.Loop(); i++ {
		m.GetAt(1, keys[i%len(keys)])
	}
}
