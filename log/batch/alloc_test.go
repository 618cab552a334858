package batch

import "runtime"

// allocated is the bytes that f takes from the heap. Codecs' tables are pooled, so f runs once before it is measured. Tests that use it are not parallel.
func allocated(f func()) int64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}
