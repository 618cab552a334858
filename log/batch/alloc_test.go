package batch

import (
	"math"
	"runtime"
)

// allocated is the bytes that f allocates once its pools are filled. The figure is the process's, and the fuzzing engine allocates too: so the least of a few runs counts.
func allocated(f func()) int64 {
	f()
	least := int64(math.MaxInt64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, int64(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}
