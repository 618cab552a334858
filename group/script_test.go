package group

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/group/classic"
	"ottla/group/offsets"
	"ottla/group/runtime"
	"ottla/log/timeline"
	"ottla/protocol"
)

var rewrite = flag.Bool("rewrite", false, "write the expected output of the scripts anew")

// TestScripts runs testdata/*.txt. A script is blocks separated by empty lines: commands (see commands_test.go), "----", and what came of them: answers in the order in which
// they were given, and records, indented, when they are appended. Each is run twice, and after every block the log, replayed, gives the state that is live.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if again := runScript(t, string(text)); again != got {
				t.Fatalf("two runs differ:\n%s\n\n%s", got, again)
			}
			if *rewrite {
				if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("output differs (-rewrite accepts it):\n%s", firstDifference(got, string(text)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for n := range g {
		if n >= len(w) || g[n] != w[n] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", n+1, g[n], strings.Join(w[min(n, len(w)):min(n+1, len(w))], ""))
		}
	}
	return "too short"
}

func runScript(t *testing.T, text string) string {
	s := newScript(t)
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		out.WriteString(input + "\n")
		s.out.Reset()
		for command := range strings.SplitSeq(input, "\n") {
			if !strings.HasPrefix(command, "#") {
				s.run(command)
			}
		}
		s.bench.checkReplay()
		if s.out.Len() > 0 {
			out.WriteString("----\n" + s.out.String())
		}
		out.WriteString("\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// script is what commands work on.
type script struct {
	t     *testing.T
	bench *bench
	out   strings.Builder
	// clients by name, and what each knows.
	clients map[string]*scriptClient
}

type scriptClient struct {
	name, id   string
	generation int32
}

func newScript(t *testing.T) *script {
	s := &script{t: t, clients: map[string]*scriptClient{}}
	s.start(Settings{InitialRebalanceDelay: 3 * time.Second, MinSession: 6 * time.Second, MaxSession: 30 * time.Minute, MaxSize: 100, MaxMetadata: 10,
		Retention: 7 * 24 * time.Hour, RetentionCheck: 10 * time.Minute})
	return s
}

func (s *script) start(settings Settings) {
	s.bench = newBench(s.t, settings)
	s.bench.wrote = func(_ int, r runtime.Record) { s.printf("  %s\n", printRecord(s.t, r)) }
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *script) client(name string) *scriptClient {
	c := s.clients[name]
	if c == nil {
		c = &scriptClient{name: name, generation: -1}
		s.clients[name] = c
	}
	return c
}

// printRecord shows a record by replaying it alone.
func printRecord(t *testing.T, r runtime.Record) string {
	tl := timeline.New()
	tl.Mark(0)
	if r.Key[1] == groupKey {
		id := string(r.Key[4:])
		if r.Value == nil {
			return "group " + id + " tombstone"
		}
		g := classic.New(tl, classic.Options{})
		if err := g.Apply(r.Key, r.Value, func(string) bool { return false }); err != nil {
			t.Fatal(err)
		}
		return "group " + id + " " + g.Image(id)
	}
	o := offsets.New(tl)
	value := r.Value
	if value == nil {
		value = []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	id, err := o.Apply(0, r.Key, value)
	if err != nil {
		t.Fatal(err)
	}
	for tp, c := range o.All(0, id) {
		t.Fatal(tp, c) // nothing is committed
	}
	tl.Mark(1)
	for tp, c := range o.All(1, id) {
		if r.Value == nil {
			return fmt.Sprintf("offset %s %s tombstone", id, tp)
		}
		text := fmt.Sprintf("offset %s %s=%d version=%d", id, tp, c.Offset, r.Value[1])
		if c.Metadata != "" {
			text += " " + c.Metadata
		}
		return text
	}
	return ""
}

// line is "name word … key=value …".
type line struct {
	name  string
	words []string
	args  map[string]string
}

func parse(s string) line {
	l := line{args: map[string]string{}}
	for n, word := range strings.Fields(s) {
		if n == 0 {
			l.name = word
		} else if key, value, ok := strings.Cut(word, "="); ok {
			l.args[key] = value
		} else {
			l.words = append(l.words, word)
		}
	}
	return l
}

func (l line) text(key, otherwise string) string {
	if v, ok := l.args[key]; ok {
		return v
	}
	return otherwise
}

func (l line) number(key string, otherwise int64) int64 {
	n, err := strconv.ParseInt(l.text(key, fmt.Sprint(otherwise)), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (l line) ms(key, otherwise string) int32 {
	d, err := time.ParseDuration(l.text(key, otherwise))
	if err != nil {
		panic(err)
	}
	return int32(d.Milliseconds())
}

// optional is nil if the key is not there.
func (l line) optional(key string) *string {
	if v, ok := l.args[key]; ok {
		return &v
	}
	return nil
}

func errorName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return kerr.TypedErrorForCode(code).Message
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func topicID(n byte) protocol.TopicID { return protocol.TopicID{15: n} }
