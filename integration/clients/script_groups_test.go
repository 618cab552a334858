//go:build clients

package clients

import "slices"

const (
	groups     = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	allGroups  = "org.apache.kafka.tools.GroupsCommand"
	logDirs    = "org.apache.kafka.tools.LogDirsCommand"
	verifyIn   = "org.apache.kafka.tools.VerifiableProducer"
	verifyOut  = "org.apache.kafka.tools.VerifiableConsumer"
	perfOut    = "org.apache.kafka.tools.ConsumerPerformance"
	onGroup    = "--bootstrap-server $B --describe --group "
	resetGroup = "--bootstrap-server $B --reset-offsets --group "
)

// groupSteps are what consumers and those who look after them do. Lag is shown, so every topic's records are written first.
func groupSteps() []step {
	return slices.Concat(consumeSteps(), describeSteps(), resetSteps(), memberSteps(), forgetSteps(), otherToolSteps())
}

// consumeSteps commit offsets: of group "part" at 4 of kg-one's 10, of group "whole" at the ends of kg-three.
func consumeSteps() []step {
	const ten = "a:0\nb:1\nc:2\nd:3\ne:4\nf:5\ng:6\nh:7\ni:8\nj:9\n"
	return []step{
		{name: "groups: none", tool: groups, args: "--bootstrap-server $B --list"},
		{name: "groups: topic of one", tool: topics, args: "--bootstrap-server $B --create --topic kg-one --partitions 1"},
		{name: "groups: topic of three", tool: topics, args: "--bootstrap-server $B --create --topic kg-three --partitions 3"},
		{name: "groups: fill one", tool: kcat, args: "-b $B -P -t kg-one -p 0 -K:", stdin: ten},
		{name: "groups: fill three-0", tool: kcat, args: "-b $B -P -t kg-three -p 0 -K:", stdin: ten},
		{name: "groups: fill three-1", tool: kcat, args: "-b $B -P -t kg-three -p 1 -K:", stdin: ten[:12]},
		{name: "groups: fill three-2", tool: kcat, args: "-b $B -P -t kg-three -p 2 -K:", stdin: ten[:4]},
		{name: "groups: consume a part", tool: consumer, args: "--bootstrap-server $B --topic kg-one --group part --from-beginning --max-messages 4 --timeout-ms 20000 --formatter-property print.offset=true"},
		{name: "groups: consume the whole", tool: consumer, unordered: true,
			args: "--bootstrap-server $B --topic kg-three --group whole --from-beginning --max-messages 14 --timeout-ms 20000 --formatter-property print.offset=true --formatter-property print.partition=true --formatter-property print.key=true"},
		{name: "groups: consume nothing more", tool: consumer, args: "--bootstrap-server $B --topic kg-three --group whole --timeout-ms 3000"},
		{name: "groups: consume by pattern", tool: consumer, unordered: true, args: "--bootstrap-server $B --include kg-.* --group pattern --from-beginning --max-messages 24 --timeout-ms 20000 --formatter-property print.key=true"},
		{name: "groups: kcat consumes as a member", tool: kcat, args: "-b $B -G balanced -q -e -X auto.offset.reset=earliest -f %o,%k,%s\\n kg-one"},
		{name: "groups: kcat consumes on", tool: kcat, args: "-b $B -G part -q -e -f %o,%k,%s\\n kg-one"},
	}
}

func describeSteps() []step {
	steps := []step{
		{name: "groups: list", tool: groups, args: "--bootstrap-server $B --list", unordered: true},
		{name: "groups: list with states", tool: groups, args: "--bootstrap-server $B --list --state", unordered: true},
		{name: "groups: list the empty", tool: groups, args: "--bootstrap-server $B --list --state empty", unordered: true},
		{name: "groups: list the stable", tool: groups, args: "--bootstrap-server $B --list --state Stable,PreparingRebalance"},
		{name: "groups: list a state that is none", tool: groups, args: "--bootstrap-server $B --list --state happy"},
		{name: "groups: list with types", tool: groups, args: "--bootstrap-server $B --list --type --state", unordered: true},
		{name: "groups: list the classic", tool: groups, args: "--bootstrap-server $B --list --type classic", unordered: true},
		{name: "groups: list the newer", tool: groups, args: "--bootstrap-server $B --list --type consumer"},
		{name: "groups: list all kinds", tool: allGroups, args: "--bootstrap-server $B --list", unordered: true},
		{name: "groups: list all consumers", tool: allGroups, args: "--bootstrap-server $B --list --consumer", unordered: true},
		{name: "groups: list all classic", tool: allGroups, args: "--bootstrap-server $B --list --group-type classic", unordered: true},
		{name: "groups: list a protocol", tool: allGroups, args: "--bootstrap-server $B --list --protocol consumer", unordered: true},
		{name: "groups: list an unused protocol", tool: allGroups, args: "--bootstrap-server $B --list --protocol connect"},
		{name: "groups: list share groups", tool: allGroups, args: "--bootstrap-server $B --list --share"},
		{name: "groups: describe all", tool: groups, args: "--bootstrap-server $B --describe --all-groups", unordered: true},
		{name: "groups: describe the states of all", tool: groups, args: "--bootstrap-server $B --describe --all-groups --state", unordered: true},
	}
	for _, group := range []string{"part", "whole", "absent"} {
		for _, how := range []string{"--offsets", "--offsets --verbose", "--members", "--members --verbose", "--state", "--state --verbose"} {
			steps = append(steps, step{name: "groups: describe " + group + " " + how, tool: groups, args: onGroup + group + " " + how, unordered: true})
		}
	}
	return steps
}

