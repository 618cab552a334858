//go:build clients

package clients

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ottla/integration/kafka"
)

// Kafka's own producer, consumer and Admin are told the same by both: every section of testdata/Facts.java is an invocation.
func TestJavaClientsSayTheSame(t *testing.T) {
	libs := kafkaLibs(t)
	sources, err := filepath.Glob("testdata/*.java")
	if err != nil {
		t.Fatal(err)
	}
	classes := t.TempDir()
	if err := libs.Compile(t.Context(), classes, sources...); err != nil {
		t.Fatal(err)
	}
	peer, own := startKafka(t, libs), startOttla(t, "--set", "group.initial.rebalance.delay.ms=0")
	var theirs, ours map[string]string
	var names, same []string
	var both sync.WaitGroup
	both.Go(func() { names, theirs = facts(t, libs, classes, peer) })
	both.Go(func() { same, ours = facts(t, libs, classes, own) })
	both.Wait()
	if !slices.Equal(names, same) {
		t.Errorf("the sections are not the same: %d and %d", len(names), len(same))
	}
	judge(t, names, theirs, ours, readDifferences(t, "testdata/differences.txt"))
}

// facts runs the program against b: the sections' names in order, and name → normalised facts.
func facts(t *testing.T, libs kafka.Libs, classes string, b *broker) ([]string, map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	cmd := libs.Program(ctx, classes, "Facts", b.address)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Errorf("against %s: %v\n%s", b.name, err, log.String())
	}
	var names []string
	said := map[string]string{}
	for section := range strings.SplitSeq(normalise(b, out.String()), "=== ") {
		name, told, _ := strings.Cut(section, "\n")
		if name == "" {
			continue
		}
		names = append(names, name)
		said[name] = told
	}
	if len(names) == 0 {
		t.Errorf("against %s: it says nothing\n%s", b.name, log.String())
	}
	return names, said
}
