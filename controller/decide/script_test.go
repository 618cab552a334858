package decide

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

var rewrite = flag.Bool("rewrite", false, "write the expected output of the scripts anew")

// TestScripts runs testdata/*.txt. A script is blocks separated by empty lines: a command (see commands_test.go), indented lines that belong to it, "----", and
// what came of it: the reply, then the records. Each is run twice, and after every step the records so far, replayed, give the state that is live.
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
	c := newCluster(t)
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		out.WriteString(input + "\n")
		if result := c.run(input); result != "" {
			out.WriteString("----\n" + result)
		}
		out.WriteString("\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// cluster is what a script works on: the decisions' environment, the state, and all records so far.
type cluster struct {
	t       *testing.T
	env     Env
	live    *image.Image
	entries [][]byte
	alive   map[protocol.BrokerID]bool
	behind  map[protocol.BrokerID]bool
	voters  map[protocol.BrokerID]bool
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, live: image.Empty()}
	topics := byte(0)
	c.env = Env{
		Sessions: known{c},
		Voter:    func(id protocol.BrokerID) bool { return c.voters[id] },
		Static:   map[string]string{},
		Rand:     rand.New(rand.NewPCG(1, 2)),
		NewTopicID: func() protocol.TopicID {
			topics++
			return protocol.TopicID{0: 't', 15: topics}
		},
	}
	c.write([]*record.Record{record.Of(&record.Cluster{Id: "test"})})
	return c
}

// write applies records, and checks that replaying all of them from their bytes gives the same.
func (c *cluster) write(rs []*record.Record) {
	if len(rs) == 0 {
		return
	}
	at := protocol.Offset(len(c.entries))
	c.entries = append(c.entries, record.Encode(rs))
	c.live, _ = c.live.Apply(at, 1, rs)
	replayed := image.Empty()
	for at, b := range c.entries {
		var err error
		if replayed, _, err = replayed.ApplyList(protocol.Offset(at), 1, b); err != nil {
			c.t.Fatal(err)
		}
	}
	if a, b := dump(c.live), dump(replayed); a != b {
		c.t.Fatalf("live:\n%s\nreplayed:\n%s", a, b)
	}
}

func (c *cluster) decide(req kmsg.Request) string {
	c.env.At = protocol.Offset(len(c.entries))
	before := dump(c.live)
	o, err := Decide(c.env, c.live, time.Time{}, protocol.Anonymous, req)
	if dump(c.live) != before {
		c.t.Fatal("the view changed")
	}
	if err != nil {
		return "error " + errorName(protocol.ErrorCode(err)) + ": " + *protocol.ErrorMessage(err) + "\n"
	}
	o.Reply.AppendTo(nil) // can be encoded
	c.write(o.Records)
	return printReply(o.Reply) + printRecords(o.Records)
}

func dump(i *image.Image) string { return printRecords(i.Snapshot()) }

// run does one command and gives what it prints.
func (c *cluster) run(input string) string {
	lines := strings.Split(input, "\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "#") {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return ""
	}
	words := parse(lines[0])
	var items []line
	for _, l := range lines[1:] {
		items = append(items, parse(l))
	}
	command := commands[words.name]
	if command == nil {
		c.t.Fatalf("unknown command %q", words.name)
	}
	return command(c, words, items)
}

// line is "name key=value flag …"; a flag has the value "".
type line struct {
	name string
	keys []string
	args map[string]string
}

func parse(s string) line {
	l := line{args: map[string]string{}}
	for n, word := range strings.Fields(s) {
		if n == 0 {
			l.name = strings.Trim(word, `"`)
			continue
		}
		key, value, _ := strings.Cut(word, "=")
		l.keys = append(l.keys, key)
		l.args[key] = value
	}
	return l
}

func (l line) number(key string, otherwise int64) int64 {
	if v, ok := l.args[key]; ok {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return otherwise
}

func (l line) has(key string) bool { _, ok := l.args[key]; return ok }

func errorName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return kerr.TypedErrorForCode(code).Message
}
