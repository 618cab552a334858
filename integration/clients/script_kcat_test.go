//go:build clients

package clients

import (
	"fmt"
	"slices"
	"strings"
)

// kcatSteps are what librdkafka does, by kcat. Client ids order the members of a group, so that it is known who gets what.
func kcatSteps() []step {
	return slices.Concat(kcatFill(), kcatCodecs(), kcatPlaces(), kcatGroups(), kcatStatic())
}

const kcatTopic = "kr"

func kcatFill() []step {
	var keyed strings.Builder
	for i := range 40 {
		fmt.Fprintf(&keyed, "key-%d:value-%d\n", i, i)
	}
	return []step{
		{name: "kcat: topic", tool: topics, args: "--bootstrap-server $B --create --partitions 6 --config retention.ms=-1 --topic " + kcatTopic},
		{name: "kcat: fill by key", tool: kcat, args: "-b $B -P -t " + kcatTopic + " -K: -X topic.partitioner=murmur2 -X enable.idempotence=true", stdin: keyed.String()},
		{name: "kcat: all of it", tool: kcat, args: "-b $B -C -t " + kcatTopic + " -o beginning -e -q -f %p@%o,%k=%s\\n", unordered: true},
		{name: "kcat: metadata of all", tool: kcat, args: "-b $B -L -J"},
		{name: "kcat: metadata of one", tool: kcat, args: "-b $B -L -J -t " + kcatTopic},
		{name: "kcat: metadata of what is not there", tool: kcat, args: "-b $B -L -J -t kr-absent -X allow.auto.create.topics=false"},
		{name: "kcat: metadata of what is none", tool: kcat, args: "-b $B -L -t kr/none"},
	}
}

// kcatCodecs write 2,000 records with headers by an idempotent producer, some of them large, tombstones and empty ones among them.
func kcatCodecs() []step {
	var lines strings.Builder
	for i := range 2000 {
		switch i % 100 {
		case 1:
			fmt.Fprintf(&lines, "k%d:\n", i)
		case 2:
			fmt.Fprintf(&lines, ":%d\n", i)
		case 3:
			fmt.Fprintf(&lines, "k%d:%s\n", i, strings.Repeat("long ", 1000))
		default:
			fmt.Fprintf(&lines, "k%d:v%d\n", i, i)
		}
	}
	var steps []step
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := "kr-" + codec
		steps = append(steps,
			step{name: "kcat: idempotent, " + codec, tool: kcat, stdin: lines.String(), args: "-b $B -P -p 0 -K: -Z -z " + codec + " -H a=1 -H b= -H a=2 -H c -X enable.idempotence=true -X linger.ms=50 -t " + topic},
			step{name: "kcat: read " + codec, tool: kcat, args: "-b $B -C -p 0 -o beginning -e -q -f %o,%K,%k,%S,%h\\n -t " + topic},
			step{name: "kcat: read the end of " + codec, tool: kcat, args: "-b $B -C -p 0 -o -3 -e -J -X check.crcs=true -t " + topic},
			step{name: "kcat: read bit by bit, " + codec, tool: kcat, args: "-b $B -C -p 0 -o 1900 -e -q -f %o,%k\\n -X fetch.message.max.bytes=1000 -X fetch.max.bytes=1000000 -t " + topic},
		)
	}
	return append(steps,
		step{name: "kcat: a partition that is not there", tool: kcat, stdin: "x\n", args: "-b $B -P -t " + kcatTopic + " -p 9 -X message.timeout.ms=3000"},
		step{name: "kcat: a topic that is none", tool: kcat, stdin: "x\n", args: "-b $B -P -t kr/none -p 0 -X message.timeout.ms=3000"},
		step{name: "kcat: topic of small records", tool: topics, args: "--bootstrap-server $B --create --topic kr-small --config max.message.bytes=1000"},
		step{name: "kcat: idempotent, too large", tool: kcat, stdin: strings.Repeat("x", 3000), args: "-b $B -P -t kr-small -p 0 -X enable.idempotence=true"},
		step{name: "kcat: batches too large", tool: kcat, stdin: strings.Repeat(strings.Repeat("x", 400)+"\n", 10), args: "-b $B -P -t kr-small -p 0 -X linger.ms=500"},
		step{name: "kcat: what has come of them", tool: kcat, args: "-b $B -C -t kr-small -p 0 -o beginning -e -q -f %o,%S\\n"},
	)
}

func kcatPlaces() []step {
	steps := []step{
		{name: "kcat: from a time", tool: kcat, args: "-b $B -C -t kr-none -p 0 -o s@1000 -e -q -c 2 -f %o,%k\\n"},
		{name: "kcat: up to a time to come", tool: kcat, args: "-b $B -C -t kr-lz4 -p 0 -o 1997 -o e@9999999999999 -e -q -f %o,%k\\n"},
		{name: "kcat: from a time to come", tool: kcat, args: "-b $B -C -t kr-none -p 0 -o s@9999999999999 -e -f %o,%k\\n"},
		{name: "kcat: from beyond the end", tool: kcat, args: "-b $B -C -t kr-none -p 0 -o 5000 -e -X auto.offset.reset=latest -f %o,%k\\n"},
		{name: "kcat: only what is committed", tool: kcat, args: "-b $B -C -t kr-none -p 0 -o -2 -e -X isolation.level=read_committed -f %o,%k\\n"},
	}
	for _, at := range []string{"-1", "-2", "0", "1000", "9999999999999"} {
		steps = append(steps, step{name: "kcat: offsets at " + at, tool: kcat, args: fmt.Sprintf("-b $B -Q -t kr-none:0:%s -t kr:0:%[1]s -t kr:5:%[1]s -t kr-small:0:%[1]s", at), unordered: true})
	}
	return append(steps,
		step{name: "kcat: offsets where there is no partition", tool: kcat, args: "-b $B -Q -t kr:9:0"},
		step{name: "kcat: offsets where there is no topic", tool: kcat, args: "-b $B -Q -t kr-absent:0:0 -X allow.auto.create.topics=false"},
	)
}

