//go:build faults

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/integration/faults/history"
	"ottla/log/batch"
)

// lostSegments takes files away from under a running node, partition by partition. It may not crash, nor serve a record for another, nor pass over what is missing; a partition beside
// those is not harmed. After a restart none of them may have become a shorter log that looks well.
func lostSegments(r *rig) {
	n := r.started(filepath.Join(r.dir, "data"))
	const whole, batches = 4, 260
	s := n.shelf(whole+1, 0, "segment.bytes", "1048576", "file.delete.delay.ms", "1000")
	s.padded(batches)
	losses := []func(segments []string) error{
		func(segments []string) error { return os.Remove(segments[1]) },
		func(segments []string) error { return os.Truncate(segments[1], 0) },
		func(segments []string) error { return os.Truncate(segments[len(segments)-1], 0) },
		func(segments []string) error { return os.Remove(segments[len(segments)-1]) },
	}
	n.stop()
	n.mustStart()
	s.checkAll("before")
	for p, lose := range losses {
		segments := r.files(n.data, fmt.Sprintf("%s-%d", s.topic, p), "*.log")
		if len(segments) < 3 {
			r.Fatalf("partition %d has %d segments: too few for this case", p, len(segments))
		}
		r.must(lose(segments), "lose")
		r.outcome.Faults++
	}
	for _, when := range []string{"running", "after a crash"} {
		for p := range int32(whole) {
			s.mayNotSkip(p, when)
		}
		if err := s.check(whole, 0); err != nil {
			r.Errorf("%s: the partition that lost nothing: %v", when, err)
		}
		if !n.running() {
			r.Fatalf("the node ended\n%s", n.tail())
		}
		if when == "running" {
			n.kill()
			n.mustStart()
		}
	}
	for p := range int32(whole) {
		if err := s.check(p, 0); err == nil {
			r.Errorf("partition %d lost a segment, and is whole", p)
		} else if end, endErr := n.end(s.topic, p); endErr == nil && end < int64(s.next[p]) {
			r.Errorf("silent: partition %d lost acknowledged records, and answers that it ends at %d", p, end)
		}
	}
}

// padded fills the partitions with batches large enough that segments roll.
func (s *shelf) padded(batches int) {
	s.node.rig.Helper()
	for p := range s.parts {
		for range batches {
			b := batch.NewBuilder()
			b.Add(time.Now().UnixMilli(), nil, history.Value{Run: s.run, Topic: s.topic, Partition: p, ID: history.ID{Seq: s.next[p]}}.Append(nil, 15_000))
			_, err := s.node.produce(s.topic, p, b.Build(nil))
			s.node.rig.must(err, "fill partition %d", p)
			s.next[p]++
		}
	}
}

// mayNotSkip reads the partition in steps, from all over it: each answer is an error, nothing, or what is asked for.
func (s *shelf) mayNotSkip(p int32, when string) {
	s.node.rig.Helper()
	for from := int64(0); from < int64(s.next[p]); from += 20 {
		b, err := s.node.fetch(s.topic, p, from)
		if err != nil && !storageError(err) && !errors.Is(err, kerr.OffsetOutOfRange) {
			s.node.rig.Errorf("%s: partition %d offset %d: %v", when, p, from, err)
		}
		if err != nil || len(b) == 0 {
			continue
		}
		if _, err := s.checkBatches(p, from, b); err != nil && !strings.Contains(err.Error(), "CRC") {
			s.node.rig.Errorf("%s: partition %d from offset %d: %v", when, p, from, err)
		}
	}
}
