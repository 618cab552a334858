package tidy

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "ottla"
	root   = "../.."
)

// source is one Go file of the tree: its folder relative to the module ("" is the root package) and what it imports.
type source struct {
	folder, name string
	test         bool
	imports      []string
	lines        int
}

// sources reads every Go file below the module's root.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(p, root), string(filepath.Separator)))
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && rel != "" || d.Name() == "testdata" || rel == "out" || rel == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{folder: strings.TrimPrefix(path.Dir("/"+rel), "/"), name: d.Name(), test: strings.HasSuffix(d.Name(), "_test.go"), lines: strings.Count(string(text), "\n")}
		for _, i := range f.Imports {
			v, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, v)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// matches tells whether the package p is named by pattern: itself, or with "/..." itself and all below, or "..." anything.
func matches(pattern, p string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == below || strings.HasPrefix(p, below+"/")
	}
	return pattern == p
}

func ruleFor(p string) (Rule, bool) {
	best, found := Rule{}, false
	for _, r := range Rules {
		if matches(r.Package, p) && (!found || len(r.Package) > len(best.Package)) {
			best, found = r, true
		}
	}
	return best, found
}

func ours(imported string) (string, bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func TestImportsFollowTheOneDirection(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue // a test may build what it needs from above
		}
		rule, ok := ruleFor(s.folder)
		if !ok {
			t.Errorf("package %q has no rule: say in integration/tidy/rules.go what it may import and why", s.folder)
			continue
		}
		for _, i := range s.imports {
			p, isOurs := ours(i)
			if isOurs && p != s.folder && !slices.ContainsFunc(rule.May, func(m string) bool { return matches(m, p) }) {
				t.Errorf("%s/%s imports %s: forbidden, because %s", s.folder, s.name, i, rule.Why)
			}
		}
	}
}

func TestThirdPartyPackagesStayWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, i := range s.imports {
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			if why := thirdParty(s, i); why != "" {
				t.Errorf("%s/%s imports %s: %s", s.folder, s.name, i, why)
			}
		}
	}
}

// thirdParty gives the reason why s may not import i, or "".
func thirdParty(s source, i string) string {
	for _, r := range ThirdParty {
		if i != r.Package && !strings.HasPrefix(i, strings.TrimSuffix(r.Package, "/")+"/") {
			continue
		}
		for _, m := range r.May {
			pattern, file, narrowed := strings.Cut(m, "#")
			if matches(pattern, s.folder) && (!narrowed || s.name == file) {
				return ""
			}
		}
		return fmt.Sprintf("forbidden here, because %s", r.Why)
	}
	return "no rule allows it: few dependencies, each with its reason in integration/tidy/rules.go"
}

func TestFilesHoldOneNoun(t *testing.T) {
	const most = 700
	for _, s := range sources(t) {
		if s.lines > most && !strings.HasSuffix(s.name, ".pb.go") && !strings.HasSuffix(s.name, "_gen.go") {
			t.Errorf("%s/%s has %d lines; over %d a file holds more than one noun", s.folder, s.name, s.lines, most)
		}
	}
}
