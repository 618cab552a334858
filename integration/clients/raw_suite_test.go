//go:build clients

package clients

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawRange is what one API key is asked at.
type rawRange struct{ min, max int16 }

// rawKeys are the versions that a broker of ours serves, but for Produce 0 to 2, which both only claim, and UnregisterController, of which this Apache Kafka knows nothing.
var rawKeys = map[int16]rawRange{
	0: {3, 13}, 1: {4, 18}, 2: {1, 11}, 3: {0, 13}, 8: {2, 10}, 9: {1, 10}, 10: {0, 6}, 11: {0, 9}, 12: {0, 4}, 13: {0, 5}, 14: {0, 5}, 15: {0, 6}, 16: {0, 5}, 18: {0, 5}, 19: {2, 7}, 20: {1, 6}, 21: {0, 2}, 22: {0, 5}, 23: {2, 4}, 32: {1, 4}, 33: {0, 2}, 35: {1, 5}, 37: {0, 3}, 42: {0, 3}, 44: {0, 1}, 47: {0, 0}, 55: {0, 2}, 57: {0, 2}, 60: {0, 2}, 61: {0, 0}, 64: {0, 0}, 74: {0, 1}, 75: {0, 0}, 80: {0, 1}, 81: {0, 0},
}

// kafkaLacks are the highest versions that this Apache Kafka serves where ours are higher: what lies between is asked of nobody here.
var kafkaLacks = map[int16]int16{18: 4, 42: 2}

// rawCases is every case, in order.
func rawCases() []rawCase {
	return slices.Concat(protocolCases(), versionsCases(), topicsCases(), partitionsCases(), produceCases(), batchCases(), producerCases(), fetchCases(), sessionCases(),
		offsetsCases(), recordsCases(), metadataCases(), describeCases(), configsCases(), operatorCases(), clusterCases(), everything(), groupCases())
}

// each makes a case for every version of key that both brokers serve and that is at least from.
func each(key int16, from int16, name string, talk func(x *exchange, version int16)) []rawCase {
	r := rawKeys[key]
	last := r.max
	if v, lacks := kafkaLacks[key]; lacks {
		last = v
	}
	var cases []rawCase
	for v := max(from, r.min); v <= last; v++ {
		cases = append(cases, rawCase{fmt.Sprintf("%s v%d", name, v), func(x *exchange) { talk(x, v) }})
	}
	return cases
}

// The same requests get the same answers from Apache Kafka and from ottla, field by field, but for what raw_differences.txt allows.
func TestRawRequestsGetTheSameAnswers(t *testing.T) {
	peer := startKafka(t, kafkaLibs(t))
	checkKafkaRanges(t, peer)
	ours := startOttla(t, "--set", "group.initial.rebalance.delay.ms=0")
	var kafka, ottla map[string][]rawTurn
	var both sync.WaitGroup
	both.Go(func() { kafka = minutes(t, peer) })
	both.Go(func() { ottla = minutes(t, ours) })
	both.Wait()
	allowed := readDifferences(t, "testdata/raw_differences.txt")
	differ, used := 0, map[string]bool{}
	for _, c := range rawCases() {
		difference := difference(kafka[c.name], ottla[c.name])
		entry := versionless.ReplaceAllString(c.name, "")
		reason, expected := allowed[entry]
		switch {
		case brokenOff(kafka[c.name]):
			t.Errorf("%q could not be held with Apache Kafka: %s", c.name, kafka[c.name][len(kafka[c.name])-1].answered)
		case difference != "" && expected:
			differ++
			used[entry] = true
			t.Logf("%q differs, as allowed: %s", c.name, reason)
		case difference != "":
			differ++
			t.Errorf("%q differs.\n%s", c.name, difference)
		}
	}
	for name, reason := range allowed {
		if !used[name] && !strings.HasPrefix(reason, "at times, ") {
			t.Errorf("%q is the same on both (or no case): take it out of raw_differences.txt", name)
		}
	}
	t.Logf("%d of %d cases differ", differ, len(kafka))
}

// minutes leads a broker through every case.
func minutes(t *testing.T, b *broker) map[string][]rawTurn {
	t.Helper()
	known := newRawNames(b)
	said := map[string][]rawTurn{}
	for _, c := range rawCases() {
		if _, taken := said[c.name]; taken {
			panic("two raw cases are called " + c.name)
		}
		began := time.Now()
		said[c.name] = hold(b, known, c)
		if d := time.Since(began); d > 700*time.Millisecond {
			t.Logf("slow case on %s: %q took %v", b.name, c.name, d)
		}
	}
	if *rawMinutes != "" {
		writeMinutes(t, filepath.Join(*rawMinutes, b.name+".txt"), said)
	}
	return said
}

var rawMinutes = flag.String("minutes", "", "a folder for all that was asked and answered")

func writeMinutes(t *testing.T, name string, said map[string][]rawTurn) {
	t.Helper()
	var b strings.Builder
	for _, c := range rawCases() {
		fmt.Fprintf(&b, "=== %s\n", c.name)
		for _, turn := range said[c.name] {
			fmt.Fprintf(&b, "> %s\n%s\n", strings.ReplaceAll(turn.asked, "\n", "\n> "), indentRaw(turn.answered))
		}
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}

// brokenOff tells that a case ended before it had asked all: nothing can be learned from it.
func brokenOff(turns []rawTurn) bool {
	return len(turns) > 0 && turns[len(turns)-1].asked == "(setup)"
}

// shownTurns is how many turns of one case are shown: those after may be consequences.
const shownTurns = 3

// difference shows the turns in which the minutes part, "" if none does.
func difference(kafka, ottla []rawTurn) string {
	var shown []string
	for i := range max(len(kafka), len(ottla)) {
		var k, o rawTurn
		if i < len(kafka) {
			k = kafka[i]
		}
		if i < len(ottla) {
			o = ottla[i]
		}
		if k.answered != o.answered {
			shown = append(shown, fmt.Sprintf("Asked (turn %d of %d):\n%s\nApache Kafka answers:\n%s\nottla answers:\n%s", i+1, len(kafka), indentRaw(k.asked), indentRaw(k.answered), indentRaw(o.answered)))
		}
	}
	if more := len(shown) - shownTurns; more > 0 {
		shown = append(shown[:shownTurns], fmt.Sprintf("and %d turns more", more))
	}
	return strings.Join(shown, "\n")
}

func indentRaw(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// versionless takes the version off a case's name: an allowed difference holds for every version of its case.
var versionless = regexp.MustCompile(` v\d+$`)

// readDifferences reads lines "case: reason"; a case's name may hold ": ", a reason may not.
func readDifferences(t *testing.T, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, ": ")
		if at < 0 {
			t.Fatalf("%s: %q has no reason", name, line)
		}
		m[line[:at]] = line[at+2:]
	}
	return m
}

// The versions that are compared are all that Apache Kafka has, and the ones that it lacks are known.
func checkKafkaRanges(t *testing.T, b *broker) {
	x := &exchange{broker: b, known: newRawNames(b)}
	defer x.hangUp()
	for _, k := range must[*kmsg.ApiVersionsResponse](x, 3, kmsg.NewPtrApiVersionsRequest()).ApiKeys {
		want, asked := rawKeys[k.ApiKey]
		if !asked {
			continue
		}
		if v, lacks := kafkaLacks[k.ApiKey]; lacks {
			want.max = v
		}
		if k.MaxVersion != want.max {
			t.Errorf("%s: Apache Kafka serves up to v%d, and the suite asks up to v%d", kmsg.NameForKey(k.ApiKey), k.MaxVersion, want.max)
		}
	}
}
