package cluster

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ottla"
	"ottla/log/vfs"
	"ottla/protocol/memnet"
)

// bubbleHost is the node's in a bubble's network.
const bubbleHost = "10.0.0.1"

// startBubbleNode starts a node with a memory disk and an in-process network: everything inside the bubble of the test.
func startBubbleNode(t *testing.T, disk vfs.FS, properties map[string]string) *node {
	t.Helper()
	network := memnet.New()
	n := startNode(t, ottla.Config{Data: "/data", Listen: bubbleHost + ":9092", Advertise: bubbleHost + ":9092", FS: disk, Properties: properties,
		ListenFunc: func(_ context.Context, _, address string) (net.Listener, error) { return network.Listen(address) }})
	n.network = network
	n.opts = []kgo.Opt{kgo.SeedBrokers(bubbleHost + ":9092"), kgo.Dialer(network.Dial)}
	return n
}

func TestAWholeNodeLivesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), nil)
		n.topic(t, "bubble", 4)
		cl := n.client(t, kgo.DefaultProduceTopic("bubble"))
		for i := range 1000 {
			cl.Produce(t.Context(), &kgo.Record{Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.consumeAll(t, "bubble", 1000)
	})
}

// Ten days pass in milliseconds: what is older than retention.ms goes, what is younger stays.
func TestRetentionOverDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startBubbleNode(t, vfs.NewMem(), map[string]string{"log.retention.hours": "72", "log.roll.hours": "12"})
		n.topic(t, "days", 1)
		cl := n.client(t, kgo.DefaultProduceTopic("days"))
		start := time.Now()
		for day := range 10 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, day)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
		offsets, err := n.admin(t).ListStartOffsets(t.Context(), "days")
		if err != nil {
			t.Fatal(err)
		}
		o, _ := offsets.Lookup("days", 0)
		// After day 9 and 24 hours more, records of days 0 to 6 are 72 hours old or older.
		if o.Offset < 6 || o.Offset > 7 {
			t.Fatalf("after %v the log starts at offset %d", time.Since(start), o.Offset)
		}
		if got := n.consumeAll(t, "days", 10-int(o.Offset)); got[0].Offset != o.Offset {
			t.Fatalf("the first record is at %d, the log starts at %d", got[0].Offset, o.Offset)
		}
	})
}

// What was acknowledged is there after the power was cut at any moment: nothing unsynced survives here.
func TestAcknowledgedRecordsSurviveAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		n := startBubbleNode(t, disk, nil)
		n.topic(t, "durable", 5)
		cl := n.client(t, kgo.DefaultProduceTopic("durable"))
		var acked int
		for i := range 200 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			acked++
		}
		after := startBubbleNode(t, disk.CrashClone(nil, 0), nil)
		after.consumeAll(t, "durable", acked)
	})
}
