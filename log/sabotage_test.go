//go:build sabotage

package log_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"ottla/log/sabotage"
)

// patience is how many histories a planted bug may live through.
var patience = flag.Uint64("patience", 300, "how many histories a planted bug may live through")

// TestPlantedBugsAreCaught plants each bug in turn: some history must find it. Without one none may find anything.
func TestPlantedBugsAreCaught(t *testing.T) {
	t.Setenv("OTTLA_SABOTAGE", "")
	const clean = 40
	for n := range uint64(clean) {
		if _, err := playHistory(t, *historySeed+n, *historySteps); err != nil {
			t.Fatalf("nothing is planted, seed %d: %v", *historySeed+n, err)
		}
	}
	t.Logf("no bug: %d histories find nothing", clean)
	for _, bug := range sabotage.Bugs {
		t.Run(string(bug), func(t *testing.T) {
			t.Setenv("OTTLA_SABOTAGE", string(bug))
			began := time.Now()
			for n := range *patience {
				if _, err := playHistory(t, *historySeed+n, *historySteps); err != nil {
					first, _, _ := strings.Cut(err.Error(), "\n")
					t.Logf("caught by history %d (%s): %s", n+1, time.Since(began).Round(time.Millisecond), first)
					return
				}
			}
			t.Errorf("%d histories have not noticed it", *patience)
		})
	}
}
