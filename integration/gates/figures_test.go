//go:build gates

package gates

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the figures of this run into testdata/figures.txt")

const figuresFile = "testdata/figures.txt"

const figuresHead = `# What a request costs, see doc.go: request, kind of cost, figure. Written by make gates GATES=-rewrite.
`

// figures are costs by request and kind.
type figures map[string]map[kind]float64

func (f figures) set(request string, k kind, figure float64) {
	if f[request] == nil {
		f[request] = map[kind]float64{}
	}
	f[request][k] = figure
}

func readFigures(t *testing.T) figures {
	t.Helper()
	text, err := os.ReadFile(figuresFile)
	if err != nil {
		t.Fatal(err)
	}
	f := figures{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("%s: %q is not request, kind, figure", figuresFile, line)
		}
		figure, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", figuresFile, line, err)
		}
		f.set(fields[0], kind(fields[1]), figure)
	}
	return f
}

func (f figures) write(t *testing.T) {
	t.Helper()
	var lines []string
	for request, costs := range f {
		for k, figure := range costs {
			lines = append(lines, fmt.Sprintf("%-28s %-12s %12.2f\n", request, k, figure))
		}
	}
	slices.Sort(lines)
	if err := os.WriteFile(figuresFile, []byte(figuresHead+strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// judge compares what was measured, all of some kinds, with the committed figures, or writes it there.
func judge(t *testing.T, measured figures, kinds ...kind) {
	t.Helper()
	committed := readFigures(t)
	if *rewrite {
		for _, costs := range committed {
			for _, k := range kinds {
				delete(costs, k)
			}
		}
		for request, costs := range measured {
			for k, figure := range costs {
				committed.set(request, k, figure)
			}
		}
		committed.write(t)
		return
	}
	for request, costs := range committed {
		for _, k := range kinds {
			if _, gated := costs[k]; !gated {
				continue
			}
			if _, ok := measured[request][k]; !ok {
				t.Errorf("%s: %s has a figure and is not measured", request, k)
			}
		}
	}
	for request, costs := range measured {
		for k, figure := range costs {
			before, ok := committed[request][k]
			switch {
			case !ok:
				t.Errorf("%s: %s is %.2f and has no figure; make gates GATES=-rewrite writes it", request, k, figure)
			case figure > k.most(before):
				t.Errorf("%s: %s has risen from %.2f to %.2f, more than %.2f; if it has to be so, make gates GATES=-rewrite accepts it", request, k, before, figure, k.most(before))
			case before > k.most(figure):
				t.Logf("%s: %s has fallen from %.2f to %.2f; make gates GATES=-rewrite keeps it there", request, k, before, figure)
			}
		}
	}
}

func TestJudgeTolerance(t *testing.T) {
	for _, c := range []struct {
		k              kind
		before, figure float64
		passes         bool
	}{
		{allocations, 10, 10, true}, {allocations, 10, 10.9, true}, {allocations, 10, 11.1, false},
		{allocations, 0, 1, false}, {diskBytes, 1000, 1100, false}, {syncCalls, 0.2, 0.4, false},
	} {
		if passes := c.figure <= c.k.most(c.before); passes != c.passes {
			t.Errorf("%s from %v to %v: passes %v", c.k, c.before, c.figure, passes)
		}
	}
}
