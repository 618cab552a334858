// Package cluster holds the suites over whole nodes: started in this process by ottla.Start, some inside a testing/synctest bubble with a memory disk and an
// in-process network, some as real processes of the built binary. The client is franz-go, unchanged.
//
// Start reading at node.go, which starts and stops nodes for the tests.
package cluster

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla"
	"ottla/protocol/memnet"
)

// quiet drops what a node logs.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// node is a running node and how clients reach it.
type node struct {
	*ottla.Node
	opts    []kgo.Opt       // how a client connects
	network *memnet.Network // that of a node in a bubble
}

// startNode starts a node on a real port and a real folder (unless c says otherwise) and closes it when the test ends.
func startNode(t testing.TB, c ottla.Config) *node {
	t.Helper()
	if c.Data == "" {
		c.Data = t.TempDir()
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = quiet
	}
	n, err := ottla.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return &node{Node: n, opts: []kgo.Opt{kgo.SeedBrokers(n.Addr().String())}}
}

func closeNode(t testing.TB, n *ottla.Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Errorf("close the node: %v", err)
	}
}

// client is a franz-go client of the node, closed when the test ends.
func (n *node) client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(append([]kgo.Opt(nil), n.opts...), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func (n *node) admin(t testing.TB) *kadm.Client { return kadm.NewClient(n.client(t)) }

// topic creates a topic with the given configs (KEY, VALUE, ...).
func (n *node) topic(t testing.TB, name string, partitions int32, configs ...string) {
	t.Helper()
	m := map[string]*string{}
	for i := 0; i+1 < len(configs); i += 2 {
		m[configs[i]] = &configs[i+1]
	}
	r, err := n.admin(t).CreateTopic(t.Context(), partitions, 1, m, name)
	if err != nil {
		t.Fatalf("create %s: %v (%s)", name, err, r.ErrMessage)
	}
}

// consumeAll reads every partition of the topic from its start until want records are there.
func (n *node) consumeAll(t testing.TB, topic string, want int, opts ...kgo.Opt) []*kgo.Record {
	t.Helper()
	cl := n.client(t, append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(64 << 20), kgo.FetchMaxPartitionBytes(32 << 20),
		kgo.BrokerMaxReadBytes(128 << 20)}, opts...)...)
	defer cl.Close()
	var out []*kgo.Record
	for len(out) < want {
		fs := cl.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(out), want, err)
		}
		out = append(out, fs.Records()...)
	}
	return out
}
