//go:build franzgo

package franzgo

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ottla/integration/process"
)

// Every test of pkg/kgo passes but those that need what ottla does not have yet. RECORDS says how many records a test produces (50000).
func TestClientsOwnTestsPass(t *testing.T) {
	folder, tests := compile(t)
	left := leftOut(t, list(t, tests))
	seeds := startOttla(t)
	cmd := exec.CommandContext(t.Context(), tests, "-test.v", "-test.timeout", "15m", "-test.skip", "^("+strings.Join(left, "|")+")$")
	cmd.Dir = folder // as go test does: one of the tests reads the sources
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+seeds, "KGO_TEST_RF=1", "KGO_TEST_RECORDS="+cmp.Or(os.Getenv("RECORDS"), "50000"), "KGO_TEST_MAX_TOPIC_PARTS=31")
	out, err := cmd.CombinedOutput()
	said := string(out)
	passed, failed, skipped := verdicts(said, "PASS"), verdicts(said, "FAIL"), verdicts(said, "SKIP")
	t.Logf("%d passed, %d failed, %d skipped themselves, %d left out", len(passed), len(failed), len(skipped), len(left))
	for _, name := range skipped {
		t.Logf("%s skips itself", name)
	}
	if err != nil || len(failed) > 0 {
		t.Fatalf("%v: %v\n%s", failed, err, tail(said, 20000))
	}
}

// compile builds the tests of pkg/kgo in the module's own folder.
func compile(t *testing.T) (folder, binary string) {
	t.Helper()
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/twmb/franz-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	folder, binary = filepath.Join(strings.TrimSpace(string(module)), "pkg", "kgo"), filepath.Join(t.TempDir(), "kgo.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile franz-go's tests: %v\n%s", err, out)
	}
	return folder, binary
}

// list is the names of the tests in the binary.
func list(t *testing.T, binary string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "-test.list", "^Test").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// leftOut reads the lines "name: reason" of testdata/left_out.txt; a name that franz-go does not have any more fails.
func leftOut(t *testing.T, have []string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/left_out.txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(raw)) {
		name, reason, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case !ok || reason == "":
			t.Fatalf("left_out.txt: %q has no reason", line)
		case !slices.Contains(have, name):
			t.Errorf("left_out.txt: franz-go has no %s", name)
		}
		t.Logf("left out: %s: %s", name, reason)
		names = append(names, name)
	}
	return names
}

// startOttla starts the binary that `make build` left in bin, and gives its address. It ends with the test.
func startOttla(t *testing.T) string {
	t.Helper()
	binary, err := filepath.Abs("../../bin/ottla")
	if err != nil {
		t.Fatal(err)
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := process.Start(ctx, exec.Command(binary, "serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", address, "--http", "127.0.0.1:0"), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("ottla said:\n%s", tail(p.Said(), 20000))
		}
	})
	return address
}

// verdicts are the top-level tests that ended so.
func verdicts(said, verdict string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^--- `+verdict+`: (\S+)`).FindAllStringSubmatch(said, -1) {
		names = append(names, m[1])
	}
	return names
}

// tail is the last n bytes.
func tail(s string, n int) string { return s[max(0, len(s)-n):] }
