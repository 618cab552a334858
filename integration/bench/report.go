package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// report gathers what was measured, by workload and variant.
type report struct {
	runs map[string]map[string][]measured
}

func newReport() *report { return &report{runs: map[string]map[string][]measured{}} }

func (r *report) add(w workload, v variant, m measured) {
	if r.runs[w.name] == nil {
		r.runs[w.name] = map[string][]measured{}
	}
	r.runs[w.name][v.name] = append(r.runs[w.name][v.name], m)
}

// median is the middle one of each figure by itself.
func (r *report) median(w workload, v variant) measured {
	runs := r.runs[w.name][v.name]
	middle := func(f func(measured) float64) float64 {
		var all []float64
		for _, m := range runs {
			all = append(all, f(m))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return measured{
		CPUPerUnit: middle(func(m measured) float64 { return m.CPUPerUnit }),
		Seconds:    middle(func(m measured) float64 { return m.Seconds }),
		MBPerS:     middle(func(m measured) float64 { return m.MBPerS }),
		RSSMB:      middle(func(m measured) float64 { return m.RSSMB }),
	}
}

// printWorkload prints a table of medians, and how they compare.
func (r *report) printWorkload(to io.Writer, w workload) {
	fmt.Fprintf(to, "\n%s: %s (median of %d)\n", w.name, w.what, *rounds)
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tCPU s per %s\tseconds\tMB/s\tRSS MB\t\n", w.unit)
	for _, v := range w.measured() {
		m := r.median(w, v)
		fmt.Fprintf(t, "%s\t%.3f\t%.2f\t%.0f\t%.0f\t\n", v.name, m.CPUPerUnit, m.Seconds, m.MBPerS, m.RSSMB)
	}
	_ = t.Flush() // standard output: a reader that is gone needs no table
	if w.goalS > 0 {
		fmt.Fprintf(to, "  %s: %.2f s (goal %.2f s)\n", ottlaDefault.name, r.median(w, ottlaDefault).Seconds, w.goalS)
	}
	if *alone {
		return
	}
	for _, c := range w.comparisons {
		fmt.Fprintf(to, "  %s / %s: %.2f (goal %.2f)\n", c.ours.name, c.theirs.name, r.median(w, c.ours).CPUPerUnit/r.median(w, c.theirs).CPUPerUnit, c.goal)
	}
}

// writeJSON writes every run.
func (r *report) writeJSON(path string) error {
	b, err := json.MarshalIndent(r.runs, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
