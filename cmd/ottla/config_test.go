package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "", "topic", "create", "a")
	for _, target := range []struct{ name, key string }{{"topic/a", "retention.ms"}, {"broker/1", "log.cleaner.threads"}, {"cluster", "log.retention.ms"}} {
		b.ottla(t, "", "config", "set", target.name, target.key+"=4321")
		if got := b.ottla(t, "", "config", "get", target.name, target.key); got != "4321\n" {
			t.Errorf("%s: %q", target.name, got)
		}
		var list []struct{ Config, Value, Source string }
		if err := json.Unmarshal([]byte(b.ottla(t, "", "config", "list", target.name, "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, c := range list {
			found = found || c.Config == target.key && c.Value == "4321" && strings.HasPrefix(c.Source, "DYNAMIC_")
			if strings.HasPrefix(c.Source, "DEFAULT") {
				t.Errorf("%s: %+v is at its default", target.name, c)
			}
		}
		if !found {
			t.Errorf("%s: %+v", target.name, list)
		}
		b.ottla(t, "", "config", "unset", target.name, target.key)
		if out := b.ottla(t, "", "config", "list", target.name); strings.Contains(out, "4321") {
			t.Errorf("%s: %s", target.name, out)
		}
	}
	if out := b.ottla(t, "", "config", "list", "topic/a", "--all"); !strings.Contains(out, "segment.bytes") {
		t.Error(out)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "a"}, "no target"}, {[]string{"list", "broker/x"}, "no target"}, {[]string{"list", "topic/"}, "no target"}, {[]string{"list", "broker/7"}, "broker"},
		{[]string{"list", "topic/absent"}, "topic/absent: UNKNOWN_TOPIC_OR_PARTITION"}, {[]string{"get", "topic/a", "nope"}, "no config"}, {[]string{"get", "cluster", "nope"}, "not set"},
		{[]string{"set", "topic/a", "retention.ms=soon"}, "INVALID_CONFIG"}, {[]string{"set", "topic/a", "retention.ms"}, "KEY=VALUE"}, {[]string{"set", "topic/a", "a=1", "a=2"}, "twice"},
	} {
		if _, err := run(t.Context(), nil, append(append([]string{"config"}, c.args...), "-b", b.address)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

func TestCluster(t *testing.T) {
	b := startBroker(t)
	var v clusterView
	if err := json.Unmarshal([]byte(b.ottla(t, "", "cluster", "describe", "-o", "json")), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.ID) != 22 || v.Controller != 1 || len(v.Nodes) != 1 || v.Nodes[0].Address != b.address || v.Nodes[0].Fenced {
		t.Errorf("%+v", v)
	}
	if q := v.Quorum; q.Leader != 1 || q.Epoch < 1 || q.HighWatermark < 1 || len(q.Voters) != 1 || q.Voters[0].LogEnd != q.HighWatermark || q.Voters[0].CaughtUp == nil || len(q.Observers) != 0 {
		t.Errorf("%+v", q)
	}
	out := b.ottla(t, "", "cluster", "describe")
	for _, want := range []string{"cluster " + v.ID + ", controller 1", "\n1     " + b.address + "  -     live\n", "quorum: leader 1 in epoch", "leader  "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestLogDirs asks a node for the sizes of its logs: absolute paths, and no metadata log.
func TestLogDirs(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "one\ntwo\n", "produce", "t")
	to := connection{brokers: []string{b.address}}
	adm, done, err := to.admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	dirs, err := adm.DescribeAllLogDirs(t.Context(), nil)
	if err != nil || len(dirs[1]) != 1 {
		t.Fatal(dirs, err)
	}
	d := dirs[1][b.data]
	p, ok := d.Topics.Lookup("t", 0)
	if !ok || p.Size <= 0 || len(d.Topics) != 1 {
		t.Errorf("%+v", dirs)
	}
}
