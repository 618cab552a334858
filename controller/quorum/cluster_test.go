package quorum

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/protobuf/proto"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
)

// cluster is several machines in one goroutine, whose messages and clock the test moves.
type cluster struct {
	t     *testing.T
	now   time.Time
	nodes []*node
	// lose tells which messages are lost; nil: none.
	lose  func(from, to *node, m *Message) bool
	queue []*Message
	// entries is SnapshotEntries of those that are opened next.
	entries uint64
	// govern has the leader look after the members.
	govern bool
	// session is how long a broker may be silent; 0: nobody keeps sessions.
	session time.Duration
	// watching is called after every tick.
	watching func()
}

// node is one machine on its disk. Machine is nil while it is down.
type node struct {
	*Machine
	c      *cluster
	id     protocol.BrokerID
	fs     *vfs.Mem
	disk   *vfs.Faulty // fs, as the machine sees it
	raftID uint64
	join   bool
	shown  *image.Image
	deltas int
	full   func() bool
}

func newCluster(t *testing.T, seed uint64) *cluster {
	cryptotest.SetGlobalRandom(t, seed)
	return &cluster{t: t, now: time.Unix(1, 0), entries: 10_000}
}

// of makes a cluster of size voters, the first of which leads.
func of(t *testing.T, seed uint64, size int) *cluster {
	t.Helper()
	c := newCluster(t, seed)
	c.add(false)
	for range size - 1 {
		c.add(true)
	}
	c.run(1)
	c.grow(1)
	return c
}

// grow makes all nodes from the given one on voters.
func (c *cluster) grow(from int) {
	c.t.Helper()
	if from == len(c.nodes) {
		return
	}
	var promotions []Change
	for _, n := range c.nodes[from:] {
		c.change(Change{n.raftID, Learner})
		promotions = append(promotions, Change{n.raftID, Voter})
	}
	c.until("learners have the log", func() bool { return c.level() })
	c.change(promotions...)
	c.until("the joint configuration is over", func() bool { return c.level() && !c.leader().changing() })
}

func (c *cluster) add(join bool) *node {
	n := &node{c: c, id: protocol.BrokerID(len(c.nodes) + 1), fs: vfs.NewMem(), join: join}
	c.nodes = append(c.nodes, n)
	n.start()
	return n
}

func (n *node) start() {
	n.c.t.Helper()
	if err := n.open(); err != nil {
		n.c.t.Fatal(err)
	}
	n.turn()
}

func (n *node) open() error {
	n.disk = vfs.NewFaulty(n.fs)
	store, err := log.OpenStore(log.StoreOptions{FS: n.disk, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		return err
	}
	logConfig := log.DefaultConfig()
	logConfig.SegmentBytes, logConfig.RetentionMs, logConfig.RetentionBytes = 64<<20, -1, -1
	l, err := store.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, logConfig, log.NopObserver{})
	if err != nil {
		return err
	}
	storage, err := raftlog.Open(raftlog.Options{Log: l, FS: n.disk, Dir: "quorum", Logger: quiet, Full: func() bool { return n.full != nil && n.full() }})
	if err != nil {
		return err
	}
	n.shown, n.deltas = image.Empty(), 0
	var sessions *liveness.Machine
	if n.c.session > 0 {
		sessions = liveness.New(n.c.session, liveness.Self{ID: n.id, Incarnation: [16]byte{1, byte(n.id)}})
	}
	n.Machine, err = Open(Options{
		Liveness: sessions,
		Storage:  storage, NodeID: n.id, ClusterID: "the-cluster", Join: n.join, Govern: n.c.govern, Features: decide.Founding(),
		Publish:    func(img *image.Image, _ *image.Delta) { n.shown, n.deltas = img, n.deltas+1 },
		NewTopicID: protocol.NewID, Rand: rand.New(rand.NewPCG(1, uint64(n.id))), Logger: quiet, Metrics: NewMetrics(nil),
		SnapshotEntries: n.c.entries, SnapshotBytes: 20 << 20,
	})
	if err == nil {
		n.raftID = n.RaftID()
	}
	return err
}

// kill ends the process; the page cache stays.
func (n *node) kill() {
	n.Machine = nil
	n.fs.Kill()
}

// crash cuts the power: only what was synced is there again.
func (n *node) crash() {
	n.Machine = nil
	n.fs = n.fs.CrashClone(nil, 0)
}

// wipe gives the node a new disk.
func (n *node) wipe() {
	n.kill()
	n.fs, n.join = vfs.NewMem(), true
	n.start()
}

// turn does what the machine wants, and queues its messages.
func (n *node) turn() {
	n.c.t.Helper()
	for {
		rd, err := n.Ready(n.c.now)
		if err != nil {
			n.c.t.Fatalf("node %d: %v", n.id, err)
		}
		for _, m := range rd.Messages {
			n.c.queue = append(n.c.queue, proto.CloneOf(m))
		}
		if rd.Snapshot == nil {
			return
		}
		rd.Snapshot.Write()
		if err := n.Wrote(rd.Snapshot); err != nil {
			n.c.t.Fatalf("node %d: %v", n.id, err)
		}
	}
}

// deliver brings messages to where they belong until there are none.
func (c *cluster) deliver() {
	c.t.Helper()
	for len(c.queue) > 0 {
		m := c.queue[0]
		c.queue = c.queue[1:]
		from, to := c.find(m.GetFrom()), c.find(m.GetTo())
		if to == nil || to.Machine == nil || from == nil || c.lose != nil && c.lose(from, to, m) {
			continue
		}
		to.Step(m)
		to.turn()
	}
}

func (c *cluster) find(raftID uint64) *node {
	for _, n := range c.nodes {
		if n.raftID == raftID {
			return n
		}
	}
	return nil
}

