//go:build clients

package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ottla/integration/kafka"
)

// The same invocations against Apache Kafka and against ottla say the same, but for what differences.txt allows.
func TestToolsSayTheSame(t *testing.T) {
	libs := kafkaLibs(t)
	allowed := readDifferences(t, "testdata/differences.txt")
	for _, c := range []struct {
		name  string
		steps []step
	}{{"topics", script()}, {"groups", groupSteps()}, {"kcat", kcatSteps()}, {"cluster", clusterSteps()}} {
		t.Run(c.name, func(t *testing.T) { sayTheSame(t, libs, c.steps, allowed) })
	}
}

func sayTheSame(t *testing.T, libs kafka.Libs, steps []step, allowed map[string]string) {
	t.Helper()
	peer, own := startKafka(t, libs), startOttla(t, "--set", "group.initial.rebalance.delay.ms=0")
	var theirs, ours map[string]string
	var both sync.WaitGroup
	both.Go(func() { theirs = transcript(t, libs, peer, steps) })
	both.Go(func() { ours = transcript(t, libs, own, steps) })
	both.Wait()
	var names []string
	for _, s := range steps {
		if s.waits == "" {
			names = append(names, s.name)
		}
	}
	judge(t, names, theirs, ours, allowed)
	if *rawMinutes != "" {
		writeTranscript(t, filepath.Join(*rawMinutes, path.Base(t.Name())+".txt"), steps, theirs)
	}
}

// judge fails for every invocation that differs and may not, or may and does not.
func judge(t *testing.T, names []string, theirs, ours, allowed map[string]string) {
	t.Helper()
	differ := 0
	for _, name := range names {
		same := theirs[name] == ours[name]
		reason, expected := allowed[name]
		switch {
		case same && expected:
			t.Errorf("%q is the same on both: take it out of differences.txt", name)
		case !same && expected:
			differ++
			t.Logf("%q differs, as allowed: %s", name, reason)
		case !same:
			differ++
			t.Errorf("%q differs.\nApache Kafka says:\n%s\nottla says:\n%s", name, theirs[name], ours[name])
		}
	}
	t.Logf("%d of %d invocations differ", differ, len(names))
}

// transcript runs the steps against b: name → normalised output.
func transcript(t *testing.T, libs kafka.Libs, b *broker, steps []step) map[string]string {
	t.Helper()
	dir := t.TempDir()
	out := map[string]string{}
	members := map[string]*member{}
	for _, s := range steps {
		for name, text := range s.files {
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(strings.ReplaceAll(text, "$D", dir)), 0o644)); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var said string
		switch {
		case s.waits != "":
			members[s.waits].await(t, s.until)
		case s.until != "":
			members[s.name] = startMember(t, s.command(t.Context(), libs, b, dir), s.until)
		case s.ends != "":
			said = members[s.ends].end(ctx, t, syscall.SIGTERM)
		case s.kills != "":
			said = members[s.kills].end(ctx, t, syscall.SIGKILL)
		default:
			said = run(s.command(ctx, libs, b, dir), s.stdin)
		}
		cancel()
		said = normalise(b, said)
		out[s.name] = s.arrange(said)
	}
	return out
}

// arrange leaves out and sorts lines as s says.
func (s step) arrange(said string) string {
	lines := strings.Split(said, "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, s.only) })
	if s.unordered {
		slices.Sort(lines)
	}
	return strings.Join(lines, "\n")
}

// command is the invocation of s against b.
func (s step) command(ctx context.Context, libs kafka.Libs, b *broker, dir string) *exec.Cmd {
	said := strings.NewReplacer("$B", b.address, "$D", dir).Replace(s.args)
	if strings.Contains(said, "$V") {
		said = strings.ReplaceAll(said, "$V", b.voterDirectory())
	}
	args := strings.Fields(said)
	if !strings.Contains(s.tool, ".") {
		return exec.CommandContext(ctx, s.tool, args...)
	}
	return libs.Tool(ctx, "256m", s.tool, args...)
}

func writeTranscript(t *testing.T, name string, steps []step, said map[string]string) {
	t.Helper()
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "=== %s\n> %s %s\n%s\n", s.name, s.tool, s.args, said[s.name])
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}

