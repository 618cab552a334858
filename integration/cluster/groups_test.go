package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/vfs"
)

// produce writes count records, one after the other, to a partition.
func (n *node) produce(t testing.TB, topic string, partition int32, count int) {
	t.Helper()
	cl := n.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for i := range count {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// committed is what a group has committed for a partition; -1 for nothing.
func (n *node) committed(t testing.TB, group, topic string, partition int32) int64 {
	t.Helper()
	offsets, err := n.admin(t).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(topic, partition); ok {
		return o.At
	}
	return -1
}

// One of three members is cut off without a word: the others have its partitions when its session is over. When it is back it has its part again.
func TestAGroupOutlivesTheLossOfAMember(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := startBubbleNode(t, vfs.NewMem(), nil)
				n.topic(t, "t", 6)
				for p := range int32(6) {
					n.produce(t, "t", p, 10)
				}
				a := newAudience(t, n, "g")
				var all []*reader
				for range 3 {
					r := a.join(kgo.ConsumeTopics("t"), kgo.Balancers(balancer))
					defer r.leave()
					all = append(all, r)
				}
				partitions := partitionsOf(6, "t")
				awaitShared(t, 30*time.Second, all, partitions)
				all[0].setCut(true)
				if took := awaitShared(t, time.Minute, all[1:], partitions); took < 8*time.Second {
					t.Errorf("it was put out after %v, its session is 10 s", took)
				}
				all[0].setCut(false)
				awaitShared(t, 2*time.Minute, all, partitions)
				for p := range int32(6) {
					await(t, 10*time.Second, "everything is committed", func() bool { return n.committed(t, "g", "t", p) == 10 })
				}
			})
		})
	}
}

// What a member commits that was put out while it was silent does not count: the partition is somebody else's.
func TestG03AMemberThatPausedForTooLongIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.topic(t, "t", 1)
		n.produce(t, "t", 0, 10)
		a := newAudience(t, n, "g")
		paused := a.join(kgo.ConsumeTopics("t"))
		defer paused.leave()
		awaitShared(t, 30*time.Second, []*reader{paused}, []string{"t-0"})
		member, generation := paused.cl.GroupMetadata()
		paused.setCut(true)
		other := a.join(kgo.ConsumeTopics("t"))
		defer other.leave()
		awaitShared(t, time.Minute, []*reader{other}, []string{"t-0"})
		await(t, 10*time.Second, "the other has committed", func() bool { return n.committed(t, "g", "t", 0) == 10 })

		for version := int16(2); version <= 9; version++ {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group, req.MemberID, req.Generation = "g", member, generation
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Offset = 3
			req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
			if got := n.ask(t, req, version).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; got != kerr.UnknownMemberID.Code {
				t.Errorf("version %d: %v", version, kerr.ErrorForCode(got))
			}
		}
		if at := n.committed(t, "g", "t", 0); at != 10 {
			t.Fatalf("committed is %d", at)
		}
		paused.setCut(false)
		await(t, 2*time.Minute, "it learns that it was put out", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return paused.lost > 0
		})
		if at := n.committed(t, "g", "t", 0); at != 10 {
			t.Fatalf("committed is %d", at)
		}
	})
}

// ask sends a request in one version, whatever the client would choose.
func (n *node) ask(t testing.TB, req kmsg.Request, version int16) kmsg.Response {
	t.Helper()
	cl := n.client(t)
	defer cl.Close()
	resp, err := cl.SeedBrokers()[0].Request(t.Context(), pinned{req, version})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// pinned is a request that the client must not choose a version for.
type pinned struct {
	kmsg.Request
	version int16
}

func (p pinned) MaxVersion() int16 { return p.version }

// A static member that is back before its session is over has the same partitions, and nobody else notices. Later the others have them. Of two with one name the older is fenced.
func TestG04StaticMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.topic(t, "t", 6)
		a := newAudience(t, n, "g")
		start := func(instance string) *reader {
			return a.joinStatic(instance, kgo.ConsumeTopics("t"), kgo.Balancers(kgo.RangeBalancer()))
		}
		first, second, third := start("i1"), start("i2"), start("i3")
		defer first.leave()
		defer second.leave()
		partitions := partitionsOf(6, "t")
		awaitShared(t, 30*time.Second, []*reader{first, second, third}, partitions)
		_, generation := first.cl.GroupMetadata()
		had := third.partitions()

		third.leave()
		time.Sleep(5 * time.Second)
		third = start("i3")
		awaitShared(t, 30*time.Second, []*reader{first, second, third}, partitions)
		if _, now := first.cl.GroupMetadata(); now != generation {
			t.Errorf("generation %d, before the restart %d", now, generation)
		}
		if got := third.partitions(); fmt.Sprint(got) != fmt.Sprint(had) {
			t.Errorf("after its restart it has %v, before %v", got, had)
		}

		third.leave()
		awaitShared(t, time.Minute, []*reader{first, second}, partitions)
		if _, now := first.cl.GroupMetadata(); now <= generation {
			t.Errorf("generation %d, before the session's end %d", now, generation)
		}
		third = start("i3")
		awaitShared(t, time.Minute, []*reader{first, second, third}, partitions)

		a.mu.Lock()
		third.cut = true // it does not know yet that another has taken its place
		a.mu.Unlock()
		again := start("i3")
		defer again.leave()
		await(t, time.Minute, "the older of two is told", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, err := range third.errs {
				if errors.Is(err, kerr.FencedInstanceID) {
					return true
				}
			}
			return false
		})
		third.leave()
		awaitShared(t, time.Minute, []*reader{first, second, again}, partitions)
	})
}

