//go:build sabotage

package sabotage

import "os"

// On tells whether the bug is planted in this process.
func On(b Bug) bool { return os.Getenv("OTTLA_SABOTAGE") == string(b) }
