package raftlog

import "sort"

// terms tells the term of every index that the log has, as the few places where it changes.
type terms struct {
	starts []termStart // rising in both; the first is that of the index before FirstIndex
}

type termStart struct{ index, term uint64 }

// add says that index, one past those known, has the given term.
func (t *terms) add(index, term uint64) {
	if n := len(t.starts); n == 0 || t.starts[n-1].term != term {
		t.starts = append(t.starts, termStart{index, term})
	}
}

// at is the term of an index from the first one known on.
func (t *terms) at(index uint64) uint64 {
	n := sort.Search(len(t.starts), func(n int) bool { return t.starts[n].index > index })
	return t.starts[n-1].term
}

// cut forgets index and what follows.
func (t *terms) cut(index uint64) {
	n := sort.Search(len(t.starts), func(n int) bool { return t.starts[n].index >= index })
	t.starts = t.starts[:n]
}

// compact forgets what lies before index.
func (t *terms) compact(index uint64) {
	n := sort.Search(len(t.starts), func(n int) bool { return t.starts[n].index > index })
	t.starts = append([]termStart{{index, t.starts[n-1].term}}, t.starts[n:]...)
}
