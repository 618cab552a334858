package sim

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/protocol"
)

// node is a process and its machine: a disk, a clock, and the machines of each role, which live from a start to the next crash. So far there is one, the controller's.
type node struct {
	s      *simulation
	number int
	id     protocol.BrokerID
	disk   *disk
	clock  clock

	joins     bool // with an empty disk; the other one founds the cluster
	up        bool
	silent    bool // its broker says nothing any more
	gone      bool // for good: it was taken out of service
	starts    int
	busyUntil time.Duration // it sleeps, or waits for its disk
	slowUntil time.Duration // its disk takes its time

	controller *controller // of this start, or of the last one
	broker     *broker     // the same
	promised   promises

	// observes is what a node without a controller has applied; nil: it has one.
	observes func() protocol.Offset
}

// applied is the offset of the image that the broker has.
func (n *node) applied() protocol.Offset {
	switch {
	case n.observes != nil:
		return n.observes()
	case n.controller.image != nil:
		return n.controller.image.Offset()
	}
	return protocol.NoOffset
}

// directory is the broker's log directory: the same for as long as it has its disk.
func (n *node) directory() protocol.DirectoryID {
	if n.observes != nil {
		return directoryOf(uint64(n.number))
	}
	return directoryOf(n.raftID())
}

func (s *simulation) addNode() *node {
	n := &node{s: s, number: len(s.nodes), disk: newDisk(), joins: len(s.nodes) > 0}
	n.id = protocol.BrokerID(n.number + 1)
	n.clock = clock{local: epoch, rate: 1 + s.plan.drift*(2*s.dice.Float64()-1)}
	n.promised = newPromises()
	s.nodes = append(s.nodes, n)
	n.start()
	return n
}

// epoch is the time at which runs begin.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a node's own.
type clock struct {
	local time.Time     // what it showed
	at    time.Duration // at this virtual time
	rate  float64       // it runs so many times as fast as it should
}

func (c *clock) read(now time.Duration) time.Time {
	return c.local.Add(time.Duration(float64(now-c.at) * c.rate))
}

// when is the virtual time at which it will show t.
func (c *clock) when(t time.Time, now time.Duration) time.Duration {
	return now + time.Duration(float64(t.Sub(c.read(now)))/c.rate) + 1
}

func (c *clock) jump(now time.Duration, d time.Duration) {
	c.local, c.at = c.read(now).Add(d), now
}

func (n *node) now() time.Time { return n.clock.read(n.s.now) }

// busy tells whether n can do nothing now; then again is called when it can.
func (n *node) busy(again func()) bool {
	if n.s.now >= n.busyUntil {
		return false
	}
	n.s.at(n.busyUntil, again)
	return true
}

// start starts the process. It may fail if the disk does, or meet a power cut.
func (n *node) start() {
	n.starts++
	n.s.say("%d starts", n.number)
	n.busyUntil = 0
	if !n.s.healed && n.s.chance(n.s.plan.badStarts) {
		n.breakOrFill()
	}
	n.protect(func() {
		c, err := openController(n)
		if err != nil {
			n.cannotStart(err)
			return
		}
		n.controller, n.up = c, true
		n.s.net.home[c.raftID] = n
		n.broker = newBroker(n)
		n.s.calm = n.s.now
		n.s.judge.started(c)
		c.work(nil)
	})
}

// cannotStart is right only for a node whose disk fails; it is tried again.
func (n *node) cannotStart(err error) {
	n.s.say("%d does not start: %v", n.number, err)
	n.s.expectFailure(n, err)
	n.disk.kill()
	n.restartLater()
}

// protect runs what the node does. A power cut may end it.
func (n *node) protect(do func()) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(powerCut); !ok {
				panic(p)
			}
			n.s.cover.CrashesInWrites++
			n.crash(n.s.survival())
		}
	}()
	do()
}

// crash ends the process. Of what was not synced each thing survives with the given probability; 1 is what kill -9 leaves.
func (n *node) crash(survive float64) {
	s := n.s
	s.cover.Crashes++
	s.say("%d crashes, surviving %.2f", n.number, survive)
	n.down()
	if survive == 1 {
		n.disk.kill()
	} else {
		n.disk.cut(s.dice, survive)
	}
	n.restartLater()
}

// down is what everybody notices of the end of the process.
func (n *node) down() {
	n.up = false
	n.s.client.lost(n)
}

func (n *node) restartLater() {
	if n.gone {
		return
	}
	starts := n.starts
	n.s.after(n.s.about(n.s.plan.downFor)+time.Millisecond, func() {
		if n.up || n.starts != starts || n.gone {
			return
		}
		n.s.cover.Restarts++
		n.start()
	})
}

// halt ends the process in order.
func (n *node) halt() {
	n.s.cover.Stops++
	n.s.say("%d stops", n.number)
	n.protect(func() {
		err := n.controller.close()
		n.down()
		if err != nil {
			n.s.expectFailure(n, err)
		}
		n.disk.kill()
		n.restartLater()
	})
}

// ended is the end of a process whose disk has failed: it answers what waits, and exits.
func (n *node) ended(err error) {
	n.s.cover.NodesEnded++
	n.s.say("%d ends: %v", n.number, err)
	n.s.expectFailure(n, err)
	n.controller.machine.Close()
	n.controller.judgeAnswers()
	n.down()
	if n.s.dice.IntN(2) == 0 {
		n.disk.kill()
	} else {
		n.disk.cut(n.s.dice, n.s.survival())
	}
	n.restartLater()
}

// receive takes a message of the quorum.
func (n *node) receive(m *pb.Message) {
	c := n.controller
	n.protect(func() { c.work(func() { c.machine.Step(m) }) })
}

// delivered and undelivered are what a sender's connection knows of a message.
func (n *node) delivered(m *pb.Message)   { n.outcome(m, true) }
func (n *node) undelivered(m *pb.Message) { n.outcome(m, false) }