func resetSteps() []step {
	var steps []step
	reset := func(name, args string) {
		steps = append(steps, step{name: "groups: reset " + name, tool: groups, args: resetGroup + args, unordered: true})
	}
	reset("to earliest", "whole --to-earliest --topic kg-three --dry-run")
	reset("to earliest of a partition", "whole --to-earliest --topic kg-three:1 --execute")
	reset("to latest", "whole --to-latest --all-topics --execute")
	reset("to current", "whole --to-current --all-topics --dry-run")
	reset("to current without an offset", "whole --to-current --topic kg-one --dry-run")
	reset("to an offset", "whole --to-offset 3 --topic kg-three:0,1 --execute")
	reset("to an offset out of range", "whole --to-offset 300 --topic kg-three --execute")
	reset("by a shift", "whole --shift-by -1 --all-topics --execute")
	reset("by a shift too far", "whole --shift-by -100 --topic kg-three:0 --dry-run")
	reset("by a duration", "whole --by-duration P1D --topic kg-three --dry-run")
	reset("by no duration", "whole --by-duration PT0S --topic kg-three --dry-run")
	reset("to a time past", "whole --to-datetime 2001-02-03T04:05:06.789 --topic kg-three --dry-run")
	reset("to a time to come", "whole --to-datetime 2101-02-03T04:05:06.789 --topic kg-three --dry-run")
	reset("to a time that is none", "whole --to-datetime soon --topic kg-three --dry-run")
	reset("and export", "whole --to-offset 1 --all-topics --export")
	reset("and export all groups", "part --group whole --to-current --all-topics --export")
	reset("with nothing said", "whole --to-earliest --topic kg-three")
	reset("without topics", "whole --to-earliest --execute")
	reset("of an absent topic", "whole --to-earliest --topic absent --execute")
	reset("of an absent partition", "whole --to-earliest --topic kg-three:7 --execute")
	reset("of an absent group", "made --to-offset 2 --topic kg-one --execute")
	reset("of all topics of an absent group", "absent --to-earliest --all-topics --execute")
	steps = append(steps,
		step{name: "groups: reset from a file", tool: groups, args: resetGroup + "whole --from-file $D/reset.csv --execute", unordered: true,
			files: map[string]string{"reset.csv": "kg-three,0,5\nkg-three,2,1\n"}},
		step{name: "groups: reset two from a file", tool: groups, args: resetGroup + "whole --group part --from-file $D/reset.csv --dry-run", unordered: true,
			files: map[string]string{"reset.csv": "whole,kg-three,0,6\npart,kg-one,0,2\n"}},
		step{name: "groups: offsets after resets", tool: groups, args: "--bootstrap-server $B --describe --all-groups --offsets", unordered: true},
		step{name: "groups: states after resets", tool: groups, args: "--bootstrap-server $B --list --state", unordered: true},
		step{name: "groups: consume after resets", tool: kcat, args: "-b $B -G made -q -e -f %o,%k,%s\\n kg-one"})
	return steps
}

