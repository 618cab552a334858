//go:build race

package hostile

import "testing"

// spends only calls f: the race detector drops what is pooled, at random, so that what is allocated tells nothing.
func spends(_ *testing.T, _ uint64, f func()) { f() }
