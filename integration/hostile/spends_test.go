//go:build !race

package hostile

import (
	"runtime"
	"testing"
)

// spends fails the test if f makes the process allocate more than so many bytes. (The node runs in this process.)
func spends(t *testing.T, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("%d bytes allocated", n)
	}
}
