//go:build !race

// The race detector drops what is pooled, at random.

package batch

import "testing"

func TestReaderIsReusable(t *testing.T) {
	var r Reader
	raws := [][]byte{plain(t), encodedBy(t, LZ4), encodedBy(t, Snappy)}
	var rec Record
	n := testing.AllocsPerRun(50, func() {
		for _, raw := range raws {
			if err := r.Reset(raw, 1<<20); err != nil {
				t.Fatal(err)
			}
			for ok, err := r.Next(&rec); ok; ok, err = r.Next(&rec) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	r.Close()
	r.Close()
	if n >= 1 {
		t.Fatalf("%v allocations for three batches", n)
	}
}
