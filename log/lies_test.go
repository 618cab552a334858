package log

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/vfs"
)

// TestPlainLies: a header that says something else than its plain records is refused, and nothing is appended.
func TestPlainLies(t *testing.T) {
	lie := func(at int, b []byte, n uint32) []byte { binary.BigEndian.PutUint32(b[at:], n); return b }
	const deltaAt, countAt, attributesAt, crcAt, recordsAt = 23, 57, 21, 17, 61
	cases := map[string][]byte{
		"more records":  lie(countAt, lie(deltaAt, records(nowMs(), "a", "b"), 2), 3),
		"fewer records": lie(countAt, lie(deltaAt, records(nowMs(), "a", "b"), 0), 1),
	}
	long := records(nowMs(), "a")
	long[recordsAt] += 2 // the record's length, zig-zag
	cases["a longer record"] = long
	l := openLog(t, openStore(t, vfs.NewMem()), DefaultConfig(), NopObserver{})
	for name, b := range cases {
		binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
		var info AppendInfo
		if err := l.Append(b, AppendOptions{}, &info); !errors.Is(err, kerr.InvalidRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if end := l.LogEndOffset(); end != 0 {
		t.Errorf("the log ends at %d", end)
	}
}
