package segment

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// filled is a segment with n batches of random sizes and times, synced, and their headers and positions.
func filled(t testing.TB, files *Files, rng *rand.Rand, n int, interval int64) (*Segment, []batch.Header, []int64) {
	t.Helper()
	if err := files.FS().MkdirAll("p"); err != nil {
		t.Fatal(err)
	}
	s, err := Create(files, "p", 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	var headers []batch.Header
	var positions []int64
	b := batch.NewBuilder()
	b.BaseOffset = 100
	for range n {
		b.Reset()
		for range 1 + rng.IntN(4) {
			b.Add(1000+rng.Int64N(100_000), nil, make([]byte, rng.IntN(100)))
		}
		raw := b.Build(nil)
		var h batch.Header
		if err := batch.ParseHeader(raw, &h); err != nil {
			t.Fatal(err)
		}
		positions = append(positions, s.Size())
		headers = append(headers, h)
		if err := s.Write(raw); err != nil {
			t.Fatal(err)
		}
		s.Added(&h, interval)
		b.BaseOffset = h.NextOffset() + protocol.Offset(rng.IntN(2)) // gaps, as compaction leaves
	}
	return s, headers, positions
}

func finish(t testing.TB, s *Segment) {
	t.Helper()
	if err := s.Seal(0); err != nil {
		t.Fatal(err)
	}
	if err := s.SyncIndexes(); err != nil {
		t.Fatal(err)
	}
	h := s.TakeDirty()
	if err := h.SyncData(); err != nil {
		t.Fatal(err)
	}
	h.Release()
}

// asBruteForce compares every answer of the indexes with a walk over the headers.
func asBruteForce(t *testing.T, s *Segment, headers []batch.Header, positions []int64) {
	t.Helper()
	h, err := s.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	last := headers[len(headers)-1].LastOffset()
	i := 0
	for offset := s.Base(); offset <= last+1; offset++ {
		for i < len(headers) && headers[i].LastOffset() < offset {
			i++
		}
		at, ok, err := s.Find(h, offset, 0, s.Size())
		if err != nil || ok != (i < len(headers)) || ok && at != positions[i] {
			t.Fatalf("find %d: %d, %v, %v", offset, at, ok, err)
		}
	}
	if next, err := s.NextOffset(); err != nil || next != last+1 {
		t.Fatalf("next offset %d, %v; want %d", next, err, last+1)
	}
	for ts := int64(900); ts < 102_000; ts += 1009 {
		want := -1
		for i := range headers {
			if headers[i].MaxTimestamp >= ts {
				want = i
				break
			}
		}
		found, ok, err := s.FirstAtOrAfter(ts, s.Base(), 1<<20)
		if err != nil || ok != (want >= 0) {
			t.Fatalf("time %d: %v, %v", ts, ok, err)
		}
		if ok && (found.Offset < headers[want].BaseOffset || found.Offset > headers[want].LastOffset()) {
			t.Fatalf("time %d: offset %d, want one of %d-%d", ts, found.Offset, headers[want].BaseOffset, headers[want].LastOffset())
		}
	}
	for p := int64(0); p < s.Size(); p += 977 {
		at, err := s.FloorPosition(p)
		if err != nil || at.Position > p {
			t.Fatalf("floor of position %d: %+v, %v", p, at, err)
		}
	}
}

func TestIndexesAnswerAsBruteForce(t *testing.T) {
	for _, interval := range []int64{0, 300, 4096} {
		t.Run(fmt.Sprint(interval), func(t *testing.T) {
			mem := vfs.NewMem()
			files := NewFiles(mem, 2)
			s, headers, positions := filled(t, files, rand.New(rand.NewPCG(1, uint64(interval))), 1500, interval)
			asBruteForce(t, s, headers, positions)
			finish(t, s)
			asBruteForce(t, s, headers, positions)
			s.Close()
			found := Found(files, "p", 100, s.Size(), 0)
			asBruteForce(t, found, headers, positions)
			if files.Open() > 2 {
				t.Errorf("%d files are open", files.Open())
			}
		})
	}
}

// TestDamagedIndexes flips bits in index files: answers stay right, because an entry is believed only if its batch bears it out.
func TestDamagedIndexes(t *testing.T) {
	mem := vfs.NewMem()
	files := NewFiles(mem, 8)
	rng := rand.New(rand.NewPCG(2, 2))
	s, headers, positions := filled(t, files, rng, 200, 200)
	finish(t, s)
	s.Close()
	for range 60 {
		name := s.offsets.name
		if rng.IntN(2) == 0 {
			name = s.times.name
		}
		f, err := mem.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		var b [1]byte
		at := rng.Int64N(size)
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		old := b[0]
		b[0] ^= 1 << rng.IntN(8)
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		found := Found(files, "p", 100, s.Size(), 0)
		h, err := found.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		for i := range headers {
			got, ok, err := found.Find(h, headers[i].BaseOffset, 0, s.Size())
			if err != nil || !ok || got != positions[i] {
				t.Fatalf("%s, byte %d: find %d: %d, %v, %v; want %d", name, at, headers[i].BaseOffset, got, ok, err, positions[i])
			}
		}
		h.Release()
		found.Close()
		b[0] = old
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

// TestReadersOutliveTheSegment: what is pinned stays readable when the segment is cut or deleted, and nobody else gets at it.
func TestReadersOutliveTheSegment(t *testing.T) {
	files := NewFiles(vfs.NewMem(), 8)
	s, headers, positions := filled(t, files, rand.New(rand.NewPCG(3, 3)), 50, 200)
	finish(t, s)
	h, err := s.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	cut, err := s.Prefix(positions[10], 200, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, batch.HeaderSize)
	if _, err := h.ReadAt(b, positions[40]); err != nil {
		t.Fatal(err)
	}
	var head batch.Header
	if err := batch.ParseHeader(b, &head); err != nil || head.BaseOffset != headers[40].BaseOffset {
		t.Fatal(head.BaseOffset, err)
	}
	h.Release()
	asBruteForce(t, s, headers, positions) // until it is closed
	s.Close()
	if _, err := s.Acquire(); err != ErrGone {
		t.Fatalf("acquire: %v", err)
	}
	asBruteForce(t, cut, headers[:10], positions[:10])
	if _, err := cut.Delete(); err != nil {
		t.Fatal(err)
	}
	if files.Open() != 0 {
		t.Errorf("%d files are open", files.Open())
	}
}

// TestFilesNeverCloseWhatIsDirty: the bound gives way.
func TestFilesNeverCloseWhatIsDirty(t *testing.T) {
	mem := vfs.NewMem()
	files := NewFiles(mem, 1)
	var all []*Segment
	for base := range protocol.Offset(5) {
		s, err := Create(files, ".", base*10, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	files.CloseIdle()
	files.CloseIdle()
	if files.Open() != 5 {
		t.Fatalf("%d open, 5 are dirty", files.Open())
	}
	for _, s := range all {
		s.TakeDirty().Release()
	}
	files.CloseIdle() // used since the last time
	files.CloseIdle()
	if files.Open() != 0 {
		t.Fatalf("%d open", files.Open())
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]protocol.Offset{"00000000000000000042.log": 42, "09223372036854775807.index": 1<<63 - 1, "42.log": -1, "0000000000000000004x.log": -1, "09223372036854775808.log": -1, "00000000000000000042": -1, "-0000000000000000042.log": -1} {
		base, _, ok := ParseName(name)
		if ok != (want >= 0) || ok && base != want {
			t.Errorf("%s: %d, %v", name, base, ok)
		}
	}
	if n := Name(42, LogSuffix); n != "00000000000000000042.log" {
		t.Error(n)
	}
}
