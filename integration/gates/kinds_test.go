//go:build gates

package gates

// kind is something that a request costs.
type kind string

const (
	allocations kind = "allocations" // of the whole node
	heapBytes   kind = "heap-bytes"  // allocated, freed or not
	diskBytes   kind = "disk-bytes"  // given to the file system in writes
	diskWrites  kind = "disk-writes" // calls that write to a file
	diskSyncs   kind = "disk-syncs"  // files and folders made durable
	ioCalls     kind = "io-calls"    // system calls, but for those that wait
	waitCalls   kind = "wait-calls"  // futex, epoll_pwait and their like: what the scheduler does depends on the moment
	syncCalls   kind = "sync-calls"  // fsync, fdatasync, syncfs
)

// tolerance is how far a figure may rise before the gate closes: a share of it, and something for the background.
type tolerance struct{ share, more float64 }

var tolerances = map[kind]tolerance{
	allocations: {0.05, 0.5},
	heapBytes:   {0.10, 128},
	diskBytes:   {0.02, 16},
	diskWrites:  {0.05, 0.1},
	diskSyncs:   {0.10, 0.1},
	ioCalls:     {0.10, 0.5},
	waitCalls:   {1.00, 4},
	syncCalls:   {0.15, 0.1},
}

// most is what a figure may be at most.
func (k kind) most(figure float64) float64 {
	t := tolerances[k]
	return figure*(1+t.share) + t.more
}
