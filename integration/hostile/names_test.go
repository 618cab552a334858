package hostile

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// files is every path below the folder that holds the node's data.
func files(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestJ21PathTraversal: names that could leave the data folder are refused and no file is made for them.
func TestJ21PathTraversal(t *testing.T) {
	v := startVictim(t)
	root := filepath.Dir(v.data)
	before := files(t, root)
	for _, name := range []string{"", ".", "..", "../up", "../../etc/x", "/etc/x", "a/b", `a\b`, "a\x00b", "a\nb", "ä", "\u202e", "\xff", "a b", strings.Repeat("x", 250)} {
		if code := v.create(t, name); code != kerr.InvalidTopicException.Code {
			t.Errorf("%q: %v", name, kerr.ErrorForCode(code))
		}
	}
	if after := files(t, root); !slices.Equal(before, after) {
		t.Errorf("before %q, after %q", before, after)
	}
	v.serves(t)
}
