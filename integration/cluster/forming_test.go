package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ottla"
	"ottla/log/vfs"
	"ottla/protocol/memnet"
)

const testSecret = "a secret for the tests of clusters"

// cluster is nodes in one network inside a bubble.
type cluster struct {
	t       *testing.T
	network *memnet.Network
	disks   []vfs.FS
	nodes   []*node
}

func newCluster(t *testing.T, size int) *cluster {
	c := &cluster{t: t, network: memnet.New()}
	for range size {
		c.disks, c.nodes = append(c.disks, vfs.NewMem()), append(c.nodes, nil)
	}
	return c
}

func (c *cluster) host(i int) string    { return fmt.Sprintf("10.0.0.%d", i+1) }
func (c *cluster) address(i int) string { return c.host(i) + ":9092" }

func (c *cluster) config(i int, join ...string) ottla.Config {
	return ottla.Config{
		Data: "/data", Listen: c.address(i), FS: c.disks[i], Join: join, Secret: testSecret, Logger: quiet,
		ListenFunc: func(_ context.Context, _, address string) (net.Listener, error) { return c.network.Listen(address) }, DialFunc: c.network.Host(c.host(i)),
	}
}

// founders is the configs of nodes that found a cluster together.
func (c *cluster) founders() map[int]ottla.Config {
	var all []string
	for i := range c.nodes {
		all = append(all, c.address(i))
	}
	configs := map[int]ottla.Config{}
	for i := range c.nodes {
		config := c.config(i, all...)
		config.BootstrapExpect = len(all)
		configs[i] = config
	}
	return configs
}

// start starts a node, and gives clients the way to it.
func (c *cluster) start(i int, config ottla.Config) {
	c.t.Helper()
	c.startAll(0, map[int]ottla.Config{i: config})
}

// startAll starts nodes at the same time, or each so much after the one before. It ends the test if one cannot start, or they have not found each other within minutes.
func (c *cluster) startAll(delay time.Duration, configs map[int]ottla.Config) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var starting sync.WaitGroup
	errs := make([]error, len(c.nodes))
	for i, config := range configs {
		starting.Go(func() {
			time.Sleep(time.Duration(i) * delay)
			n, err := ottla.Start(ctx, config)
			if errs[i] = err; err != nil {
				cancel() // the others would wait for this one
				return
			}
			c.nodes[i] = &node{Node: n, network: c.network, opts: []kgo.Opt{kgo.SeedBrokers(c.address(i)), kgo.Dialer(c.network.Dial)}}
		})
	}
	starting.Wait()
	for i := range configs {
		if errs[i] == nil {
			n := c.nodes[i].Node
			c.t.Cleanup(func() { closeNode(c.t, n) })
		}
	}
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
}

// form founds a cluster with the first node, and has the others join it.
func (c *cluster) form() {
	c.t.Helper()
	c.start(0, c.config(0))
	for i := 1; i < len(c.nodes); i++ {
		c.start(i, c.config(i, c.address(0)))
	}
}

// Node ids are given in order, every node answers for the cluster, and any of them creates topics.
func TestNodesJoinACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.form()
		for i, n := range c.nodes {
			if int(n.NodeID()) != i+1 || n.ClusterID() != c.nodes[0].ClusterID() {
				t.Fatalf("node %d of cluster %s, want %d of %s", n.NodeID(), n.ClusterID(), i+1, c.nodes[0].ClusterID())
			}
			name := fmt.Sprint("from-", i)
			n.topic(t, name, 6)
			cl := n.client(t, kgo.DefaultProduceTopic(name))
			for k := range 60 {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: fmt.Append(nil, k)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			c.nodes[(i+1)%3].consumeAll(t, name, 60)
		}
		brokers, err := c.nodes[2].admin(t).ListBrokers(t.Context())
		if err != nil || len(brokers) != 3 {
			t.Fatal(brokers, err)
		}
	})
}

// Three empty nodes with the same arguments found one cluster, however they are started.
func TestNodesFoundAClusterTogether(t *testing.T) {
	for _, delay := range []time.Duration{0, 100 * time.Millisecond, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 3)
			c.startAll(delay, c.founders())
			ids := map[any]bool{}
			for _, n := range c.nodes {
				ids[n.NodeID()] = true
				if n.ClusterID() != c.nodes[0].ClusterID() {
					t.Fatal("two clusters")
				}
			}
			if len(ids) != 3 {
				t.Fatal(ids)
			}
		})
	}
}

// What was created is there when all nodes have stopped and started again, and nobody has to say where the others are.
func TestClusterStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.form()
		c.nodes[1].topic(t, "kept", 3)
		for _, n := range c.nodes {
			if err := n.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.startAll(0, map[int]ottla.Config{0: c.config(0), 1: c.config(1), 2: c.config(2)})
		for i, n := range c.nodes {
			if details, err := n.admin(t).ListTopics(t.Context(), "kept"); err != nil || len(details["kept"].Partitions) != 3 || int(n.NodeID()) != i+1 {
				t.Fatal(details, err)
			}
			if _, err := c.disks[i].Stat(path.Join("/data", "joining")); err == nil {
				t.Error("a node that has joined still wants to")
			}
		}
	})
}

// A node that starts again with the arguments that it was founded with, its own address among them, does not wait for itself.
func TestANodeStartsAgainAsItWasFounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		configs := c.founders()
		c.startAll(0, configs)
		time.Sleep(time.Second) // all three vote
		for i, config := range configs {
			if err := c.nodes[i].Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			c.start(i, config)
			if took := time.Since(began); took > 3*time.Second { // of the bubble: an election and a session
				t.Errorf("node %d needs %v", i, took)
			}
		}
	})
}

// A leader that falls silent, and whose connections stay open, is followed by another: the others tell that one in time that they are alive.
func TestSilentLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.form()
		time.Sleep(5 * time.Second) // all three vote
		for i := 1; i < 3; i++ {
			c.network.Cut(c.host(0), c.host(i))
		}
		time.Sleep(4 * time.Second)
		for range 20 {
			brokers, err := c.nodes[1].admin(t).ListBrokers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := brokers.NodeIDs(); len(got) != 2 || got[0] != 2 || got[1] != 3 {
				t.Fatalf("in service: %v", got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for i := 1; i < 3; i++ {
			c.network.Heal(c.host(0), c.host(i))
		}
	})
}
