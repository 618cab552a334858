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

// TestBombsShareABuffer: who has the turn inflates into the buffer of the one before.
func TestBombsShareABuffer(t *testing.T) {
	raw := withZstdWindow(t, appendRecord(nil, 0, 0, []byte("k"), make([]byte, 16<<20), nil))
	spent := allocated(func() {
		if _, _, err := Find(raw, func(*Record) bool { return false }, 32<<20); err != nil {
			t.Fatal(err)
		}
	})
	if spent > 4<<20 {
		t.Errorf("the second bomb cost %d bytes", spent)
	}
}
