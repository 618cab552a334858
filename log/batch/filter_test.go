package batch

import (
	"bytes"
	"fmt"
	"testing"
)

func keyed(codec Codec) []byte {
	b := NewBuilder()
	b.BaseOffset, b.LeaderEpoch, b.Codec = 100, 7, codec
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 9, 1, 40
	b.Add(1000, []byte("a"), []byte("1"), RecordHeader{Key: "h", Value: []byte("x")})
	b.Add(5000, []byte("b"), []byte("2"))
	b.Add(2000, []byte("a"), nil)
	b.Add(3000, []byte("c"), []byte("4"))
	return b.Build(nil)
}

// listed is every record of the batch b with offset, time, key and value.
func listed(t *testing.T, b []byte) (Header, string) {
	t.Helper()
	if !CheckCRC(b) {
		t.Fatal("CRC is wrong")
	}
	r, err := NewReader(b, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rec Record
	var out string
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return *r.Header(), out
		}
		out += fmt.Sprintf("%d@%d %s=%q/%d ", rec.Offset, rec.Timestamp, rec.Key, rec.Value, rec.Headers.Len())
	}
}

func TestFilterKeepsOffsetsAndTimes(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		in := keyed(codec)
		same, f, err := Filter([]byte("x"), in, FilterOptions{MaxDecompressed: 1 << 20}, func(*Record) Verdict { return Keep })
		if err != nil || f.Changed || !bytes.Equal(same[1:], in) {
			t.Fatalf("%v: a batch that loses nothing changed: %+v, %v", codec, f, err)
		}
		out, f, err := Filter(nil, in, FilterOptions{MaxDecompressed: 1 << 20}, func(r *Record) Verdict {
			if r.Offset == 101 || r.Offset == 100 {
				return Drop
			}
			return Keep
		})
		h, got := listed(t, out)
		if want := `102@2000 a=""/0 103@3000 c="4"/0 `; err != nil || got != want || !f.Changed || f.Kept != 2 || f.Dropped != 2 {
			t.Fatalf("%v: %s, %+v, %v; want %s", codec, got, f, err, want)
		}
		if h.BaseOffset != 100 || h.LastOffset() != 103 || h.MaxTimestamp != 3000 || h.LeaderEpoch != 7 || h.ProducerID != 9 || h.LastSequence() != 43 || h.Attributes.Codec() != codec {
			t.Fatalf("%v: %+v", codec, h)
		}
	}
}

func TestFilterSetsTheHorizonOnce(t *testing.T) {
	bury := func(r *Record) Verdict {
		if r.Value == nil {
			return Bury
		}
		return Keep
	}
	in := keyed(Gzip)
	_, want := listed(t, in)
	out, f, err := Filter(nil, in, FilterOptions{Horizon: 1 << 41, MaxDecompressed: 1 << 20}, bury)
	h, got := listed(t, out)
	if err != nil || got != want || !f.Changed || !h.Attributes.DeleteHorizon() || h.BaseTimestamp != 1<<41 || h.MaxTimestamp != 5000 {
		t.Fatalf("%s, %+v, %v; want %s", got, h, err, want)
	}
	again, f, err := Filter(nil, out, FilterOptions{Horizon: 1 << 42, MaxDecompressed: 1 << 20}, bury)
	if err != nil || f.Changed || !bytes.Equal(again, out) {
		t.Fatalf("the horizon moved: %+v, %v", f, err)
	}
}

func TestFilterOfAllRecords(t *testing.T) {
	drop := func(*Record) Verdict { return Drop }
	in := keyed(LZ4)
	if out, f, err := Filter(nil, in, FilterOptions{MaxDecompressed: 1 << 20}, drop); err != nil || len(out) > 0 || !f.Changed || f.Dropped != 4 {
		t.Fatalf("%d bytes, %+v, %v", len(out), f, err)
	}
	out, _, err := Filter(nil, in, FilterOptions{KeepEmpty: true, MaxDecompressed: 1 << 20}, drop)
	h, got := listed(t, out)
	if err != nil || got != "" || len(out) != HeaderSize || h.LastOffset() != 103 || h.LastSequence() != 43 || h.Count != 0 || h.Attributes.Codec() != None {
		t.Fatalf("%q, %+v, %v", got, h, err)
	}
	again, f, err := Filter(nil, out, FilterOptions{KeepEmpty: true, MaxDecompressed: 1 << 20}, drop)
	if err != nil || f.Changed || !bytes.Equal(again, out) {
		t.Fatalf("an empty batch changed: %+v, %v", f, err)
	}
}

func TestFilterIsBounded(t *testing.T) {
	b := NewBuilder()
	b.Codec = Gzip
	b.Add(0, []byte("k"), make([]byte, 1<<20))
	if _, _, err := Filter(nil, b.Build(nil), FilterOptions{MaxDecompressed: 1 << 16}, func(*Record) Verdict { return Keep }); err == nil {
		t.Fatal("a batch beyond the limit was filtered")
	}
}

func FuzzFilter(f *testing.F) {
	for codec := None; codec <= Zstd; codec++ {
		f.Add(keyed(codec), uint8(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, mask uint8) {
		out, did, err := Filter(nil, b, FilterOptions{Horizon: 77, KeepEmpty: mask&1 == 0, MaxDecompressed: 1 << 16}, func(r *Record) Verdict {
			return Verdict((int64(mask) >> (r.Offset & 7)) & 1 * int64(1+r.Offset&1))
		})
		if err != nil || len(out) == 0 {
			return
		}
		var before, after Header
		if ParseHeader(b, &before) != nil || ParseHeader(out, &after) != nil || after.Count != did.Kept {
			t.Fatalf("%+v became %+v", before, after)
		}
		if after.BaseOffset != before.BaseOffset || after.LastOffset() != before.LastOffset() || after.ProducerID != before.ProducerID || did.Changed && !CheckCRC(out) {
			t.Fatalf("%+v became %+v", before, after)
		}
		var r Reader
		if err := r.Reset(out, 1<<16); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for rec := (Record{}); ; {
			if ok, err := r.Next(&rec); err != nil {
				t.Fatal(err)
			} else if !ok {
				return
			}
		}
	})
}
