package cluster

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// run runs a command of the binary against p and gives what it prints.
func (p *process) run(t testing.TB, args ...string) (out, complaint string, err error) {
	t.Helper()
	var said, complained strings.Builder
	c := command(t, args...)
	c.Env = append(c.Environ(), "OTTLA_BROKERS="+p.kafka, "OTTLA_HTTP="+p.http)
	c.Stdout, c.Stderr = &said, &complained
	err = c.Run()
	return said.String(), complained.String(), err
}

// table runs a command with -o json and gives its rows, of each only the columns.
func (p *process) table(t testing.TB, columns []string, args ...string) [][]any {
	t.Helper()
	out, complaint, err := p.run(t, append(args, "-o", "json")...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, complaint)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	var picked [][]any
	for _, row := range rows {
		var cells []any
		for _, column := range columns {
			cell, ok := row[column]
			if !ok {
				t.Fatalf("%v: no column %s in %s", args, column, out)
			}
			cells = append(cells, cell)
		}
		picked = append(picked, cells)
	}
	return picked
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// eventually asks until the answer is what it should be. A command takes what time it takes, so there is no pause.
func eventually(t testing.TB, what string, holds func() (said any, ok bool)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		said, ok := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, said)
		}
	}
}

// The life of a group as `ottla group` shows it.
func TestGroupCommands(t *testing.T) {
	p := serve(t, t.TempDir(), "--set", "group.initial.rebalance.delay.ms=0")
	n := p.node()
	n.topic(t, "t", 2)
	n.produce(t, "t", 0, 10)

	same(t, "no groups", p.table(t, nil, "group", "list"), [][]any(nil))
	for _, args := range [][]string{{"group", "describe", "nobody"}, {"group", "explain", "nobody"}, {"group", "delete", "nobody"}, {"group", "reset-offsets", "nobody", "--to", "start"}} {
		if out, complaint, err := p.run(t, args...); err == nil || complaint == "" {
			t.Errorf("%v of a group that is not there: %q, %q", args, out, complaint)
		} else if _, ok := err.(*exec.ExitError); !ok {
			t.Errorf("%v: %v", args, err)
		}
	}

	reader := n.client(t, kgo.ClientID("the-reader"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	for got := 0; got < 10; {
		fs := reader.PollRecords(t.Context(), 10)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		got += fs.NumRecords()
	}
	if err := reader.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.produce(t, "t", 0, 5)

	same(t, "list", p.table(t, []string{"name", "state", "protocol_type"}, "group", "list"), [][]any{{"g", "Stable", "consumer"}})
	same(t, "list of others", p.table(t, nil, "group", "list", "--state", "Empty"), [][]any(nil))
	same(t, "describe", p.table(t, []string{"group", "topic", "partition", "committed", "end", "lag"}, "group", "describe", "g"), [][]any{{"g", "t", 0., 10., 15., 5.}, {"g", "t", 1., nil, 0., 0.}})
	same(t, "members", p.table(t, []string{"group", "instance", "client", "partitions"}, "group", "describe", "g", "--members"), [][]any{{"g", nil, "the-reader", 2.}})
	text, _, _ := p.run(t, "group", "explain", "g")
	matches(t, "explain", text, `^Group g is Stable since \S+ \S+ \(\S+ ago\), with 1 member. Every member has its partitions.

Its members, in generation 1:
  the-reader-\S+, client "the-reader" at 127.0.0.1, a member since \S+ \S+ \(\S+ ago\)

The last rebalance began at \S+ \S+ \(\S+ ago\) and took \S+, because: Adding new member the-reader-\S+ .*

It is 5 records behind, \S+ in time; furthest in t-0 with 5.
$`)
	for _, args := range [][]string{{"group", "delete", "g"}, {"group", "reset-offsets", "g", "--to", "start"}} {
		if _, complaint, err := p.run(t, args...); err == nil {
			t.Errorf("%v with somebody in it: %q", args, complaint)
		}
	}

	reader.Close()
	eventually(t, "the group is empty", func() (any, bool) {
		rows := p.table(t, []string{"name", "state"}, "group", "list", "--state", "Empty")
		return rows, reflect.DeepEqual(rows, [][]any{{"g", "Empty"}})
	})
	text, _, _ = p.run(t, "group", "explain", "g")
	matches(t, "explain of an empty group", text, "^Group g is Empty since \\S+ \\S+ \\(\\S+ ago\\), with 0 members. Nobody reads.\n"+
		"\nThe last rebalance began at \\S+ \\S+ \\(\\S+ ago\\) and took 0s, because: explicit `LeaveGroup` request for \\(the-reader-\\S+\\) members; client reason: .*\n"+
		"\nIt is 5 records behind, \\S+ in time; furthest in t-0 with 5.\n$")

	columns := []string{"topic", "partition", "before", "after"}
	want := [][]any{{"t", 0., 10., 0.}, {"t", 1., nil, 0.}}
	same(t, "a dry run", p.table(t, columns, "group", "reset-offsets", "g", "--to", "start", "--dry-run"), want)
	same(t, "after the dry run", n.committed(t, "g", "t", 0), int64(10))
	same(t, "reset", p.table(t, columns, "group", "reset-offsets", "g", "--to", "start"), want)
	same(t, "after the reset", n.committed(t, "g", "t", 0), int64(0))
	same(t, "reset to -3", p.table(t, columns, "group", "reset-offsets", "g", "--to", "-3", "--topic", "t"), [][]any{{"t", 0., 0., 12.}, {"t", 1., 0., 0.}})

	if _, complaint, err := p.run(t, "group", "delete", "g"); err != nil {
		t.Fatalf("%v: %s", err, complaint)
	}
	same(t, "after the deletion", p.table(t, nil, "group", "list"), [][]any(nil))
	same(t, "its offset", n.committed(t, "g", "t", 0), int64(-1))
}

func matches(t testing.TB, what, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s:\n%s", what, text)
	}
}
