package main

import (
	"strings"
	"testing"
)

func TestClusterMembers(t *testing.T) {
	b := startBroker(t)
	for _, c := range []struct{ args, says string }{
		{"unregister 9", "Broker ID 9 is not currently registered"},
		{"unregister 1", "part of the voter set"},
		{"unregister -- -1", "want a number"},
		{"unregister x", "want a number"},
		{"add-voter 9", "node 9 is no member"},
		{"add-voter 1", "already part of the set of voters"},
		{"remove-voter 9", "node 9 is no member"},
		{"remove-voter 1", "no other controller is ready"},
	} {
		if out, err := run(t.Context(), nil, append([]string{"cluster", "-b", b.address}, strings.Fields(c.args)...)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
	}
	if out := b.ottla(t, "", "cluster", "describe"); !strings.Contains(out, "live") || strings.Contains(out, "One voter") {
		t.Error(out)
	}
}

// What the tables do not tell is told in words, and what is not known is a dash.
func TestQuorumInWords(t *testing.T) {
	of := func(n int) []replicaView { return make([]replicaView, n) }
	for _, c := range []struct {
		voters, learners int
		says             string
	}{{1, 0, ""}, {1, 1, "With a third node"}, {1, 2, "become voters"}, {3, 0, ""}, {3, 1, ""}} {
		q := quorumView{Voters: of(c.voters), Observers: of(c.learners)}
		if got := q.words(); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%d voters, %d learners: %q", c.voters, c.learners, got)
		}
	}
	q := quorumView{Leader: 1, HighWatermark: 10}
	for _, c := range []struct {
		r    replicaView
		want [4]any
	}{
		{replicaView{ID: 1, LogEnd: 11}, [4]any{int32(1), "leader", int64(11), int64(0)}},
		{replicaView{ID: 2, LogEnd: 7}, [4]any{int32(2), "voter", int64(7), int64(3)}},
		{replicaView{ID: -1, LogEnd: -1}, [4]any{nil, "voter, disk lost", nil, nil}},
	} {
		if got := [4]any(c.r.row("voter", &q)); got != c.want {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}