// run lets so many ticks pass.
func (c *cluster) run(ticks int) {
	c.t.Helper()
	for range ticks {
		c.deliver()
		c.now = c.now.Add(Tick)
		for _, n := range c.up() {
			n.Expire(c.now)
			n.turn()
		}
		c.deliver()
		if c.watching != nil {
			c.watching()
		}
	}
}

// until runs until f holds; two minutes have to be enough.
func (c *cluster) until(what string, f func() bool) {
	c.t.Helper()
	for range int(2 * time.Minute / Tick) {
		c.run(1)
		if f() {
			return
		}
	}
	for _, n := range c.up() {
		c.t.Logf("node %d: %+v", n.id, n.Status())
	}
	c.t.Fatalf("never: %s", what)
}

func (c *cluster) up() (up []*node) {
	for _, n := range c.nodes {
		if n.Machine != nil {
			up = append(up, n)
		}
	}
	return up
}

// leader is the one that may decide, of the highest term; nil if there is none.
func (c *cluster) leader() (found *node) {
	for _, n := range c.up() {
		if n.mayDecide() && (found == nil || n.term > found.term) {
			found = n
		}
	}
	return found
}

func (c *cluster) awaitLeader() *node {
	c.t.Helper()
	c.until("there is a leader", func() bool { return c.leader() != nil })
	return c.leader()
}

// level tells whether all nodes that are up show what the leader shows.
func (c *cluster) level() bool {
	l := c.leader()
	if l == nil {
		return false
	}
	for _, n := range c.up() {
		if n.shown.Offset() != l.shown.Offset() {
			return false
		}
	}
	return l.applied == l.lastIndex
}

// change has the leader change members, and waits for it.
func (c *cluster) change(changes ...Change) {
	c.t.Helper()
	done := false
	l := c.leader()
	l.ChangeMembers(changes, func(err error) {
		if done = true; err != nil {
			c.t.Fatalf("change %v: %v", changes, err)
		}
	})
	l.turn()
	c.until(fmt.Sprint("members changed: ", changes), func() bool { return done && !l.changing() })
}

// ask submits a request to a node and returns where its answer will be.
func (n *node) ask(req kmsg.Request) *answer {
	a := &answer{}
	n.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { *a = answer{resp, err} })
	n.turn()
	return a
}

func (a *answer) given() bool { return a.resp != nil || a.err != nil }

// request has the leader answer, whoever that is; the answer is not NOT_CONTROLLER.
func (c *cluster) request(req kmsg.Request) kmsg.Response {
	c.t.Helper()
	for range 100 {
		a := c.awaitLeader().ask(req)
		c.until("answered", a.given)
		switch {
		case a.err == nil:
			return a.resp
		case !errors.Is(a.err, kerr.NotController):
			c.t.Fatal(a.err)
		}
	}
	c.t.Fatal("no leader takes it")
	return nil
}

// property changes a property of all brokers.
func property(name, value string) kmsg.Request {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType = kmsg.ConfigResourceTypeBroker
	change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	change.Name, change.Value = name, &value
	r.Configs = append(r.Configs, change)
	req.Resources = append(req.Resources, r)
	return req
}

// set changes a property of all brokers and waits for the answer.
func (c *cluster) set(name, value string) {
	c.t.Helper()
	resp := c.request(property(name, value)).(*kmsg.IncrementalAlterConfigsResponse)
	if r := resp.Resources[0]; r.ErrorCode != 0 {
		c.t.Fatalf("set %s: %d %v", name, r.ErrorCode, r.ErrorMessage)
	}
}

// retention has something changed that is easily told from what it was.
func (c *cluster) retention(ms int) {
	c.t.Helper()
	c.set("log.retention.ms", fmt.Sprint(ms))
}

// propertyOf changes what number reads.
func propertyOf(number int) kmsg.Request { return property("log.retention.ms", fmt.Sprint(number)) }

func number(n *node) (number int) {
	_, _ = fmt.Sscan(n.retention(), &number) // 0 before the first
	return number
}

func (n *node) retention() string {
	return n.shown.Config(config.Broker, "")["log.retention.ms"]
}

// checkEqual compares the images and the logs of all nodes that are up.
func (c *cluster) checkEqual() {
	c.t.Helper()
	c.until("all are level", c.level)
	l := c.leader()
	for _, n := range c.up() {
		if d := image.Diff(l.shown, n.shown); !d.Empty() {
			c.t.Errorf("node %d differs from the leader: %+v", n.id, d)
		}
		if !slices.Equal(l.conf.GetVoters(), n.conf.GetVoters()) || !slices.Equal(l.conf.GetLearners(), n.conf.GetLearners()) {
			c.t.Errorf("node %d has members %v, the leader %v", n.id, n.conf, l.conf)
		}
	}
}

func TestThreeVoters(t *testing.T) {
	c := of(t, 1, 3)
	c.retention(1)
	c.checkEqual()
	for _, n := range c.nodes {
		if n.retention() != "1" || len(n.conf.GetVoters()) != 3 {
			t.Errorf("node %d: retention %q, members %v", n.id, n.retention(), n.conf)
		}
		if n.Deadline().IsZero() {
			t.Errorf("node %d does not tick", n.id)
		}
	}
	// Each in turn is down, and misses something.
	for i, n := range c.nodes {
		n.crash()
		c.retention(10 + i)
		n.start()
		c.checkEqual()
	}
	for _, n := range c.nodes {
		n.crash()
	}
	for _, n := range c.nodes {
		n.start()
	}
	c.awaitLeader()
	c.checkEqual()
	if got := c.nodes[0].retention(); got != "12" {
		t.Errorf("retention %q", got)
	}
}
