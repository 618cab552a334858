//go:build faults

package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"ottla/integration/faults/history"
)

// outcome is what a case came to: a line for people, an object of the report.
type outcome struct {
	ID      string             `json:"id"`
	Name    string             `json:"name"`
	Verdict string             `json:"verdict"` // valid, violation or skipped
	Reason  string             `json:"reason,omitempty"`
	Faults  int                `json:"faults"` // how many were injected
	Counts  history.Counts     `json:"counts"`
	Judges  []history.Verdict  `json:"judges,omitempty"` // those that object
	Figures map[string]float64 `json:"figures,omitempty"`
	Seconds float64            `json:"seconds"`
	began   time.Time
}

// summary is the outcome of a run of the suite.
type summary struct {
	Seed  uint64     `json:"seed"`
	Cases []*outcome `json:"cases"`
}

func newSummary(seed uint64) *summary {
	fmt.Printf("SEED=%d\n", seed)
	return &summary{Seed: seed}
}

func (s *summary) begin(c fault) *outcome {
	o := &outcome{ID: c.id, Name: c.name, Figures: map[string]float64{}, began: time.Now()}
	s.Cases = append(s.Cases, o)
	return o
}

// end prints the case's line.
func (s *summary) end(t *testing.T, o *outcome) {
	o.Seconds = time.Since(o.began).Seconds()
	switch {
	case t.Failed():
		o.Verdict = "violation"
	case t.Skipped():
		o.Verdict = "skipped"
	default:
		o.Verdict = "valid"
	}
	line := fmt.Sprintf("%-6s %-9s %s:", o.ID, o.Verdict, o.Name)
	if o.Reason != "" {
		line += " " + o.Reason
	} else {
		line += fmt.Sprintf(" %d faults, %d sent, %d acknowledged, %d unknown, %d read", o.Faults, o.Counts.Sent, o.Counts.Acked, o.Counts.Unknown, o.Counts.Read)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Figures)) {
		line += fmt.Sprintf(", %s %g", name, o.Figures[name])
	}
	fmt.Printf("%s (%.1fs)\n", line, o.Seconds)
}

// write makes the report that FAULTS_REPORT asks for.
func (s *summary) write(t *testing.T) {
	count := map[string]int{}
	for _, o := range s.Cases {
		count[o.Verdict]++
	}
	fmt.Printf("%d cases: %d valid, %d violations, %d skipped; SEED=%d\n", len(s.Cases), count["valid"], count["violation"], count["skipped"], s.Seed)
	name := os.Getenv("FAULTS_REPORT")
	if name == "" {
		return
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(name, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Errorf("FAULTS_REPORT: %v", err)
	}
}
