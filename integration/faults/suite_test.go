//go:build faults

package faults

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fault is one case of the suite.
type fault struct {
	id    string // of the catalogue (C05), or a word for a case that belongs to none
	name  string // what happens to the node
	needs []need // what the machine and the build must have
	runs  int    // how often without RUNS; 0 is once, always
	run   func(r *rig)
}

// catalogue is every case, in the order in which they run.
func catalogue() []fault {
	return slices.Concat(killCases(), powerCases(), roomCases(), deviceCases(), tailCases(), fileCases(), folderCases(), stepCases(), readyCases())
}

// TestFaults runs the cases that CASE names, all but those of size without it, RUNS times each where repeating makes sense.
func TestFaults(t *testing.T) {
	cases := catalogue()
	wanted := strings.FieldsFunc(os.Getenv("CASE"), func(c rune) bool { return c == ',' || c == ' ' })
	for _, w := range wanted {
		if !slices.ContainsFunc(cases, func(c fault) bool { return strings.EqualFold(c.id, w) }) {
			t.Fatalf("CASE=%s: there is no such case", w)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	sum := newSummary(seed)
	t.Cleanup(func() { sum.write(t) })
	for _, c := range cases {
		if len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(c.id, w) }) {
			t.Run(c.id, func(t *testing.T) { runFault(t, c, seed, sum) })
		}
	}
}

func runFault(t *testing.T, c fault, seed uint64, sum *summary) {
	r := &rig{T: t, outcome: sum.begin(c), runs: runsOf(t, c), rnd: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(func() { sum.end(t, r.outcome) })
	for _, n := range c.needs {
		if missing := n(); missing != "" {
			r.outcome.Reason = missing
			t.Skip(missing)
		}
	}
	r.dir = workFolder(t)
	c.run(r)
}

// runsOf is how often the case repeats its fault.
func runsOf(t *testing.T, c fault) int {
	s := os.Getenv("RUNS")
	if s == "" || c.runs == 0 {
		return max(1, c.runs)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("RUNS=%s: want a count", s)
	}
	return n
}
