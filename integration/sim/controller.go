package sim

import (
	"log/slog"
	"strconv"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/controller/quorum"
	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/protocol"
)

// controller is a node's part in the quorum from one start to the next crash.
type controller struct {
	n       *node
	store   *log.Store
	log     *log.Log
	storage *raftlog.Storage
	machine *quorum.Machine
	raftID  uint64

	tick   time.Time // the deadline that is planned for
	writes bool      // a snapshot is being written

	// What the judge has not seen yet: what was published and answered since the last look.
	image     *image.Image // the newest that was published; nil before the first
	shadow    shadow       // made of deltas alone
	published []publication
	answers   []answer
	seen      seen

	// What the judge knows of brokers: when each was answered last, and when what is in the log was appended, by this node's clock.
	heard   map[liveness.Broker]heard
	decided map[uint64]time.Time
}

// publication is an image and what the deltas up to it make.
type publication struct {
	image  *image.Image
	shadow uint64
}

var quiet = slog.New(slog.DiscardHandler)

const clusterID = "simulated"

// openController opens what is on the disk. The first node founds the cluster, the others join.
func openController(n *node) (*controller, error) {
	c := &controller{n: n, shadow: newShadow(), heard: map[liveness.Broker]heard{}, decided: map[uint64]time.Time{}}
	var err error
	c.store, err = log.OpenStore(log.StoreOptions{FS: n.disk.fs, Dirs: []string{"data"}, Logger: quiet, CleanerOff: true})
	if err != nil {
		return nil, err
	}
	config := log.DefaultConfig()
	config.SegmentBytes, config.IndexIntervalBytes, config.RetentionMs, config.RetentionBytes = n.s.plan.segmentBytes, 512, -1, -1
	c.log, err = c.store.Open(protocol.TopicPartition{Topic: protocol.MetadataTopic}, protocol.MetadataTopicID, config, log.NopObserver{})
	if err != nil {
		return nil, err
	}
	c.storage, err = raftlog.Open(raftlog.Options{Log: c.log, FS: c.store.FS(), Dir: n.quorumDir(), Logger: quiet})
	if err != nil {
		return nil, err
	}
	c.machine, err = quorum.Open(quorum.Options{
		Storage: c.storage, NodeID: n.id, ClusterID: clusterID, Join: n.joins, Publish: c.publish, Govern: n.s.plan.governed, Features: n.s.plan.features(),
		Liveness:   liveness.New(n.s.plan.session, liveness.Self{ID: n.id, Incarnation: n.incarnation()}),
		NewTopicID: n.s.client.newTopicID, Rand: n.s.dice, Logger: quiet, Metrics: n.s.judge.metrics,
		SnapshotEntries: n.s.plan.snapshotEntries, SnapshotBytes: 20 << 20,
	})
	if err != nil {
		return nil, err
	}
	c.raftID = c.storage.RaftID()
	return c, nil
}

const metadataDir = "data/__cluster_metadata-0"

// quorumDir is where the node keeps its votes. Each has a name of its own, so that a planted bug can tell them apart.
func (n *node) quorumDir() string { return "quorum-" + strconv.Itoa(n.number) }

// work lets something happen to the machine, and then all that has become possible.
func (c *controller) work(what func()) {
	if what != nil {
		what()
	}
	rd, err := c.machine.Ready(c.n.now())
	if err != nil {
		c.n.s.judge.committed(c, c.machine.Standing(), true) // what it applied before it met the error, it has answered
		c.n.ended(err)
		return
	}
	c.n.s.judge.look(c, rd.Messages)
	if c.n.s.now < c.n.slowUntil {
		c.n.busyUntil = max(c.n.busyUntil, c.n.s.now+c.n.s.about(c.n.s.plan.slowFor))
	}
	c.send(rd.Messages)
	if rd.Snapshot != nil {
		c.write(rd.Snapshot)
	}
	c.plan()
}

// send gives messages to the network, on a slow disk when that has done its part.
func (c *controller) send(ms []*pb.Message) {
	n := c.n
	if n.s.now < n.busyUntil && len(ms) > 0 {
		n.s.at(n.busyUntil, func() {
			if n.controller != c || !n.up {
				return
			}
			for _, m := range ms {
				n.s.net.send(n, m)
			}
		})
		return
	}
	for _, m := range ms {
		n.s.net.send(n, m)
	}
}

