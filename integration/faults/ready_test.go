//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func readyCases() []fault {
	return []fault{{id: "ready", name: "time to ready: much data after kill -9, many partitions after a clean stop", run: timeToReady}}
}

// timeToReady prints how long starts take, and what they read: after kill -9 with FAULTS_GB gigabytes (1 without it) in 1,000 partitions, and after a clean stop with
// FAULTS_PARTITIONS partitions (2,000 without it). Logs are loaded at first use, so the time until every partition has told its end is told as well. There is no limit: a
// machine under load would break it.
func timeToReady(r *rig) {
	gb, partitions := r.setting("FAULTS_GB", 1), int32(r.setting("FAULTS_PARTITIONS", 2000))
	n := r.started(filepath.Join(r.dir, "large"))
	n.topic("large", 1000)
	n.bulk("large", 1000, int64(gb)<<30)
	ends := n.ends(map[string]int32{"large": 1000})
	n.kill()
	r.outcome.Faults++
	n.measureStart("killed", ends)
	n.stop()

	n = r.started(filepath.Join(r.dir, "many"))
	topics := map[string]int32{}
	for made := int32(0); made < partitions; made += 500 {
		topic, count := r.name("many"), min(500, partitions-made)
		topics[topic] = count
		n.topic(topic, count, "ottla.durability", "memory")
		n.bulk(topic, count, int64(count)*8*100_000)
	}
	ends = n.ends(topics)
	n.stop()
	n.measureStart("clean", ends)
	n.stop()
}

// measureStart starts the node and keeps what that took, to ready and to the last of the partitions, which may not end before where they did.
func (n *node) measureStart(start string, ends map[protocol.TopicPartition]int64) {
	r := n.rig
	r.Helper()
	began := time.Now()
	n.mustStart()
	r.slowest(start+"_ready_ms", n.readyIn)
	r.figures(n, start+"_ready")
	topics := map[string]int32{}
	for tp := range ends {
		topics[tp.Topic]++
	}
	for tp, end := range n.ends(topics) {
		if end < ends[tp] { // more may have been visible since
			r.Errorf("lost: %s ended at %d, and after a start (%s) at %d", tp, ends[tp], start, end)
		}
	}
	r.slowest(start+"_all_answered_ms", time.Since(began))
	r.figures(n, start+"_all_answered")
}

// ends asks for the end offsets of all partitions of topics, each topic in one request.
func (n *node) ends(topics map[string]int32) map[protocol.TopicPartition]int64 {
	n.rig.Helper()
	ends := map[protocol.TopicPartition]int64{}
	for topic, partitions := range topics {
		c, err := n.raw()
		n.rig.must(err, "dial")
		req, resp := newListOffsets(), kmsg.NewPtrListOffsetsResponse()
		for p := range partitions {
			addOffset(req, topic, p, latest)
		}
		n.rig.must(c.call(req, resp), "ends of %s", topic)
		for _, p := range resp.Topics[0].Partitions {
			n.rig.must(kerr.ErrorForCode(p.ErrorCode), "end of %s-%d", topic, p.Partition)
			ends[protocol.TopicPartition{Topic: topic, Partition: p.Partition}] = p.Offset
		}
	}
	return ends
}

// recoveryFigures are the series of /metrics that tell of recoveries.
var recoveryFigures = []string{"recoveries_total", "recovery_read_bytes_total", "recovery_cut_bytes_total", "recovery_seconds_total"}

// figures keeps what the node says of its start: how much recovery has read, and how much the process has read at all.
func (r *rig) figures(n *node, start string) {
	r.Helper()
	for _, name := range recoveryFigures {
		r.outcome.Figures[start+"_"+name] = n.metric("ottla_log_" + name)
	}
	b, err := os.ReadFile("/proc/" + n.pid() + "/io")
	r.must(err, "what the process has read")
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "rchar: "); ok {
			r.outcome.Figures[start+"_read_bytes"], err = strconv.ParseFloat(value, 64)
			r.must(err, "rchar")
		}
	}
}

// setting is a number from the environment.
func (r *rig) setting(name string, without int) int {
	r.Helper()
	s := os.Getenv(name)
	if s == "" {
		return without
	}
	v, err := strconv.Atoi(s)
	r.must(err, "%s", name)
	return v
}