// How kcat says what a member was given.
const (
	allOfKcat  = ": kr [0], kr [1], kr [2], kr [3], kr [4], kr [5]\n"
	halfOfKcat = "assigned: kr [0], kr [1], kr [2]\n"
)

// kcatGroups are a group of three for every assignor: one dies, and the others share what it had. The three groups go through it together, so that their sessions end together.
func kcatGroups() []step {
	type wait struct{ first, second, third, left, again string }
	plans := []struct {
		assignor string
		a        wait // what a says when it is alone, with b, with c, without c, alone again
	}{
		{"range", wait{"assigned" + allOfKcat, halfOfKcat, "assigned: kr [0], kr [1]\n", halfOfKcat, "assigned" + allOfKcat}},
		{"roundrobin", wait{"assigned" + allOfKcat, "assigned: kr [0], kr [2], kr [4]\n", "assigned: kr [0], kr [3]\n", "assigned: kr [0], kr [2], kr [4]\n", "assigned" + allOfKcat}},
		{"cooperative-sticky", wait{"COOPERATIVE rebalance protocol)" + allOfKcat, "incremental revoke of 3 partition(s)", "incremental revoke of 1 partition(s)", "incremental assignment of 1 partition(s)", "incremental assignment of 3 partition(s)"}},
	}
	var steps []step
	phase := func(make func(assignor string, a wait) []step) {
		for _, p := range plans {
			steps = append(steps, make(p.assignor, p.a)...)
		}
	}
	join := func(assignor, member, until string) step {
		return step{name: fmt.Sprintf("kcat: %s: %s joins", assignor, member), tool: kcat, until: until,
			args: fmt.Sprintf("-b $B -G kr-%s -X client.id=%s -X partition.assignment.strategy=%[1]s -X session.timeout.ms=6000 -X heartbeat.interval.ms=300 -X auto.offset.reset=earliest kr", assignor, member)}
	}
	a := func(assignor string) string { return "kcat: " + assignor + ": a joins" }
	phase(func(s string, w wait) []step { return []step{join(s, "a", w.first)} })
	phase(func(s string, w wait) []step {
		return []step{join(s, "b", "Reached end"), {name: "kcat: " + s + ": a shares with b", waits: a(s), until: w.second}}
	})
	phase(func(s string, w wait) []step {
		return []step{join(s, "c", "Reached end"), {name: "kcat: " + s + ": a shares with b and c", waits: a(s), until: w.third}}
	})
	phase(func(s string, w wait) []step {
		return []step{{name: "kcat: " + s + ": c dies", kills: "kcat: " + s + ": c joins", only: "rebalanced"}}
	})
	phase(func(s string, w wait) []step {
		return []step{
			{name: "kcat: " + s + ": a without c", waits: a(s), until: w.left},
			{name: "kcat: " + s + ": b ends", ends: "kcat: " + s + ": b joins", only: "rebalanced"},
			{name: "kcat: " + s + ": a alone", waits: a(s), until: w.again},
			{name: "kcat: " + s + ": a ends", ends: a(s), only: "rebalanced"},
			{name: "kcat: " + s + ": nothing is left to read", tool: kcat, args: "-b $B -G kr-" + s + " -e -q -X auto.offset.reset=earliest -X partition.assignment.strategy=" + s + " kr"},
		}
	})
	return steps
}

// kcatStatic restart one of two members with instance ids inside its session, then start its twin.
func kcatStatic() []step {
	join := func(name, instance, until string) step {
		return step{name: "kcat: static: " + name + " joins", tool: kcat, until: until,
			args: fmt.Sprintf("-b $B -G kr-static -X client.id=%s -X group.instance.id=%s -X partition.assignment.strategy=range -X session.timeout.ms=8000 -X heartbeat.interval.ms=300 -X auto.offset.reset=latest kr", name, instance)}
	}
	return []step{
		join("a", "one", "assigned"+allOfKcat),
		join("b", "two", "assigned: kr [3], kr [4], kr [5]\n"),
		{name: "kcat: static: a shares with b", waits: "kcat: static: a joins", until: halfOfKcat},
		{name: "kcat: static: b ends", ends: "kcat: static: b joins", only: "rebalanced"},
		{name: "kcat: static: the group while b is away", tool: groups, args: onGroup + "kr-static --members --verbose", unordered: true},
		join("b2", "two", "assigned: kr [3], kr [4], kr [5]\n"),
		join("twin", "two", "assigned: kr [3], kr [4], kr [5]\n"),
		{name: "kcat: static: b is fenced", waits: "kcat: static: b2 joins", until: "fenced"},
		{name: "kcat: static: the twin ends", ends: "kcat: static: twin joins", only: "rebalanced"},
		{name: "kcat: static: a ends", ends: "kcat: static: a joins", only: "rebalanced"},
	}
}