// Fifty members come or go each second. When that ends, those that are left share the partitions within ten seconds.
func TestG01ARebalanceStormIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.topic(t, "t", 20)
		a := newAudience(t, n, "g")
		var here []*reader
		for range 10 {
			for range 25 {
				here = append(here, a.join(kgo.ConsumeTopics("t"), kgo.Balancers(kgo.RangeBalancer())))
			}
			for len(here) > 25 {
				go here[0].leave()
				here = here[1:]
			}
			time.Sleep(time.Second)
		}
		for _, r := range here[10:] {
			go r.leave()
		}
		here = here[:10]
		took := awaitShared(t, 10*time.Second, here, partitionsOf(20, "t"))
		t.Logf("shared after %v", took)
		for _, r := range here {
			r.leave()
		}
		await(t, 10*time.Second, "nobody is left", func() bool {
			g, err := n.admin(t).DescribeGroups(t.Context(), "g")
			return err == nil && g["g"].State == "Empty" && len(g["g"].Members) == 0
		})
	})
}

// Topics come and go under a group that reads all of a pattern: in the end its members have what there is, and nothing that is gone.
func TestG09APatternOverTopicsThatComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.network.SetLatency(time.Millisecond) // who asks for nothing but what is gone is answered at once, and asks again
		n.topic(t, "churn-0", 2)
		n.topic(t, "other", 2)
		a := newAudience(t, n, "g")
		var all []*reader
		for range 3 {
			r := a.join(kgo.ConsumeRegex(), kgo.ConsumeTopics("^churn-.*"), kgo.MetadataMaxAge(time.Second), kgo.MetadataMinAge(100*time.Millisecond), kgo.ConsiderMissingTopicDeletedAfter(2*time.Second))
			defer r.leave()
			all = append(all, r)
		}
		adm := n.admin(t)
		for round := 1; round <= 10; round++ {
			n.topic(t, fmt.Sprint("churn-", round), 2)
			n.produce(t, fmt.Sprint("churn-", round), 0, 1)
			if round > 3 {
				if _, err := adm.DeleteTopic(t.Context(), fmt.Sprint("churn-", round-3)); err != nil {
					t.Fatal(err)
				}
			}
			if round%3 == 0 { // the same name again
				n.topic(t, "churn-again", 2)
				n.produce(t, "churn-again", 1, round)
				time.Sleep(3 * time.Second)
				if round < 9 {
					if _, err := adm.DeleteTopic(t.Context(), "churn-again"); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		awaitShared(t, time.Minute, all, partitionsOf(2, "churn-0", "churn-8", "churn-9", "churn-10", "churn-again"))
		time.Sleep(30 * time.Second)
		offsets, err := adm.FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			switch o.Topic {
			case "churn-0", "churn-8", "churn-9", "churn-10", "churn-again":
			default:
				t.Errorf("%s-%d is gone, and the group has offset %d of it", o.Topic, o.Partition, o.At)
			}
		})
		if at := n.committed(t, "g", "churn-again", 1); at != 9 {
			t.Errorf("of churn-again, whose last one has 9 records, %d is committed", at)
		}
	})
}

// The records that a group stands before are deleted: it is told, exactly, and begins again only where it was said that it should.
func TestG14AGroupWhoseNextRecordsAreGoneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.topic(t, "t", 1)
		n.produce(t, "t", 0, 100)
		adm := n.admin(t)
		ctx := context.Background()
		for _, group := range []string{"none", "earliest"} {
			var o kadm.Offsets
			o.AddOffset("t", 0, 10, -1)
			if err := adm.CommitAllOffsets(ctx, group, o); err != nil {
				t.Fatal(err)
			}
		}
		var to kadm.Offsets
		to.AddOffset("t", 0, 50, -1)
		if _, err := adm.DeleteRecords(ctx, to); err != nil {
			t.Fatal(err)
		}

		strict := n.client(t, kgo.ConsumerGroup("none"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
		fs := strict.PollFetches(ctx)
		if err := fs.Err(); !errors.Is(err, kerr.OffsetOutOfRange) || fs.NumRecords() > 0 {
			t.Errorf("%d records, %v", fs.NumRecords(), err)
		}
		strict.Close()
		if at := n.committed(t, "none", "t", 0); at != 10 {
			t.Errorf("committed is %d", at)
		}

		lenient := n.client(t, kgo.ConsumerGroup("earliest"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		fs = lenient.PollFetches(ctx)
		if records := fs.Records(); len(records) == 0 || records[0].Offset != 50 {
			t.Errorf("%v, %v", records, fs.Err())
		}
	})
}
