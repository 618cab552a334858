package sim

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Coverage counts what has happened: an invariant that holds where nothing happens says nothing. Every field is a count.
type Coverage struct {
	Events, Ticks                                        int
	Sent, Delivered, Dropped, Doubled, Late              int // messages
	Elections, Terms                                     int // leaders that were elected; terms that began
	Entries, Ignored                                     int // committed; of those, decided for another place
	ConfChanges, Joints                                  int // committed
	Governed, ByHand, Replaced, Retired                  int // runs; requests of operators; voters that another took the place of; nodes that never came back
	Crashes, CrashesInWrites, Stops, Restarts            int
	Wipes, Joins                                         int
	Pauses, Jumps, Cuts, SlowDisks, DiskErrors, DiskFull int
	ControlledStops                                      int
	Fenced, Unfenced, FencedAfterSilence                 int // brokers; the last: by a leader that had answered them before
	NodesEnded                                           int // by an error of their disk
	SnapshotsWritten, SnapshotsInstalled                 int
	Asked, Answered, Refused, NotController, Unanswered  int // requests
	Published, ImagesCompared                            int
	FirstImages                                          int // incarnations that published
}

// Add adds what another run has counted.
func (c *Coverage) Add(o Coverage) {
	to, from := reflect.ValueOf(c).Elem(), reflect.ValueOf(o)
	for n := range to.NumField() {
		to.Field(n).SetInt(to.Field(n).Int() + from.Field(n).Int())
	}
}

// String lists all counts, a zero too.
func (c Coverage) String() string {
	var b strings.Builder
	v := reflect.ValueOf(c)
	for n := range v.NumField() {
		fmt.Fprintf(&b, "%-22s %12d\n", words(v.Type().Field(n).Name), v.Field(n).Int())
	}
	return b.String()
}

// words takes a field's name apart.
func words(name string) string {
	var b strings.Builder
	for n, r := range name {
		if n > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
