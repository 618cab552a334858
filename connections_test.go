package ottla

import (
	"math"
	"testing"
)

func TestConnectionsLeaveDescriptorsToFiles(t *testing.T) {
	for _, tt := range []struct {
		configured  int64
		descriptors uint64
		want        int
	}{{math.MaxInt32, 20_000, 15_000}, {500, 20_000, 500}, {math.MaxInt32, 1024, 768}, {math.MaxInt32, math.MaxUint64, math.MaxInt32}} {
		if got := connectionLimit(tt.configured, tt.descriptors); got != tt.want {
			t.Errorf("max.connections %d, %d descriptors: %d connections, want %d", tt.configured, tt.descriptors, got, tt.want)
		}
	}
}
