package tidy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ottla/group"
	"ottla/protocol/handlers"
)

var rewrite = flag.Bool("rewrite", false, "write the README's generated parts")

// graph draws, as Mermaid text, who imports whom: a node a package, an arrow an import, without what an arrow through another package says already.
func graph(all []source) string {
	edges := map[string]map[string]bool{}
	for _, s := range all {
		if s.test || strings.HasPrefix(s.folder, "integration") || strings.HasSuffix(s.folder, "schemagen") {
			continue
		}
		if edges[s.folder] == nil {
			edges[s.folder] = map[string]bool{}
		}
		for _, i := range s.imports {
			if p, ok := ours(i); ok && p != s.folder {
				edges[s.folder][p] = true
			}
		}
	}
	var reaches func(from, to string, direct bool) bool
	reaches = func(from, to string, direct bool) bool {
		for next := range edges[from] {
			if next == to && !direct || next != to && reaches(next, to, false) {
				return true
			}
		}
		return false
	}
	name := func(p string) string {
		if p == "" {
			return module
		}
		return p
	}
	var lines []string
	for from, tos := range edges {
		for to := range tos {
			if !reaches(from, to, true) {
				lines = append(lines, fmt.Sprintf("  %s --> %s", name(from), name(to)))
			}
		}
	}
	slices.Sort(lines)
	return "```mermaid\ngraph TD\n" + strings.Join(lines, "\n") + "\n```\n"
}

func TestReadmeSaysWhatTheCodeSays(t *testing.T) {
	file := filepath.Join(root, "README.md")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for part, want := range map[string]string{"graph": graph(sources(t)), "apis": handlers.SupportTable(handlers.Options{Groups: &group.Coordinator{}})} {
		re := regexp.MustCompile(`(?s)(<!-- ` + part + `: generated -->\n).*?(<!-- end -->)`)
		found := re.FindString(text)
		if found == "" {
			t.Fatalf("README.md has no part %q between its marks", part)
		}
		now := re.ReplaceAllStringFunc(found, func(m string) string { return re.FindStringSubmatch(m)[1] + want + re.FindStringSubmatch(m)[2] })
		if now != found && !*rewrite {
			t.Errorf("README.md: the part %q is out of date: go test ./integration/tidy -rewrite", part)
		}
		text = strings.Replace(text, found, now, 1)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Files named in a DESIGN.md's file map (a table row that starts with `name`) exist.
func TestDesignFilesNameWhatExists(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([^`]+)`")
	for _, top := range []string{"protocol", "log", "controller", "replica", "group", "integration", "cmd"} {
		raw, err := os.ReadFile(filepath.Join(root, top, "DESIGN.md"))
		if err != nil {
			t.Errorf("%s: every top folder has its DESIGN.md: %v", top, err)
			continue
		}
		for _, m := range row.FindAllStringSubmatch(string(raw), -1) {
			if _, err := os.Stat(filepath.Join(root, top, m[1])); err != nil {
				t.Errorf("%s/DESIGN.md names %s, which does not exist", top, m[1])
			}
		}
	}
}
