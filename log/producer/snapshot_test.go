package producer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math"
	"testing"

	"ottla/log/batch"
	"ottla/protocol"
)

func sample() *State {
	s := new(State)
	s.Applied(at(100, data(3, 0, 10)), 1_700_000_000_000)
	open := in(transactional, at(110, data(1, 5, 2)))
	open.ProducerID = 9
	s.Applied(open, 1_700_000_000_001)
	ended := in(transactional|control, at(112, data(2, -1, 1)))
	ended.ProducerID = 8
	s.AppliedMarker(ended, batch.Marker{Type: batch.MarkerCommit, CoordinatorEpoch: 4}, 1_700_000_000_002)
	return s
}

// Kafka's DumpLogSegments prints this very file as producers 7, 8 and 9.
const golden = "0001" + "18b6b8ff" + "00000003" +
	"0000000000000007" + "0003" + "00000009" + "000000000000006d" + "00000009" + "0000018bcfe56800" + "ffffffff" + "ffffffffffffffff" +
	"0000000000000008" + "0002" + "ffffffff" + "ffffffffffffffff" + "00000000" + "0000018bcfe56802" + "00000004" + "ffffffffffffffff" +
	"0000000000000009" + "0001" + "00000006" + "000000000000006f" + "00000001" + "0000018bcfe56801" + "ffffffff" + "000000000000006e"

func TestSnapshotGolden(t *testing.T) {
	if got := hex.EncodeToString(sample().AppendSnapshot(nil)); got != golden {
		t.Fatalf("snapshot is\n%s\nwant\n%s", got, golden)
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	raw := sample().AppendSnapshot([]byte("before"))
	raw = raw[len("before"):]
	var s State
	if err := s.Load(raw); err != nil {
		t.Fatal(err)
	}
	if again := s.AppendSnapshot(nil); !bytes.Equal(again, raw) {
		t.Fatalf("%x became %x", raw, again)
	}
	if v, e, err := s.Check(data(3, 0, 10)); v != Duplicate || e.FirstOffset() != 100 || err != nil {
		t.Fatalf("the last batch is forgotten: %d %+v %v", v, e, err)
	}
	var empty State
	if err := s.Load(empty.AppendSnapshot(nil)); err != nil || s.Len() != 0 {
		t.Fatalf("empty snapshot: %d producers, error %v", s.Len(), err)
	}
}

func TestLoadRejects(t *testing.T) {
	good := sample().AppendSnapshot(nil)
	patched := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		be.PutUint32(c[snapshotCRCAt:], crc32.Checksum(c[snapshotBodyAt:], castagnoli))
		return c
	}
	second := snapshotHeader + snapshotEntry
	for name, b := range map[string][]byte{
		"nothing":             nil,
		"half a header":       good[:7],
		"cut off":             good[:len(good)-1],
		"version 0":           patched(0, 0, 0),
		"version 2":           patched(0, 0, 2),
		"negative count":      patched(6, 0xff, 0xff, 0xff, 0xff),
		"huge count":          patched(6, 0x7f, 0xff, 0xff, 0xff),
		"bytes left":          patched(6, 0, 0, 0, 2),
		"same producer twice": patched(second, 0, 0, 0, 0, 0, 0, 0, 7),
		"negative producer":   patched(second, 0xff),
		"negative delta":      patched(snapshotHeader+22, 0xff),
		"delta past offset":   patched(snapshotHeader+22, 0, 0, 1, 0),
		"offset below -1":     patched(snapshotHeader+14, 0x80),
	} {
		s := sample()
		if err := s.Load(b); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: error %v", name, err)
		}
		if !bytes.Equal(s.AppendSnapshot(nil), good) {
			t.Errorf("%s: the state has changed", name)
		}
	}
	for at := range good {
		b := bytes.Clone(good)
		b[at] ^= 1
		if err := new(State).Load(b); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("byte %d flipped: error %v", at, err)
		}
	}
}

// Load takes any bytes; what it accepts it writes again, and lives with.
func FuzzLoad(f *testing.F) {
	f.Add(sample().AppendSnapshot(nil))
	f.Add(new(State).AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= snapshotHeader { // let it come past the CRC
			be.PutUint32(b[snapshotCRCAt:], crc32.Checksum(b[snapshotBodyAt:], castagnoli))
		}
		var s State
		if err := s.Load(b); err != nil {
			if s.Len() != 0 {
				t.Fatal("a failed load has left something")
			}
			return
		}
		var again State
		if err := again.Load(s.AppendSnapshot(nil)); err != nil || again.Len() != s.Len() {
			t.Fatalf("what was loaded cannot be loaded again: %v", err)
		}
		h := data(0, 0, 1)
		_, _, _ = s.Check(h)
		s.Applied(h, 0)
		s.Truncate(protocol.Offset(math.MaxInt64))
		s.Expire(math.MaxInt64, 1)
	})
}
