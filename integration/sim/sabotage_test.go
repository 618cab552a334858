//go:build sabotage

package sim

import (
	"strings"
	"testing"
	"time"

	"ottla/controller/sabotage"
)

// patience is how many seeds a planted bug may live through.
const patience = 2000

// TestPlantedBugsAreFound plants each bug in turn: some invariant must find it.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range sabotage.Bugs {
		t.Run(string(bug), func(t *testing.T) {
			t.Setenv("OTTLA_SABOTAGE", string(bug))
			began := time.Now()
			for n := range uint64(patience) {
				if r := play(t, *seed+n, nil); r.Err != nil {
					first, _, _ := strings.Cut(r.Err.Error(), "\n")
					t.Logf("found by seed %d (%s): %s", *seed+n, time.Since(began).Round(time.Millisecond), first)
					return
				}
			}
			t.Errorf("%d seeds have not found it", patience)
		})
	}
}
