package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla/log/vfs"
)

// bulk makes a committed offset as large as it may be, so that few fill a segment.
var bulk = strings.Repeat("x", 4096)

// commits is what was asked and acknowledged of offsets, by group. The offsets of a group only rise.
type commits struct {
	mu           sync.Mutex
	asked, acked map[string]int64
}

// run commits for one group after the other, for partition 0 of "t", until ctx ends or the node is gone, which is the error.
func (c *commits) run(ctx context.Context, adm *kadm.Client, groups int) error {
	for next := int64(1); ctx.Err() == nil; next++ {
		group := fmt.Sprint("g", next%int64(groups))
		c.mu.Lock()
		c.asked[group] = next
		c.mu.Unlock()
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: "t", At: next, LeaderEpoch: -1, Metadata: bulk})
		if err := adm.CommitAllOffsets(ctx, group, o); err != nil {
			return err
		}
		c.mu.Lock()
		c.acked[group] = next
		c.mu.Unlock()
	}
	return ctx.Err()
}

func (c *commits) acknowledged() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.acked)
}

// check compares what a node says with what had been acknowledged before it was cut, and what had been asked.
func (c *commits) check(t testing.TB, n *node, acked map[string]int64) {
	t.Helper()
	var groups []string
	for group := range acked {
		groups = append(groups, group)
	}
	adm := n.admin(t)
	fetched := adm.FetchManyOffsets(t.Context(), groups...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for group, at := range acked {
		f := fetched[group]
		if f.Err != nil {
			t.Fatalf("%s: %v", group, f.Err)
		}
		o, ok := f.Fetched.Lookup("t", 0)
		if !ok || o.At < at || o.At > c.asked[group] {
			t.Fatalf("%s: offset %d is there, %d was acknowledged, %d asked", group, o.At, at, c.asked[group])
		}
	}
}

// recordsOfOffsets counts the records of __consumer_offsets, and what the log's end says that there were.
func (n *node) recordsOfOffsets(t testing.TB) (there, ever int) {
	t.Helper()
	ends, err := n.admin(t).ListEndOffsets(t.Context(), "__consumer_offsets")
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if ever += int(o.Offset); o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl := n.client(t, kgo.ConsumeTopics("__consumer_offsets"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for len(left) > 0 {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			there++
			if r.Offset+1 == left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return there, ever
}

// The power is cut while offsets are committed and their topic is compacted: what was acknowledged is there, whatever else has survived, and so it is when the next node is cut as well.
func TestG05CommittedOffsetsSurvivePowerCutsAndCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		properties := map[string]string{"offsets.topic.num.partitions": "2", "offsets.topic.segment.bytes": "1048576", "log.cleaner.backoff.ms": "1000", "log.cleaner.min.cleanable.ratio": "0.1"}
		n := startBubbleNode(t, disk, properties)
		n.network.SetLatency(time.Millisecond)
		n.topic(t, "t", 1)
		c := commits{asked: map[string]int64{}, acked: map[string]int64{}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		adm := n.admin(t)
		go func() { ended <- c.run(ctx, adm, 20) }()
		rng := rand.New(rand.NewPCG(5, 5))
		for cut := range 20 {
			time.Sleep(time.Duration(500+rng.IntN(700)) * time.Millisecond)
			acked := c.acknowledged()
			clone := disk.CrashClone(rng, []float64{0, 0.5, 1}[cut%3])
			after := startBubbleNode(t, clone, properties)
			c.check(t, after, acked)
			again := startBubbleNode(t, clone.CrashClone(nil, 0), properties)
			c.check(t, again, acked)
			closeNode(t, again.Node)
			closeNode(t, after.Node)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		there, ever := n.recordsOfOffsets(t)
		if there >= ever/2 {
			t.Errorf("%d of %d records are left: it was not compacted, so this was no test", there, ever)
		}
		t.Logf("%d of %d records of offsets are left", there, ever)
		c.check(t, n, c.acknowledged())
		closeNode(t, n.Node)
		c.check(t, startBubbleNode(t, disk, properties), c.acknowledged())
	})
}

// A process that is killed while offsets are committed has all that it acknowledged when it is back, and so has one that is told to stop.
func TestCommittedOffsetsSurviveAKillAndARestart(t *testing.T) {
	for name, end := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			p := serve(t, data)
			p.node().topic(t, "t", 1)
			c := commits{asked: map[string]int64{}, acked: map[string]int64{}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			adm := p.node().admin(t)
			ended := make(chan error, 1)
			go func() { ended <- c.run(ctx, adm, 7) }()
			for len(c.acknowledged()) < 7 || c.acknowledged()["g0"] < 200 {
				select {
				case err := <-ended:
					t.Fatal(err)
				case <-time.After(time.Millisecond):
				}
			}
			acked := c.acknowledged()
			p.signal(t, end)
			<-p.exited
			stop()
			<-ended
			if end == syscall.SIGTERM && p.exitErr != nil {
				t.Fatalf("%v\n%s", p.exitErr, p.stderr)
			}
			for group, at := range c.acknowledged() {
				acked[group] = at
			}
			c.check(t, serve(t, data).node(), acked)
		})
	}
}

// A node is told to stop while members wait for a rebalance that takes as long as it likes: it stops, and its successor goes on with the group.
func TestANodeStopsWhileMembersWait(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data, "--set", "group.initial.rebalance.delay.ms=3600000")
	p.node().topic(t, "t", 1)
	cl := p.node().client(t, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.RebalanceTimeout(2*time.Hour))
	adm := p.node().admin(t)
	for {
		g, err := adm.DescribeGroups(t.Context(), "g")
		if err == nil && g["g"].State == "PreparingRebalance" {
			break
		}
	}
	p.signal(t, syscall.SIGTERM)
	<-p.exited
	if p.exitErr != nil {
		t.Fatalf("%v\n%s", p.exitErr, p.stderr)
	}
	cl.Close()
}
