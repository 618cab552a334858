package hostile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla"
	"ottla/protocol/wire"
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

// evil is what a terminal, a log or a scraper would take for more than a name.
var evil = []string{"two\nlines", "\x1b[31mred\x1b[0m", "\x1b]0;title\a", "bell\a\b\b", "tab\tcell", `quote" x="`, "\u202etxt.exe", "cr\rover", "nul\x00", "line\u2028sep"}

// lines is a log kept in memory.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// checkText fails the test for each line that holds what is not to be printed, or that does not match.
func checkText(t *testing.T, what, text string, line *regexp.Regexp) {
	t.Helper()
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if !line.MatchString(l) || strings.IndexFunc(l, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) >= 0 {
			t.Errorf("%s: %q", what, l)
		}
	}
}

// hasOffsets commits an offset for a group, which exists from then on.
func (v *victim) hasOffsets(t *testing.T, group string) {
	t.Helper()
	adm := kadm.NewClient(v.client(t))
	defer adm.Close()
	os := make(kadm.Offsets)
	os.Add(kadm.Offset{Topic: "good", At: 0, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(t.Context(), group, os); err != nil {
		t.Fatalf("%q: %v", group, err)
	}
}

// TestJ19Names: whatever clients call themselves and their groups, the log has a line an event, and metrics hold nothing that a terminal would obey.
func TestJ19Names(t *testing.T) {
	var log lines
	v := startVictim(t, func(c *ottla.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.HTTP = "127.0.0.1:0"
	})
	v.serves(t)
	for _, name := range append(evil, strings.Repeat("x", 32<<10-1)) {
		c := v.dial(t)
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, name[:min(len(name), 100)], name[:min(len(name), 100)]
		c.write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(name)).AppendRequest(nil, req, 1))
		if _, err := c.receive(); errors.Is(err, errSilent) || err != nil && len(name) <= wire.MaxClientID {
			t.Errorf("%.40q: %v", name, err)
		}
		c.write(make([]byte, 16)) // a frame of no length ends badly, and that is logged
		if _, err := c.receive(); err == nil || errors.Is(err, errSilent) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for _, name := range evil {
		v.hasOffsets(t, name)
		if code := v.create(t, name); code != kerr.InvalidTopicException.Code {
			t.Errorf("topic %q: %v", name, kerr.ErrorForCode(code))
		}
	}
	v.hasOffsets(t, strconv.Quote(evil[0])) // shown as another one would be
	said := log.String()
	checkText(t, "log", said, regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=`))
	if !strings.Contains(said, "client_id=") {
		t.Errorf("no client was logged:\n%s", said)
	}
	for l := range strings.Lines(said) {
		if len(l) > 2000 {
			t.Errorf("a line of %d bytes: %.200s", len(l), l)
		}
	}
	resp, err := http.Get("http://" + v.node.HTTPAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", resp.Status, err, body)
	}
	checkText(t, "metrics", string(body), regexp.MustCompile(`^(# |[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? \S+$)`))
	if n := strings.Count(string(body), "\nottla_group_lag_records{"); n != len(evil)+1 {
		t.Errorf("%d groups have a lag", n)
	}
	v.serves(t)
}
