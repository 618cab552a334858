//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rig is what a case has in its hands: a test that it fails, a seeded source of chance, a folder, and a report.
type rig struct {
	*testing.T
	rnd     *rand.Rand
	runs    int    // how often to inject the fault
	dir     string // for everything of this case; gone afterwards
	outcome *outcome
	names   int // of nodes, volumes and topics made so far
}

// workFolder is a folder for a case: below FAULTS_DIR if that is set, else where the test's own are.
func workFolder(t *testing.T) string {
	parent := os.Getenv("FAULTS_DIR")
	if parent == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "faults-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("the work folder stays: %v", err)
		}
	})
	return dir
}

// name makes a name that is new in this case. A folder of that name does not look like a partition's.
func (r *rig) name(kind string) string {
	r.names++
	return fmt.Sprintf("%s%d", kind, r.names)
}

// must fails the case.
func (r *rig) must(err error, format string, args ...any) {
	r.Helper()
	if err != nil {
		r.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}

// shell runs a tool of the system and gives what it prints.
func shell(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}

// patience is how long anything of a real process may take before the case fails; nothing is expected to come near.
const patience = 60 * time.Second

// poll asks until yes; asking costs a process or a call, so it pauses in between. It gives up after patience.
func poll(what string, yes func() bool) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-pause.C {
		if yes() {
			return nil
		}
	}
	return fmt.Errorf("%s: not within %v", what, patience)
}

// between draws a duration.
func (r *rig) between(low, high time.Duration) time.Duration {
	return low + time.Duration(r.rnd.Int64N(int64(high-low)))
}

// elapse lets real processes run for a while.
func elapse(d time.Duration) { <-time.After(d) }

// files lists what matches below a folder.
func (r *rig) files(pattern ...string) []string {
	r.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	r.must(err, "glob")
	return found
}