// What changes from run to run, or from broker to broker without meaning: ports, ids, times and rates.
var noise = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`TopicId: [\w-]{22}`), "TopicId: ID"},
	{regexp.MustCompile(`(Cluster ID:) [\w-]{22}`), "$1 ID"},
	{regexp.MustCompile(`(?m)^(ClusterId: +)[\w-]{22}$`), "$1 ID"},
	{regexp.MustCompile(`(?m)^(LeaderEpoch|HighWatermark): +\d+$`), "$1: SOME"},
	{regexp.MustCompile(`(directoryId=|"directoryId": ")[\w-]{22}`), "${1}ID"},
	{regexp.MustCompile(`"endpoints": \["[^"\]]*"\]`), `"endpoints": ENDPOINTS`}, // the quorum of ours has no listeners of its own
	{regexp.MustCompile(`(?m)^(\d+\s+)[\w-]{22}(\s+)\d+(\s+\d+\s+)\d+(?: ms ago)?(\s+)\d+(?: ms ago)?(\s+(?:Leader|Follower|Observer))`), "${1}ID${2}END${3}NOW${4}NOW$5"},
	{regexp.MustCompile(`(?m)^\[[-0-9 :,]{23}\] `), ""},
	{regexp.MustCompile(`\d+ records sent, [^\n]*`), "RECORDS SENT"},
	{regexp.MustCompile(`(?m)^%\d\|[\d.]+\|`), "%T|"},
	{regexp.MustCompile(`(?m)^%T\|GETPID\|.*: retrying\n`), ""}, // Apache Kafka is still fetching its first producer ids
	{regexp.MustCompile(`CreateTime:\d{13}`), "CreateTime:T"},
	{regexp.MustCompile(`/tmp/[\w/.-]+`), "PATH"},
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`Valid states are: [\w, ]+`), "Valid states are: STATES"}, // the tool's, in the order of a hash table
	{regexp.MustCompile(`"timestamp":\d+`), `"timestamp":T`},
	{regexp.MustCompile(`"ts":\d{13}`), `"ts":T`},
	{regexp.MustCompile(`"size":[1-9]\d*`), `"size":SOME`},
	{regexp.MustCompile(`"avg_throughput":[\d.]+`), `"avg_throughput":RATE`},
	{regexp.MustCompile(`(?m)^\d{4}-[^,]+, \d{4}-[^,]+, ([\d.]+), [\d.]+, (\d+), .*$`), "T, T, $1, RATE, $2, RATES"},
	{regexp.MustCompile(`(?m) {2,}|[ \t]+$`), " "}, // columns are as wide as what is in them
	{regexp.MustCompile(`(?m)^\s+at .*\n`), ""},
	{regexp.MustCompile(`(?s)Terminate batch.*`), "Terminate batch"},
}

func normalise(b *broker, s string) string {
	host, port, _ := strings.Cut(b.address, ":")
	s = strings.ReplaceAll(s, b.address, "BROKER")
	s = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(s, "PORT")
	s = strings.ReplaceAll(s, host, "HOST")
	for _, n := range noise {
		s = n.re.ReplaceAllString(s, n.by)
	}
	return s
}

// Kafka's own inspector accepts every file that we wrote: batches walked record by record, indexes checked against the log.
func TestKafkaReadsOurFiles(t *testing.T) {
	libs := kafkaLibs(t)
	b := startOttla(t, "--set", "log.segment.bytes=1048576", "--set", "log.index.interval.bytes=1024")
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		out := run(libs.Tool(t.Context(), "256m", perf, "--topic", "files-"+codec, "--num-records", "40000", "--record-size", "120", "--throughput", "-1",
			"--producer-props", "bootstrap.servers="+b.address, "compression.type="+codec, "batch.size=4000"), "")
		if !strings.Contains(out, "40000 records sent") {
			t.Fatal(out)
		}
	}
	b.stop(t)
	var files []string
	err := filepath.WalkDir(b.data, func(p string, d os.DirEntry, err error) error {
		switch filepath.Ext(p) {
		case ".log", ".index", ".timeindex", ".snapshot":
			if !strings.Contains(p, "__cluster_metadata") || filepath.Ext(p) == ".log" {
				files = append(files, p)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("only %d files: the segments should have rolled", len(files))
	}
	for _, mode := range [][]string{{"--deep-iteration"}, {"--index-sanity-check"}, {"--verify-index-only"}} {
		out := run(libs.Tool(t.Context(), "512m", "org.apache.kafka.tools.DumpLogSegments", append(mode, "--files", strings.Join(files, ","))...), "")
		for line := range strings.Lines(out) {
			if complaint.MatchString(line) {
				t.Errorf("%v: %s", mode, line)
			}
		}
	}
	fmt.Fprintf(t.Output(), "%d files accepted\n", len(files))
}

// complaint is how DumpLogSegments says that something is wrong. It calls every segment but a partition's first one non-consecutive ("-1 is followed by" its base
// offset): a gap counts where both offsets are in the file.
var complaint = regexp.MustCompile(`(?i)mismatch|corrupt|exception|invalid|isvalid: false|^\s*\d+ is followed by|not found|failed|out of order|exit \d`)
