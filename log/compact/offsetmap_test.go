package compact

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"ottla/protocol"
)

func TestOffsetMapIsAMap(t *testing.T) {
	for _, budget := range []int64{0, 10_000, 200_000, 128 << 20} {
		rng := rand.New(rand.NewPCG(uint64(budget), 1))
		m, want := NewOffsetMap(budget), map[string]protocol.Offset{}
		for o := range protocol.Offset(30_000) {
			key := string(binary.AppendUvarint(nil, rng.Uint64N(20_000)))
			_, known := want[key]
			if !m.Put([]byte(key), o) {
				if known || budget == 128<<20 {
					t.Fatalf("budget %d: a key that needs no room is refused", budget)
				}
				continue
			}
			want[key] = o
		}
		if m.Len() != len(want) || m.Len() == 0 || m.Bytes() > max(budget, 4*firstSlots*entryBytes) {
			t.Fatalf("budget %d: %d keys, %d bytes; want %d keys", budget, m.Len(), m.Bytes(), len(want))
		}
		for v := range uint64(20_000) {
			key := binary.AppendUvarint(nil, v)
			last, ok := want[string(key)]
			if !ok {
				last = protocol.NoOffset
			}
			if got := m.Last(key); got != last {
				t.Fatalf("budget %d: key %d is at %d, want %d", budget, v, got, last)
			}
		}
	}
}

func TestOffsetMapTakesWhatItNeeds(t *testing.T) {
	m := NewOffsetMap(128 << 20)
	for o := range protocol.Offset(100_000) {
		m.Put(binary.AppendUvarint(nil, uint64(o%1000)), o)
	}
	if m.Bytes() > 64*1024 {
		t.Errorf("1000 keys take %d bytes", m.Bytes())
	}
}
