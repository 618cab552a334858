package cluster

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// member joins a group on one topic and reads from its start.
func (n *node) member(t testing.TB, group, topic string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return n.client(t, append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100 * time.Millisecond)}, opts...)...)
}

// readSome polls until want records have come.
func readSome(t testing.TB, ctx context.Context, c *kgo.Client, want int) {
	t.Helper()
	for got := 0; got < want; {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", got, want, err)
		}
		got += fs.NumRecords()
	}
}

func fill(t testing.TB, n *node, topic string, records int) {
	t.Helper()
	producer := n.client(t, kgo.DefaultProduceTopic(topic))
	for range records {
		producer.Produce(t.Context(), kgo.StringRecord("value"), nil)
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A commit that was acknowledged is there after kill -9, and a member goes on behind it.
func TestCommitsSurviveAKill(t *testing.T) {
	data := t.TempDir()
	quick := []string{"--set", "group.min.session.timeout.ms=100", "--set", "group.initial.rebalance.delay.ms=0"}
	p := serve(t, data, quick...)
	n := p.node()
	n.topic(t, "read", 3)
	fill(t, n, "read", 100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := n.member(t, "g", "read", kgo.SessionTimeout(time.Second))
	readSome(t, ctx, c, 100)
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	p.kill()

	p = serve(t, data, quick...)
	n = p.node()
	committed, err := n.admin(t).FetchOffsets(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	committed.Each(func(o kadm.OffsetResponse) { sum += o.At })
	if sum != 100 {
		t.Fatalf("committed offsets sum up to %d after the kill, 100 before", sum)
	}
	fill(t, n, "read", 10)
	again := n.member(t, "g", "read", kgo.SessionTimeout(time.Second))
	readSome(t, ctx, again, 10)
}

// Of three members one dies without a word; the others get its partitions, and what is produced then is read.
func TestMembersThatDieAreReplaced(t *testing.T) {
	n := serve(t, t.TempDir(), "--set", "group.min.session.timeout.ms=100", "--set", "group.initial.rebalance.delay.ms=0").node()
	n.topic(t, "shared", 6)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var members []*kgo.Client
	for _, instance := range []string{"a", "b", "c"} {
		c := n.member(t, "g", "shared", kgo.InstanceID(instance), kgo.SessionTimeout(time.Second), kgo.Balancers(kgo.CooperativeStickyBalancer()))
		members = append(members, c)
		go func() {
			for ctx.Err() == nil && !c.PollFetches(ctx).IsClientClosed() {
			}
		}()
	}
	owned := func() int {
		d, err := n.admin(t).DescribeGroups(ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		parts := 0
		for _, m := range d["g"].Members {
			if a, ok := m.Assigned.AsConsumer(); ok {
				for _, topic := range a.Topics {
					parts += len(topic.Partitions)
				}
			}
		}
		if d["g"].State != "Stable" {
			return -len(d["g"].Members)
		}
		return parts*10 + len(d["g"].Members)
	}
	await := func(want int) {
		t.Helper()
		for owned() != want {
			if ctx.Err() != nil {
				t.Fatalf("the group does not come to %d", want)
			}
		}
	}
	await(63)                           // six partitions, three members
	members[1].CloseAllowingRebalance() // a static member says nothing when it goes
	await(62)
}

// A node that is told to stop does not wait for members that wait for others.
func TestStopWithMembersThatWait(t *testing.T) {
	p := serve(t, t.TempDir(), "--set", "group.initial.rebalance.delay.ms=600000")
	n := p.node()
	n.topic(t, "waiting", 1)
	c := n.member(t, "g", "waiting")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.PollFetches(ctx)
	for {
		d, err := n.admin(t).DescribeGroups(t.Context(), "g")
		if err == nil && d["g"].State == "PreparingRebalance" {
			break
		}
	}
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
		if p.exitErr != nil {
			t.Errorf("%v\n%s", p.exitErr, p.stderr)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not stop")
	}
}
