package config

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// differences are where this broker means to differ from the recording, and why.
var differences = map[string]string{
	"topic ottla.durability":                                "ours",
	"broker ottla.durability":                               "ours",
	"broker ottla.ballast.bytes":                            "ours",
	"broker ottla.disk.free.min.bytes":                      "ours",
	"broker ottla.memory.budget.bytes":                      "ours",
	"broker ottla.quorum.voters":                            "ours",
	"broker ottla.pprof":                                    "ours",
	"broker ottla.scrub.bytes.per.second":                   "ours",
	"broker ottla.scrub.period.ms":                          "ours",
	"broker leader.replication.throttled.rate":              "Kafka takes it but does not list it",
	"broker follower.replication.throttled.rate":            "Kafka takes it but does not list it",
	"broker replica.alter.log.dirs.io.max.bytes.per.second": "Kafka takes it but does not list it",
}

// otherDefaults are Kafka's defaults where ours are others, and why.
var otherDefaults = map[string]struct{ kafkas, why string }{
	"broker broker.heartbeat.interval.ms": {"2000", "a dead broker's partitions have another leader sooner"},
	"broker broker.session.timeout.ms":    {"9000", "as for broker.heartbeat.interval.ms"},
}

var scopeNames = map[string]Scope{"topic": Topic, "broker": Broker}

// lines reads a golden file without its comments, cut at tabs.
func goldenLines(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "#") {
			out = append(out, strings.Split(s.Text(), "\t"))
		}
	}
	return out
}

func TestTableIsKafkas(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range goldenLines(t, "kafka-4.3.1-configs.txt") {
		key := line[0] + " " + line[1]
		seen[key] = true
		d := Lookup(scopeNames[line[0]], line[1])
		if d == nil {
			t.Errorf("%s is missing", key)
			continue
		}
		mode := "readonly"
		if d.Mode != ReadOnly {
			mode = "dynamic"
		}
		if d.Sensitive {
			mode += " sensitive"
		}
		got := strings.Join([]string{line[0], d.Name, d.Type.String(), quoted(d.Default, d.HasDefault), mode, entries(Values{}.Synonyms(d), false)}, "\t")
		if other, ok := otherDefaults[key]; ok {
			if d.Default == other.kafkas {
				t.Errorf("%s: the default is Kafka's, though it is to be another: %s", key, other.why)
			}
			got = strings.ReplaceAll(got, strconv.Quote(d.Default), strconv.Quote(other.kafkas))
		}
		if want := strings.Join(line, "\t"); got != want {
			t.Errorf("differs\n have %s\n want %s", got, want)
		}
	}
	for name, scope := range scopeNames {
		for _, d := range All(scope) {
			key := name + " " + d.Name
			if seen[key] == (differences[key] != "") {
				t.Errorf("%s: in the recording %v, allowed to differ %q", key, seen[key], differences[key])
			}
		}
	}
}

func quoted(value string, set bool) string {
	if !set {
		return "null"
	}
	return strconv.Quote(value)
}

func entries(list []Entry, sources bool) string {
	var out []string
	for _, e := range list {
		text := e.Name + "=" + strconv.Quote(e.Value)
		if sources {
			text = strconv.Itoa(int(e.Source)) + ":" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// layerDifferences are answers in which this broker means to differ, as "scope name" and what it says instead.
var layerDifferences = map[string]struct{ value, source, why string }{
	"broker log.retention.hours":             {"100", "4", "Kafka shows the default as soon as log.retention.ms is set, with the file as its source"},
	"broker log.flush.scheduler.interval.ms": {"5000", "4", "as for log.retention.hours"},
	"topic flush.ms":                         {"5000", "4", "Kafka calls a value default that the file sets by a second synonym"},
	"topic retention.ms":                     {"360000000", "4", "as for flush.ms"},
}

func TestLayersAreKafkas(t *testing.T) {
	// A Kafka cluster with ELR begins with this default of all brokers (KIP-966).
	v := Values{Static: map[string]string{}, DynamicDefault: map[string]string{"min.insync.replicas": "1"}, DynamicBroker: map[string]string{}, Override: map[string]string{}}
	layers := map[string]map[string]string{"static": v.Static, "default": v.DynamicDefault, "broker": v.DynamicBroker, "topic": v.Override}
	for _, line := range goldenLines(t, "kafka-4.3.1-layers.txt") {
		if fields := strings.Fields(line[0]); fields[0] == "set" {
			for _, pair := range fields[2:] {
				name, value, _ := strings.Cut(pair, "=")
				layers[fields[1]][name] = value
			}
			continue
		}
		checkAnswer(t, v, line)
	}
}

func checkAnswer(t *testing.T, v Values, line []string) {
	t.Helper()
	key := line[0] + " " + line[1]
	d := Lookup(scopeNames[line[0]], line[1])
	value, source := v.Value(d)
	have := []string{quoted(value, source != Default || d.HasDefault), strconv.Itoa(int(source)), entries(v.Synonyms(d), true)}
	want := []string{line[3], line[5], line[6]}
	if allowed, ok := layerDifferences[key]; ok && have[0] == strconv.Quote(allowed.value) && have[1] == allowed.source {
		have, want = have[2:], want[2:]
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		t.Errorf("%s\n have %q\n want %q", key, have, want)
	}
}
