package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla"
)

// broker is a node on a folder of its own.
type broker struct{ data, address string }

func startBroker(t *testing.T) broker {
	t.Helper()
	b := broker{data: t.TempDir()}
	n, err := ottla.Start(t.Context(), ottla.Config{Data: b.data, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Properties: map[string]string{"group.initial.rebalance.delay.ms": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b.address = n.Addr().String()
	return b
}

// run is one command line, in this process.
func run(ctx context.Context, in io.Reader, args ...string) (string, error) {
	var out bytes.Buffer
	c := newRoot()
	c.SetArgs(args)
	c.SetIn(in)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(ctx)
	return out.String(), err
}

// ottla runs a command against the broker, and fails the test if the command does.
func (b broker) ottla(t *testing.T, in string, args ...string) string {
	t.Helper()
	out, err := run(t.Context(), strings.NewReader(in), append(args, "-b", b.address)...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

func TestTopics(t *testing.T) {
	b := startBroker(t)
	var made []struct {
		Name, ID   string
		Partitions int
	}
	if err := json.Unmarshal([]byte(b.ottla(t, "", "topic", "create", "a", "-p", "3", "-c", "retention.ms=1000", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	if len(made) != 1 || made[0].Partitions != 3 || len(made[0].ID) != 22 { // Kafka's form of an id
		t.Errorf("created %+v", made)
	}
	b.ottla(t, "", "topic", "alter", "a", "--set", "segment.ms=5000", "--unset", "retention.ms", "-p", "4")
	if out := b.ottla(t, "", "topic", "describe", "a", "--configs"); !strings.Contains(out, "5000") || strings.Contains(out, " 1000 ") {
		t.Error(out)
	}
	if out := b.ottla(t, "", "topic", "describe", "a"); strings.Count(out, "\n") != 5 {
		t.Error(out)
	}
	if _, err := run(t.Context(), nil, "topic", "create", "a", "b", "-b", b.address); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("created again: %v", err)
	}
	if out := b.ottla(t, "", "topic", "list"); !strings.Contains(out, "\nb ") {
		t.Error(out)
	}
	b.ottla(t, "", "topic", "delete", "a", "b")
	if out := b.ottla(t, "", "topic", "list", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Error(out)
	}
	b.ottla(t, "", "topic", "create", "offered")
	if out := b.ottla0(t, "__complete", "consume", "-b", b.address, ""); !strings.HasPrefix(out, "offered\n:4") {
		t.Errorf("completion: %s", out)
	}
}

func TestLinesInAndOut(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "k1:v1\nk2:v\xff2\r\n\nk3:", "produce", "t", "-K", ":", "-H", "h=1", "-z", "zstd")
	if got, want := b.ottla(t, "", "consume", "t", "--exit-at-end", "--keys"), "k1\tv1\nk2\tv\xff2\n\t\nk3\t\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d := json.NewDecoder(strings.NewReader(b.ottla(t, "", "consume", "t", "-e", "-o", "json", "-s", "1", "-c", "1")))
	var r struct {
		Offset  int64
		Key     string
		Value   struct{ Base64 []byte }
		Headers []struct{ Key, Value string }
	}
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Offset != 1 || r.Key != "k2" || string(r.Value.Base64) != "v\xff2" || len(r.Headers) != 1 || r.Headers[0].Value != "1" {
		t.Errorf("got %+v", r)
	}
	for _, c := range []struct{ offset, want string }{{"-1", "k3\t\n"}, {"end", ""}, {"@0", "k1\tv1\nk2\tv\xff2\n\t\nk3\t\n"}, {"@2100-01-01T00:00:00Z", ""}} {
		if got := b.ottla(t, "", "consume", "t", "-e", "--keys", "-s="+c.offset); got != c.want {
			t.Errorf("--offset %s gave %q", c.offset, got)
		}
	}
	for offset, want := range map[string]string{"99": "past the end", "soon": "want start, end", "@soon": "cannot parse"} {
		if _, err := run(t.Context(), nil, "consume", "t", "-b", b.address, "-s", offset); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--offset %s: %v", offset, err)
		}
	}
}

// A group goes on where it was, begins where --offset says only without a committed offset, and shares a topic among its members.
func TestConsumeAsAGroup(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "", "topic", "create", "t", "-p", "2")
	b.ottla(t, "a\nb\nc\n", "produce", "t")
	if got := b.ottla(t, "", "consume", "t", "-g", "late", "-e", "-s", "end"); got != "" {
		t.Errorf("from the end: %q", got)
	}
	first := b.ottla(t, "", "consume", "t", "-g", "g", "-c", "2")
	rest := b.ottla(t, "", "consume", "t", "-g", "g", "-e")
	got := strings.Fields(first + rest)
	slices.Sort(got)
	if len(strings.Fields(first)) != 2 || strings.Join(got, "") != "abc" {
		t.Errorf("%q, then %q", first, rest)
	}
	if again := b.ottla(t, "", "consume", "t", "-g", "g", "-e"); again != "" {
		t.Errorf("read again: %q", again)
	}
	for _, args := range [][]string{{"-s", "3"}, {"-p", "1"}} {
		if _, err := run(t.Context(), nil, append([]string{"consume", "t", "-b", b.address, "-g", "g"}, args...)...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// TestInterruptedProduce ends a command that waits for a terminal: at once, and what was typed is written.
func TestInterruptedProduce(t *testing.T) {
	b := startBroker(t)
	ctx, interrupt := context.WithCancel(t.Context())
	in, terminal := io.Pipe()
	defer terminal.Close()
	ended := make(chan error)
	go func() {
		_, err := run(ctx, in, "produce", "t", "-b", b.address)
		ended <- err
	}()
	for _, typed := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(terminal, typed); err != nil {
			t.Fatal(err)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(10*time.Millisecond), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for n := 0; n < 2; {
		n += cl.PollFetches(t.Context()).NumRecords()
	}
	interrupt()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// TestNobodyAnswers: an error in seconds, whatever the command.
func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, args := range [][]string{{"topic", "create", "t"}, {"topic", "list"}, {"produce", "t"}, {"consume", "t"}} {
		began := time.Now()
		_, err := run(t.Context(), strings.NewReader("line\n"), append(args, "-b", l.Addr().String())...)
		if err == nil || !strings.Contains(err.Error(), "no broker answers at "+l.Addr().String()) || time.Since(began) > 2*reachTimeout {
			t.Errorf("%v: %v after %v", args, err, time.Since(began))
		}
	}
}

func TestDump(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "one\ntwo\nthr\xffee\n", "produce", "t", "-H", "a=b")
	folder := filepath.Join(b.data, "t-0")
	if out := b.ottla0(t, "dump", "--records", folder); !strings.Contains(out, `value "two"`) || !strings.Contains(out, "codec none") {
		t.Error(out)
	}
	if out := b.ottla0(t, "dump", b.data, "-o", "json"); !strings.Contains(out, "__cluster_metadata-0") {
		t.Error(out)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "00000000000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"CRC does not match": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut short":          func(b []byte) []byte { return b[:len(b)-3] },
		"3 bytes are left":   func(b []byte) []byte { return append(b, 1, 2, 3) },
		"cut short: ":        func(b []byte) []byte { copy(b[8:], []byte{0x7f, 0, 0, 0}); return b }, // a length of 2 GB costs nothing
	} {
		file := filepath.Join(t.TempDir(), "00000000000000000000.log")
		if err := os.WriteFile(file, change(bytes.Clone(raw)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t.Context(), nil, "dump", file); err == nil || !strings.Contains(out, "DAMAGED") || !strings.Contains(out, name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if _, err := run(t.Context(), nil, "dump", filepath.Join(b.data, "meta.properties")); err == nil {
		t.Error("a file that dump does not know is passed over in silence")
	}
}

// ottla0 runs a command that talks to nobody.
func (b broker) ottla0(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t.Context(), nil, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// TestServe runs the command from the start to an orderly end, and interrupts one that has not started yet.
func TestServe(t *testing.T) {
	args := []string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "error", "--set", "num.partitions=2"}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	c := newRoot()
	c.SetArgs(args)
	c.SetOut(in)
	ended := make(chan error)
	go func() { ended <- c.ExecuteContext(ctx) }()
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "listening on 127.0.0.1:") {
		t.Errorf("said %q, %v", line[:n], err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the stop gave %v", err)
	}
	if _, err := run(ctx, nil, args...); err != nil {
		t.Errorf("the interrupted start gave %v", err)
	}
	for _, wrong := range [][]string{{"serve", "--set", "x"}, {"serve", "--config", "/nowhere"}, {"serve", "--log-level", "loud"}, {"serve", "extra"}, {"nonsense"}, {"version", "-o", "xml"}} {
		if _, err := run(t.Context(), nil, wrong...); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
}

// A group may be called anything: a terminal shows its name and does not obey it.
func TestTablesDoNotObeyNames(t *testing.T) {
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetOut(&out)
	if err := (&output{}).print(c, table{columns: []string{"group", "members"}, rows: [][]any{{"\x1b[2Jgone\nx\t7", 3}, {"plain", []int32{1, 2}}}}); err != nil {
		t.Fatal(err)
	}
	if want := "GROUP                MEMBERS\n" + `"\x1b[2Jgone\nx\t7"  3` + "\nplain                1 2\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
