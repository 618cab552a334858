package timeline

import "iter"

// Map is a map on a timeline. GetAt and AllAt panic for an offset below the lowest mark that is kept.
type Map[K comparable, V any] struct {
	timeline *Timeline
	current  map[K]V
	layers   []layer[K, V] // ascending by mark; of marks that are kept, those after which the map changed
	spare    map[K]old[V]  // an empty one, for the next layer
}

// layer is what was overwritten between a mark and the next one, as it was at the mark.
type layer[K comparable, V any] struct {
	mark int64
	old  map[K]old[V]
}

// old is a value as it was, or that there was none.
type old[V any] struct {
	value   V
	present bool
}

// maxSpare bounds the entries of a layer whose memory is kept for the next one.
const maxSpare = 256

// NewMap returns an empty map, also as of earlier marks.
func NewMap[K comparable, V any](t *Timeline) *Map[K, V] {
	return &Map[K, V]{timeline: t, current: make(map[K]V)}
}

// Get is the current value.
func (m *Map[K, V]) Get(k K) (V, bool) {
	v, ok := m.current[k]
	return v, ok
}

// GetAt is the value as of the last mark at or below offset.
func (m *Map[K, V]) GetAt(offset int64, k K) (V, bool) {
	for _, l := range m.since(offset) {
		if o, ok := l.old[k]; ok {
			return o.value, o.present
		}
	}
	return m.Get(k)
}

// Set changes the current value.
func (m *Map[K, V]) Set(k K, v V) {
	m.keep(k)
	m.current[k] = v
}

// Delete removes k, if it is there.
func (m *Map[K, V]) Delete(k K) {
	if _, ok := m.current[k]; ok {
		m.keep(k)
		delete(m.current, k)
	}
}

// Len is the number of current entries.
func (m *Map[K, V]) Len() int { return len(m.current) }

// All yields the current entries in no order. As with a Go map, the loop may change it.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, v := range m.current {
			if !yield(k, v) {
				return
			}
		}
	}
}

// AllAt yields the entries as of the last mark at or below offset, in no order. The loop must not change the map.
func (m *Map[K, V]) AllAt(offset int64) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		was := overwritten(m.since(offset))
		for k, o := range was {
			if o.present && !yield(k, o.value) {
				return
			}
		}
		for k, v := range m.current {
			if _, changed := was[k]; !changed && !yield(k, v) {
				return
			}
		}
	}
}

// overwritten is what the layers hold together; where several hold a key, the oldest is right.
func overwritten[K comparable, V any](layers []layer[K, V]) map[K]old[V] {
	switch len(layers) {
	case 0:
		return nil
	case 1:
		return layers[0].old
	}
	was := make(map[K]old[V])
	for _, l := range layers {
		for k, o := range l.old {
			if _, ok := was[k]; !ok {
				was[k] = o
			}
		}
	}
	return was
}

// since is the layers of the mark that offset means, and of later ones.
func (m *Map[K, V]) since(offset int64) []layer[K, V] {
	at := m.timeline.at(offset)
	n := 0
	for n < len(m.layers) && m.layers[n].mark < at {
		n++
	}
	return m.layers[n:]
}

// keep notes what k is before it changes, if the newest mark does not know yet.
func (m *Map[K, V]) keep(k K) {
	newest := m.timeline.newest()
	if newest == nil {
		return
	}
	n := len(m.layers)
	if n == 0 || m.layers[n-1].mark != newest.offset {
		m.begin(newest)
		n++
	}
	was := m.layers[n-1].old
	if _, kept := was[k]; !kept {
		v, ok := m.current[k]
		was[k] = old[V]{v, ok}
	}
}

// begin adds the layer of the newest mark.
func (m *Map[K, V]) begin(newest *mark) {
	was := m.spare
	if m.spare = nil; was == nil {
		was = make(map[K]old[V])
	}
	m.layers = append(m.layers, layer[K, V]{mark: newest.offset, old: was})
	newest.touched = append(newest.touched, m)
}

func (m *Map[K, V]) forget() {
	m.recycle(m.layers[0].old)
	n := copy(m.layers, m.layers[1:])
	m.layers[n] = layer[K, V]{}
	m.layers = m.layers[:n]
}

func (m *Map[K, V]) revert() {
	n := len(m.layers) - 1
	was := m.layers[n].old
	for k, o := range was {
		if o.present {
			m.current[k] = o.value
		} else {
			delete(m.current, k)
		}
	}
	m.layers[n] = layer[K, V]{}
	m.layers = m.layers[:n]
	m.recycle(was)
}

// recycle keeps the memory of a layer that is gone, if it is little.
func (m *Map[K, V]) recycle(was map[K]old[V]) {
	if len(was) <= maxSpare {
		clear(was)
		m.spare = was
	}
}
