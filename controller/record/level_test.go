package record

import (
	"slices"
	"testing"
)

// A record of an earlier build must stay what that build reads: the kinds and fields that came later, and only those, have a later level.
func TestLevelIsThatOfTheNewestPart(t *testing.T) {
	var later []string
	for _, r := range every() {
		m := r.ProtoReflect()
		switch level := Level(r); {
		case level < MinLevel || level > MaxLevel:
			t.Errorf("level %d of %v", level, r)
		case level == 2:
			later = append(later, string(m.WhichOneof(kinds()).Name()))
		}
	}
	want := []string{"controller_registration", "controller_registration", "controller_unregistration", "node_assignment", "broker_registration", "broker_fencing"}
	if !slices.Equal(later, want) {
		t.Errorf("of level 2: %v", later)
	}
}
