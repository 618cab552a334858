package timeline

// Value is one value on a timeline. GetAt panics for an offset below the lowest mark that is kept.
type Value[V any] struct {
	timeline *Timeline
	current  V
	layers   []valueLayer[V] // ascending by mark
}

// valueLayer is what the value was at a mark after which it changed.
type valueLayer[V any] struct {
	mark int64
	old  V
}

// NewValue returns a value that is initial, also as of earlier marks.
func NewValue[V any](t *Timeline, initial V) *Value[V] {
	return &Value[V]{timeline: t, current: initial}
}

// Get is the current value.
func (v *Value[V]) Get() V { return v.current }

// GetAt is the value as of the last mark at or below offset.
func (v *Value[V]) GetAt(offset int64) V {
	at := v.timeline.at(offset)
	for i := range v.layers {
		if v.layers[i].mark >= at {
			return v.layers[i].old
		}
	}
	return v.current
}

// Set changes the current value.
func (v *Value[V]) Set(to V) {
	newest, n := v.timeline.newest(), len(v.layers)
	if newest != nil && (n == 0 || v.layers[n-1].mark != newest.offset) {
		v.layers = append(v.layers, valueLayer[V]{mark: newest.offset, old: v.current})
		newest.touched = append(newest.touched, v)
	}
	v.current = to
}

func (v *Value[V]) forget() {
	n := copy(v.layers, v.layers[1:])
	v.layers[n] = valueLayer[V]{}
	v.layers = v.layers[:n]
}

func (v *Value[V]) revert() {
	n := len(v.layers) - 1
	v.current = v.layers[n].old
	v.layers[n] = valueLayer[V]{}
	v.layers = v.layers[:n]
}
