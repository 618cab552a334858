//go:build clients

package clients

import (
	"fmt"
	"strings"
)

// step is one invocation. In args, $B is the broker's address and $D a folder for files. A tool that begins with a class name of Kafka's runs in Java.
type step struct {
	name  string
	tool  string
	args  string
	stdin string
	files map[string]string // written into $D first
	// unordered output has lines in an order that means nothing (a hash table's): they are sorted.
	unordered bool
	only      string // keeps the lines that have this in them
	until     string // left running once it has said this; what it said is another's, which
	ends      string // names the step that was left running
	kills     string // as ends, without a warning
	waits     string // names a step that was left running and has to say until
}

const (
	topics   = "org.apache.kafka.tools.TopicCommand"
	configs  = "kafka.admin.ConfigCommand"
	producer = "org.apache.kafka.tools.ConsoleProducer"
	consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	offsets  = "org.apache.kafka.tools.GetOffsetShell"
	deleter  = "org.apache.kafka.tools.DeleteRecordsCommand"
	perf     = "org.apache.kafka.tools.ProducerPerformance"
	cluster  = "org.apache.kafka.tools.ClusterTool"
	kcat     = "kcat"
)

// script is what is asked of both brokers, in order.
func script() []step {
	steps := []step{
		{name: "create", tool: topics, args: "--bootstrap-server $B --create --topic one --partitions 3 --replication-factor 1"},
		{name: "create again", tool: topics, args: "--bootstrap-server $B --create --topic one --partitions 3"},
		{name: "create if absent", tool: topics, args: "--bootstrap-server $B --create --if-not-exists --topic one"},
		{name: "create with defaults", tool: topics, args: "--bootstrap-server $B --create --topic defaults"},
		{name: "create with configs", tool: topics, args: "--bootstrap-server $B --create --topic tuned --partitions 2 --config retention.ms=100000 --config compression.type=zstd --config cleanup.policy=compact,delete"},
		{name: "create with an assignment", tool: topics, args: "--bootstrap-server $B --create --topic placed --replica-assignment 1,1"},
		{name: "create with a bad config", tool: topics, args: "--bootstrap-server $B --create --topic bad --config no.such=1"},
		{name: "create with a bad value", tool: topics, args: "--bootstrap-server $B --create --topic bad --config retention.ms=soon"},
		{name: "create with a bad name", tool: topics, args: "--bootstrap-server $B --create --topic a/b"},
		{name: "create with too many replicas", tool: topics, args: "--bootstrap-server $B --create --topic bad --replication-factor 3"},
		{name: "create with no partitions", tool: topics, args: "--bootstrap-server $B --create --topic bad --partitions 0"},
		{name: "create with a colliding name", tool: topics, args: "--bootstrap-server $B --create --topic a.b"},
		{name: "create with a colliding name, 2", tool: topics, args: "--bootstrap-server $B --create --topic a_b"},
		{name: "list", tool: topics, args: "--bootstrap-server $B --list"},
		{name: "describe one", tool: topics, args: "--bootstrap-server $B --describe --topic one"},
		{name: "describe tuned", tool: topics, args: "--bootstrap-server $B --describe --topic tuned"},
		{name: "describe all", tool: topics, args: "--bootstrap-server $B --describe", unordered: true},
		{name: "describe absent", tool: topics, args: "--bootstrap-server $B --describe --topic absent"},
		{name: "describe with overrides", tool: topics, args: "--bootstrap-server $B --describe --topics-with-overrides", unordered: true},
		{name: "grow", tool: topics, args: "--bootstrap-server $B --alter --topic one --partitions 5"},
		{name: "shrink", tool: topics, args: "--bootstrap-server $B --alter --topic one --partitions 2"},
		{name: "describe grown", tool: topics, args: "--bootstrap-server $B --describe --topic one"},
		{name: "configs of a topic", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name tuned --describe"},
		{name: "all configs of a topic", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name tuned --describe --all"},
		{name: "set a config", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --alter --add-config retention.ms=3600000,segment.bytes=2097152"},
		{name: "configs after setting", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --describe"},
		{name: "unset a config", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --alter --delete-config retention.ms"},
		{name: "configs after unsetting", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --describe"},
		{name: "set a bad value", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --alter --add-config cleanup.policy=burn"},
		{name: "set an unknown config", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --alter --add-config no.such=1"},
		{name: "set on an absent topic", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name absent --alter --add-config retention.ms=1"},
		{name: "unset what is not set", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name one --alter --delete-config retention.bytes"},
		{name: "set a cluster default", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-default --alter --add-config log.retention.ms=7200000"},
		{name: "cluster defaults", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-default --describe"},
		{name: "a topic under the cluster default", tool: configs, args: "--bootstrap-server $B --entity-type topics --entity-name placed --describe --all"},
		{name: "set on a broker", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-name 1 --alter --add-config log.cleaner.threads=2"},
		{name: "configs of a broker", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-name 1 --describe"},
		{name: "set a read-only broker config", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-name 1 --alter --add-config log.dirs=/elsewhere"},
		{name: "unset a cluster default", tool: configs, args: "--bootstrap-server $B --entity-type brokers --entity-default --alter --delete-config log.retention.ms"},
		{name: "perf", tool: perf, args: "--topic one --num-records 50000 --record-size 100 --throughput -1 --bootstrap-server $B"},
		{name: "end offsets", tool: offsets, args: "--bootstrap-server $B --topic tuned"},
		{name: "offsets of an absent topic", tool: offsets, args: "--bootstrap-server $B --topic absent"},
		{name: "cluster id", tool: cluster, args: "cluster-id --bootstrap-server $B"},
		{name: "list endpoints", tool: cluster, args: "list-endpoints --bootstrap-server $B"},
	}
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := "codec-" + codec
		steps = append(steps,
			step{name: "produce " + codec, tool: producer, stdin: "k1:v1\nk2:v2\nk3:" + strings.Repeat("long ", 2000) + "\n",
				args: fmt.Sprintf("--bootstrap-server $B --topic %s --compression-codec %s --property parse.key=true --property key.separator=: --request-required-acks %s", topic, codec, []string{"-1", "1", "all", "1", "-1"}[i])},
			step{name: "consume " + codec, tool: consumer, args: fmt.Sprintf("--bootstrap-server $B --topic %s --partition 0 --offset earliest --max-messages 3 --timeout-ms 20000 --formatter-property print.key=true --formatter-property print.offset=true --formatter-property print.headers=true --formatter-property print.partition=true", topic)},
			step{name: "kcat produce " + codec, tool: kcat, stdin: "a:1\nb:2\nc:3\n", args: fmt.Sprintf("-b $B -P -t kcat-%s -p 0 -K: -z %s -H h1=x -H h2=y -X acks=%s -X enable.idempotence=%v", codec, codec, []string{"all", "1", "0", "all", "all"}[i], i == 0 || i == 3)},
			step{name: "kcat consume " + codec, tool: kcat, args: fmt.Sprintf("-b $B -C -t kcat-%s -p 0 -o beginning -e -q -f %%o,%%k,%%s,%%h,%%p\\n", codec)},
		)
	}
	return append(steps,
		step{name: "start offsets", tool: offsets, args: "--bootstrap-server $B --topic codec-none --time -2"},
		// Two invocations, one record each: the second is later by any clock. Records of one invocation may share their millisecond.
		step{name: "an early record", tool: kcat, stdin: "early\n", args: "-b $B -P -t stamped -p 0"},
		step{name: "a late record", tool: kcat, stdin: "late\n", args: "-b $B -P -t stamped -p 0"},
		step{name: "offset of the largest timestamp", tool: offsets, args: "--bootstrap-server $B --topic stamped --time -3"},
		step{name: "offset of a time", tool: offsets, args: "--bootstrap-server $B --topic codec-none --time 1000"},
		step{name: "offset of a time to come", tool: offsets, args: "--bootstrap-server $B --topic codec-none --time 99999999999999"},
		step{name: "local and tiered offsets", tool: offsets, args: "--bootstrap-server $B --topic codec-none --time -4"},
		step{name: "delete records", tool: deleter, args: "--bootstrap-server $B --offset-json-file $D/delete.json", unordered: true,
			files: map[string]string{"delete.json": `{"partitions":[{"topic":"codec-none","partition":0,"offset":2},{"topic":"codec-gzip","partition":0,"offset":-1}],"version":1}`}},
		step{name: "delete records beyond the end", tool: deleter, args: "--bootstrap-server $B --offset-json-file $D/delete.json",
			files: map[string]string{"delete.json": `{"partitions":[{"topic":"codec-none","partition":0,"offset":2000}],"version":1}`}},
		step{name: "delete records of an absent topic", tool: deleter, args: "--bootstrap-server $B --offset-json-file $D/delete.json",
			files: map[string]string{"delete.json": `{"partitions":[{"topic":"absent","partition":0,"offset":1}],"version":1}`}},
		step{name: "start offsets after deleting", tool: offsets, args: "--bootstrap-server $B --topic-partitions codec-none:0,codec-gzip:0 --time earliest"},
		step{name: "consume after deleting", tool: consumer, args: "--bootstrap-server $B --topic codec-none --partition 0 --offset earliest --max-messages 1 --timeout-ms 20000 --formatter-property print.key=true --formatter-property print.offset=true"},
		step{name: "kcat metadata", tool: kcat, args: "-b $B -L -t one"},
		step{name: "kcat offset of a time", tool: kcat, args: "-b $B -Q -t codec-none:0:1000"},
		step{name: "kcat from an offset out of range", tool: kcat, args: "-b $B -C -t codec-zstd -p 0 -o 1 -c 1 -q -f %o,%k\\n"},
		step{name: "too large for the topic", tool: topics, args: "--bootstrap-server $B --create --topic small --partitions 1 --config max.message.bytes=1000"},
		step{name: "produce too large", tool: kcat, stdin: strings.Repeat("x", 5000), args: "-b $B -P -t small -p 0"},
		step{name: "compacted", tool: topics, args: "--bootstrap-server $B --create --topic compacted --partitions 1 --config cleanup.policy=compact"},
		step{name: "produce without a key", tool: kcat, stdin: "nokey\n", args: "-b $B -P -t compacted -p 0"},
		step{name: "delete records of a compacted topic", tool: deleter, args: "--bootstrap-server $B --offset-json-file $D/delete.json",
			files: map[string]string{"delete.json": `{"partitions":[{"topic":"compacted","partition":0,"offset":0}],"version":1}`}},
		step{name: "delete", tool: topics, args: "--bootstrap-server $B --delete --topic one"},
		step{name: "delete absent", tool: topics, args: "--bootstrap-server $B --delete --topic absent"},
		step{name: "list at the end", tool: topics, args: "--bootstrap-server $B --list"},
	)
}
