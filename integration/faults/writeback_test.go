//go:build faults

package faults

import (
	"fmt"
	"os"
	"time"
)

// writebacks are how often the kernel writes dirty pages back, and how old they are then: each leaves other subsets of what was not synced on the disk.
var writebacks = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second}

// writeback sets that for the machine; what it was comes back with the end of the case. Where it may not be set, the case runs with what there is.
func (r *rig) writeback(every time.Duration) {
	for _, name := range []string{"/proc/sys/vm/dirty_writeback_centisecs", "/proc/sys/vm/dirty_expire_centisecs"} {
		before, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, fmt.Append(nil, every.Milliseconds()/10), 0o644)
		}
		if err != nil {
			r.Logf("write-back stays as it is: %v", err)
			return
		}
		r.Cleanup(func() {
			if err := os.WriteFile(name, before, 0o644); err != nil {
				r.Errorf("the machine's write-back setting: %v", err)
			}
		})
	}
}
