package protocol

import "testing"

// The hashes are those of Java's String.hashCode.
func TestShard(t *testing.T) {
	for _, c := range []struct {
		key        string
		partitions int
		want       int32
	}{
		{"", 50, 0},
		{"a", 50, 97 % 50},
		{"hello", 50, 99162322 % 50},
		{"polygenelubricants", 50, 0}, // hashes to -2^31
		{"console-consumer-1", 1, 0},
		{"grüße", 1000, 98768023 % 1000},
		{"\U0001f600", 50, 1772899 % 50}, // two code units: d83d, de00
	} {
		if got := Shard(c.key, c.partitions); got != c.want {
			t.Errorf("Shard(%q, %d) = %d, want %d", c.key, c.partitions, got, c.want)
		}
	}
}
