package checkpoint

import (
	"errors"
	"reflect"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

// TestBoot: what was written is read; every flipped bit and every cut is noticed, so that no directory is believed to be of this run of the machine that is not.
func TestBoot(t *testing.T) {
	for _, b := range []Boot{{ID: "8f8a5cd8-3c0f-4a51-8ca1-6e4c2b0b2a6e"}, {ID: "x", Suspects: []protocol.TopicPartition{{Topic: "a-b", Partition: 3}, {Topic: "c"}}}} {
		data := appendBoot(b)
		if got, err := parseBoot(data); err != nil || !reflect.DeepEqual(got, b) {
			t.Fatalf("%+v: %+v, %v", b, got, err)
		}
		for i := range len(data) * 8 {
			bad := append([]byte{}, data...)
			bad[i/8] ^= 1 << (i % 8)
			if got, err := parseBoot(bad); !errors.Is(err, ErrMalformed) {
				t.Fatalf("bit %d: %+v, %v", i, got, err)
			}
		}
		for n := range data {
			if got, err := parseBoot(data[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("cut at %d: %+v, %v", n, got, err)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	if err := mem.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]Damage{nil, {{0, 3, 5, 100, 200}, {10, 12, 13, 0, 7}}, nil} {
		if err := WriteDamage(mem, "d", want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadDamage(mem.CrashClone(nil, 0), "d"); len(want) > 0 && (err != nil || !reflect.DeepEqual(got, want)) || len(got) != len(want) {
			t.Fatalf("%v: %v, %v", want, got, err)
		}
	}
}
