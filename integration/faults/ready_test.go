//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func readyCases() []fault {
	return []fault{{id: "ready", name: "time to ready: much data after kill -9, many partitions after a clean stop", run: timeToReady}}
}

// timeToReady prints how long starts take, and what they read: after kill -9 with FAULTS_GB gigabytes (1 without it) in 1,000 partitions, and after a clean stop with
// FAULTS_PARTITIONS partitions (2,000 without it). There is no limit: a machine under load would break it.
func timeToReady(r *rig) {
	gb, partitions := r.setting("FAULTS_GB", 1), int32(r.setting("FAULTS_PARTITIONS", 2000))
	n := r.started(filepath.Join(r.dir, "large"))
	n.topic("large", 1000, "ottla.durability", "memory")
	n.bulk("large", 1000, int64(gb)<<30)
	n.kill()
	r.outcome.Faults++
	n.mustStart()
	r.slowest("killed_ready_ms", n.readyIn)
	r.figures(n, "killed")
	n.stop()

	n = r.started(filepath.Join(r.dir, "many"))
	for made := int32(0); made < partitions; made += 500 {
		topic := r.name("many")
		n.topic(topic, min(500, partitions-made), "ottla.durability", "memory")
		n.bulk(topic, min(500, partitions-made), int64(min(500, partitions-made))*8*100_000)
	}
	n.stop()
	n.mustStart()
	r.slowest("clean_ready_ms", n.readyIn)
	r.figures(n, "clean")
	n.stop()
}

// figures keeps what the node says of its start: how much recovery has read, and how much the process has read at all.
func (r *rig) figures(n *node, start string) {
	r.Helper()
	_, text, err := n.ask("GET", "/metrics", "")
	r.must(err, "metrics")
	for line := range strings.Lines(text) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && strings.HasPrefix(series, "ottla_log_recover") && !strings.Contains(series, "{") {
			r.outcome.Figures[start+"_"+strings.TrimPrefix(series, "ottla_log_")], err = strconv.ParseFloat(value, 64)
			r.must(err, "metrics: %s", line)
		}
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
