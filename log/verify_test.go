package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// disk is the content of all files.
func disk(t testing.TB, mem *vfs.Mem, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := mem.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			out[name] = "folder"
			for k, v := range disk(t, mem, name) {
				out[k] = v
			}
			continue
		}
		out[name] = string(bytesOf(t, mem, name))
	}
	return out
}

// verified is the worst of what Verify finds, as "severity file".
func verified(t testing.TB, mem *vfs.Mem, dir string) (*Verification, []string) {
	t.Helper()
	before := disk(t, mem, ".")
	v, err := Verify(mem, dir)
	if err != nil {
		t.Fatal(err)
	}
	after := disk(t, mem, ".")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Fatal("verify has changed something")
	}
	var out []string
	for _, f := range v.All() {
		out = append(out, string(f.Severity)+" "+path.Base(f.File))
	}
	slices.Sort(out)
	return v, slices.Compact(out)
}

// TestVerify: what a clean stop, a kill and every kind of damage look like, from the data folder and from the partition's.
func TestVerify(t *testing.T) {
	c := indexed()
	c.SegmentBytes = 8000
	killed, _ := filled(t, 300, c, 280)
	clean := killed.CrashClone(nil, 1)
	s := openStore(t, clean)
	if end := openLog(t, s, c, NopObserver{}).LogEndOffset(); end != 300 {
		t.Fatal(end)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	newest := "d/t-0/" + segment.Name(lastBase(t, clean), segment.LogSuffix)
	edit := func(name string, f func(b []byte) []byte) func(*vfs.Mem) error {
		return func(mem *vfs.Mem) error { return writeFile(mem, name, f(bytesOf(t, mem, name))) }
	}
	flip := func(name string, at int) func(*vfs.Mem) error {
		return edit(name, func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b })
	}
	for _, test := range []struct {
		name   string
		from   *vfs.Mem
		change func(*vfs.Mem) error
		want   string // findings besides notes and what is rebuilt after a kill
	}{
		{"clean", clean, nil, ""},
		{"killed", killed, nil, ""},
		{"old record", clean, flip(segmentZero, 500), "damage " + path.Base(segmentZero)},
		{"old record, killed", killed, flip(segmentZero, 500), "damage " + path.Base(segmentZero)},
		{"newest record, clean", clean, flip(newest, -1), "damage " + path.Base(newest)},
		{"newest record, killed", killed, flip(newest, -1), "tail " + path.Base(newest)},
		{"torn", killed, edit(newest, func(b []byte) []byte { return append(b, b[:30]...) }), "tail " + path.Base(newest)},
		{"index", clean, flip("d/t-0/"+segment.Name(0, segment.IndexSuffix), 20), "rebuilt " + segment.Name(0, segment.IndexSuffix)},
		{"time index", clean, flip("d/t-0/"+segment.Name(0, segment.TimeIndexSuffix), 20), "rebuilt " + segment.Name(0, segment.TimeIndexSuffix)},
		{"snapshot", clean, flip("d/t-0/"+segment.Name(300, segment.SnapshotSuffix), 3), "rebuilt " + segment.Name(300, segment.SnapshotSuffix)},
		{"epochs", clean, edit("d/t-0/"+checkpoint.EpochsName, func(b []byte) []byte { return []byte("0\n1\n0 0\n") }), "rebuilt " + checkpoint.EpochsName},
		{"segment missing", clean, func(mem *vfs.Mem) error { return mem.Remove(newest) }, "damage t-0, rebuilt " + segment.Name(300, segment.SnapshotSuffix)},
		{"folder missing", clean, func(mem *vfs.Mem) error { return mem.RemoveAll("d/t-0") }, "damage t-0"},
		{"manifest", clean, flip("d/ottla.folders", 30), "tail ottla.folders"},
		{"recovery points", clean, edit("d/"+checkpoint.RecoveryPoints, func([]byte) []byte { return []byte("x") }), "damage " + checkpoint.RecoveryPoints},
	} {
		mem := test.from.CrashClone(nil, 1)
		if test.change != nil {
			if err := test.change(mem); err != nil {
				t.Fatal(err)
			}
		}
		for _, dir := range []string{"d", "d/t-0"} {
			if test.name == "folder missing" && dir != "d" {
				continue
			}
			v, found := verified(t, mem, dir)
			found = slices.DeleteFunc(found, func(f string) bool {
				return strings.HasPrefix(f, "note") || test.from == killed && strings.HasPrefix(f, "rebuilt")
			})
			if got := strings.Join(found, ", "); got != test.want {
				t.Errorf("%s, %s: %q, want %q", test.name, dir, got, test.want)
			}
			if (v.Damaged() > 0) != strings.HasPrefix(test.want, "damage") {
				t.Errorf("%s, %s: %d damaged", test.name, dir, v.Damaged())
			}
		}
	}
}

// TestVerifyAgreesWithAStart: after any crash a start keeps what Verify says.
func TestVerifyAgreesWithAStart(t *testing.T) {
	mem, _ := filled(t, 120, indexed(), 100)
	whole := bytesOf(t, mem, segmentZero)
	for at := len(whole) * 7 / 10; at < len(whole); at += 5 {
		for _, cut := range []bool{true, false} {
			crashed := mem.CrashClone(nil, 1)
			b := slices.Clone(whole)
			if b[at] ^= 0x10; cut {
				b = whole[:at]
			}
			replaceBytes(t, crashed, segmentZero, b)
			v, _ := verified(t, crashed, "d")
			l := openLog(t, openStore(t, crashed), indexed(), NopObserver{})
			end := l.LogEndOffset()
			if offline := l.Err() != nil; offline != (v.Damaged() > 0) || !offline && end != v.Partitions[0].End {
				t.Fatalf("byte %d, cut %v: ends at %d, %v; verify says %d: %+v", at, cut, end, l.Err(), v.Partitions[0].End, v.All())
			}
		}
	}
}

func TestVerifyIsKeptOut(t *testing.T) {
	mem := vfs.NewMem()
	openStore(t, mem)
	if _, err := Verify(mem, "d"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("got %v", err)
	}
	if _, err := Verify(mem, "elsewhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func lastBase(t testing.TB, mem *vfs.Mem) (base protocol.Offset) {
	t.Helper()
	entries, err := mem.ReadDir("d/t-0")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if o, suffix, ok := segment.ParseName(e.Name()); ok && suffix == segment.LogSuffix {
			base = max(base, o)
		}
	}
	return base
}