// noteDecided notes when entries came to the log.
func (c *controller) noteDecided() {
	last, _ := c.storage.LastIndex() // never fails
	for i := c.seen.appended + 1; i <= last; i++ {
		c.decided[i] = c.n.now()
	}
	c.seen.appended = last
}

// plan plans the machine's deadline.
func (c *controller) plan() {
	n := c.n
	t := c.machine.Deadline()
	if t.IsZero() || !n.up {
		c.tick = time.Time{}
		return
	}
	if t.Equal(c.tick) && n.clock.at == c.seen.clockAt {
		return
	}
	c.tick, c.seen.clockAt = t, n.clock.at
	n.s.at(n.clock.when(t, n.s.now), func() { c.expire(t) })
}

func (c *controller) expire(t time.Time) {
	n := c.n
	if n.controller != c || !n.up || !t.Equal(c.tick) || n.busy(func() { c.expire(t) }) {
		return
	}
	n.s.cover.Ticks++
	c.tick = time.Time{}
	n.protect(func() { c.work(func() { c.machine.Expire(n.now()) }) })
}

// write writes a snapshot beside everything else: it is there some time later.
func (c *controller) write(w *quorum.SnapshotWork) {
	n := c.n
	c.writes = true
	n.s.after(n.s.about(n.s.plan.snapshotFor), func() { c.wrote(w) })
}

func (c *controller) wrote(w *quorum.SnapshotWork) {
	n := c.n
	if n.controller != c || !n.up || n.busy(func() { c.wrote(w) }) {
		return
	}
	n.protect(func() {
		w.Write()
		c.writes = false
		if err := c.machine.Wrote(w); err != nil {
			n.ended(err)
			return
		}
		n.s.cover.SnapshotsWritten++
		n.s.say("%d wrote a snapshot", n.number)
		c.work(nil)
	})
}

// close ends all of it in order.
func (c *controller) close() error {
	c.machine.Close()
	c.judgeAnswers()
	if err := c.storage.Close(); err != nil {
		return err
	}
	return c.store.Close()
}

// publish is called by the machine.
func (c *controller) publish(img *image.Image, delta *image.Delta) {
	if c.image == nil {
		c.n.s.cover.FirstImages++
	}
	c.image = img
	c.n.s.fail(c.shadow.apply(delta, img))
	c.published = append(c.published, publication{img, c.shadow.sum ^ scalars(img)})
}

// judgeAnswers has the answers judged that were given since the last look.
func (c *controller) judgeAnswers() { c.n.s.judge.answers(c) }

// outcome is what a connection tells the machine of what it was to send.
func (n *node) outcome(m *pb.Message, ok bool) {
	if !n.up || m.GetFrom() != n.raftID() || ok && m.GetType() != pb.MsgSnap {
		return
	}
	c := n.controller
	n.s.after(0, func() { c.tell(m, ok) })
}

// tell is its part of outcome on the node.
func (c *controller) tell(m *pb.Message, ok bool) {
	n := c.n
	if n.controller != c || !n.up || n.busy(func() { c.tell(m, ok) }) {
		return
	}
	n.protect(func() {
		c.work(func() {
			if m.GetType() == pb.MsgSnap {
				c.machine.SnapshotSent(m.GetTo(), ok)
			}
			if !ok {
				c.machine.Unreachable(m.GetTo())
			}
		})
	})
}

func numberOf(n *node) int {
	if n == nil {
		return -1
	}
	return n.number
}

// describe is a message in the trace.
func describe(m *pb.Message) string {
	b := append(make([]byte, 0, 64), pb.MessageType_name[int32(m.GetType())]...)
	number := func(name string, v uint64) {
		if v != 0 {
			b = strconv.AppendUint(append(b, name...), v, 10)
		}
	}
	number(" term=", m.GetTerm())
	number(" log=", m.GetLogTerm())
	number(" at=", m.GetIndex())
	number(" entries=", uint64(len(m.GetEntries())))
	number(" commit=", m.GetCommit())
	number(" snapshot=", m.GetSnapshot().GetMetadata().GetIndex())
	if m.GetReject() {
		b = append(b, " reject"...)
	}
	return string(b)
}