// memberSteps look at groups while members are in them: of "live" one of kcat's that has nothing to read, of "static" one with an instance id that commits nothing.
func memberSteps() []step {
	steps := []step{
		{name: "groups: reset for live", tool: groups, args: resetGroup + "live --to-latest --topic kg-one --execute"},
		{name: "groups: live joins", tool: kcat, args: "-b $B -G live kg-one", until: "at offset 10"},
		{name: "groups: static joins", tool: consumer, until: "9\n",
			args: "--bootstrap-server $B --topic kg-one --group static --from-beginning --command-property group.instance.id=fixed --command-property client.id=still --command-property enable.auto.commit=false --command-property session.timeout.ms=6000"},
	}
	for _, group := range []string{"live", "static"} {
		for _, how := range []string{"", "--verbose", "--members", "--members --verbose", "--state", "--state --verbose"} {
			steps = append(steps, step{name: "groups: describe " + group + " " + how, tool: groups, args: onGroup + group + " " + how, unordered: true})
		}
	}
	return append(steps,
		step{name: "groups: list while they live", tool: groups, args: "--bootstrap-server $B --list --state", unordered: true},
		step{name: "groups: list the stable while they live", tool: groups, args: "--bootstrap-server $B --list --state stable", unordered: true},
		step{name: "groups: reset live", tool: groups, args: resetGroup + "live --to-earliest --topic kg-one --execute"},
		step{name: "groups: delete live", tool: groups, args: "--bootstrap-server $B --delete --group live"},
		step{name: "groups: delete some, one of them live", tool: groups, args: "--bootstrap-server $B --delete --group live --group made --group absent", unordered: true},
		step{name: "groups: delete offsets of live", tool: groups, args: "--bootstrap-server $B --delete-offsets --group live --topic kg-one"},
		step{name: "groups: delete offsets of live, elsewhere", tool: groups, args: "--bootstrap-server $B --delete-offsets --group live --topic kg-three", unordered: true},
		step{name: "groups: live leaves", ends: "groups: live joins", unordered: true},
		step{name: "groups: static leaves", ends: "groups: static joins"},
		step{name: "groups: live when it has left", tool: groups, args: onGroup + "live --state"},
		step{name: "groups: members of live when it has left", tool: groups, args: onGroup + "live --members"},
	)
}

func forgetSteps() []step {
	return []step{
		{name: "groups: delete offsets", tool: groups, args: "--bootstrap-server $B --delete-offsets --group whole --topic kg-three:1", unordered: true},
		{name: "groups: delete offsets of an absent topic", tool: groups, args: "--bootstrap-server $B --delete-offsets --group whole --topic absent"},
		{name: "groups: delete offsets of an absent partition", tool: groups, args: "--bootstrap-server $B --delete-offsets --group whole --topic kg-three:9"},
		{name: "groups: delete offsets of an absent group", tool: groups, args: "--bootstrap-server $B --delete-offsets --group absent --topic kg-three:1"},
		{name: "groups: offsets after deleting some", tool: groups, args: onGroup + "whole", unordered: true},
		{name: "groups: delete", tool: groups, args: "--bootstrap-server $B --delete --group part --group balanced", unordered: true},
		{name: "groups: delete absent", tool: groups, args: "--bootstrap-server $B --delete --group absent"},
		{name: "groups: delete the last offset's topic", tool: topics, args: "--bootstrap-server $B --delete --topic kg-one"},
		{name: "groups: list at the end", tool: groups, args: "--bootstrap-server $B --list", unordered: true},
	}
}

func otherToolSteps() []step {
	return []step{
		{name: "verifiable producer", tool: verifyIn, args: "--bootstrap-server $B --topic kg-verified --max-messages 6 --acks -1", unordered: true},
		{name: "verifiable consumer", tool: verifyOut, args: "--bootstrap-server $B --topic kg-verified --group-id verified --max-messages 6 --verbose"},
		{name: "verifiable consumer, static", tool: verifyOut, args: "--bootstrap-server $B --topic kg-verified --group-id verified-2 --group-instance-id fixed --max-messages 6 --enable-autocommit"},
		{name: "groups: verified", tool: groups, args: onGroup + "verified"},
		{name: "consumer perf", tool: perfOut, args: "--bootstrap-server $B --topic kg-verified --num-records 6 --group measured"},
		{name: "groups: measured", tool: groups, args: onGroup + "measured"},
		{name: "log dirs of a topic", tool: logDirs, args: "--bootstrap-server $B --describe --topic-list kg-verified"},
		{name: "log dirs of an absent topic", tool: logDirs, args: "--bootstrap-server $B --describe --topic-list absent"},
		{name: "log dirs of a broker", tool: logDirs, args: "--bootstrap-server $B --describe --broker-list 1 --topic-list kg-verified"},
		{name: "log dirs of an absent broker", tool: logDirs, args: "--bootstrap-server $B --describe --broker-list 7"},
	}
}
