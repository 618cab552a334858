package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/controller/record"
	"ottla/protocol"
)

// broker is a node's part as a broker, from one start to the next crash: it registers, and says again and again that it is alive. Its calls go to the leader by the network, and so do the answers.
type broker struct {
	n        *node
	epoch    protocol.BrokerEpoch // noEpoch: not registered yet
	stopping bool
	calls    int // an answer counts if it is that to the last one
}

const noEpoch = protocol.BrokerEpoch(-1)

// beatsPerSession is how often a broker is heard of in one session, if all is well.
const beatsPerSession = 5

func newBroker(n *node) *broker {
	b := &broker{n: n, epoch: noEpoch}
	n.s.after(n.s.about(n.s.plan.session/beatsPerSession), b.beat)
	return b
}

// incarnation is the process that runs, or starts.
func (n *node) incarnation() (id protocol.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n.number)+1)
	binary.BigEndian.PutUint64(id[8:], uint64(n.starts))
	return id
}

func (b *broker) ended() bool { return b.n.broker != b || !b.n.up }

// beat makes the next call and plans the one after it.
func (b *broker) beat() {
	n := b.n
	if b.ended() || n.silent || n.busy(b.beat) {
		return
	}
	b.calls++
	if b.epoch == noEpoch {
		b.call(register, b.registration())
	} else {
		b.call(heartbeat, b.heartbeat())
	}
	n.s.after(n.s.plan.session/beatsPerSession, b.beat)
}

// call asks the leader of now. The call may outlive the process that made it: a node may have passed it on for another.
func (b *broker) call(k kind, body kmsg.Request) {
	s := b.n.s
	leader := s.client.leader()
	if leader == nil {
		return
	}
	call := b.calls
	s.net.carry(b.n, leader, func() {
		s.client.submit(leader, &request{kind: k, id: b.n.id, body: body, answer: func(from *node, reply kmsg.Response) {
			s.net.carry(from, b.n, func() { b.answered(call, reply) })
		}})
	})
}

func (b *broker) registration() kmsg.Request {
	n := b.n
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, int32(n.id), clusterID, n.incarnation()
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "node-"+strconv.Itoa(n.number), 9092
	req.Listeners = append(req.Listeners, l)
	req.LogDirs = append(req.LogDirs, n.directory())
	f := kmsg.NewBrokerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, record.MinLevel, record.MaxLevel
	req.Features = append(req.Features, f)
	return req
}

func (b *broker) heartbeat() kmsg.Request {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.WantShutdown, req.CurrentMetadataOffset = int32(b.n.id), int64(b.epoch), b.stopping, int64(b.n.applied())
	return req
}

func (b *broker) answered(call int, reply kmsg.Response) {
	if b.ended() || call != b.calls {
		return
	}
	switch r := reply.(type) {
	case *kmsg.BrokerRegistrationResponse:
		if r.ErrorCode == 0 {
			b.epoch = protocol.BrokerEpoch(r.BrokerEpoch)
		}
	case *kmsg.BrokerHeartbeatResponse:
		switch {
		case r.ErrorCode == kerr.StaleBrokerEpoch.Code: // a call of an earlier process came late
			b.epoch = noEpoch
		case r.ShouldShutdown && b.stopping:
			b.n.s.cover.ControlledStops++
			b.n.halt()
		}
	}
}

// stop begins a controlled shutdown, which its operator waits for only so long.
func (n *node) stop() {
	b := n.broker
	n.s.say("%d is to stop", n.number)
	b.stopping = true
	n.s.after(n.s.about(2*n.s.plan.session), func() {
		if !b.ended() {
			n.halt()
		}
	})
}

// heard is when a controller was last asked by a broker whom it answered, by its own clock.
type heard struct {
	asked time.Time
	at    protocol.Offset // of the newest image when it was answered
}

// aliveness is what the judge knows of brokers.
type aliveness struct {
	leading  map[uint64]*controller   // by term
	stopping map[liveness.Broker]bool // who asked to be fenced
}

func newAliveness() aliveness {
	return aliveness{map[uint64]*controller{}, map[liveness.Broker]bool{}}
}

// askedByBroker notes what a broker asks of a controller.
func (j *judge) askedByBroker(r *request) {
	if h, ok := r.body.(*kmsg.BrokerHeartbeatRequest); ok && h.WantShutdown {
		j.alive.stopping[incarnationOf(h)] = true
	}
}

func incarnationOf(h *kmsg.BrokerHeartbeatRequest) liveness.Broker {
	return liveness.Broker{ID: protocol.BrokerID(h.BrokerID), Epoch: protocol.BrokerEpoch(h.BrokerEpoch)}
}

// answeredBroker: what a broker is told of itself was so at some moment between question and answer.
func (j *judge) answeredBroker(c *controller, r *request, reply kmsg.Response, answered protocol.Offset) error {
	is := func(right func(*image.Broker) bool) bool {
		return j.sometime(r.asked, answered, func(img *image.Image) bool { b := img.Broker(r.id); return b != nil && right(b) })
	}
	right := true
	switch resp := reply.(type) {
	case *kmsg.BrokerRegistrationResponse:
		mine := protocol.ID(r.body.(*kmsg.BrokerRegistrationRequest).IncarnationID)
		switch resp.ErrorCode {
		case 0:
			b := liveness.Broker{ID: r.id, Epoch: protocol.BrokerEpoch(resp.BrokerEpoch)}
			c.heard[b] = heard{r.local, answered}
			right = is(func(is *image.Broker) bool { return is.Epoch == b.Epoch && is.Incarnation == mine })
		case kerr.DuplicateBrokerRegistration.Code:
			right = is(func(b *image.Broker) bool { return b.Incarnation != mine })
		default:
			return fmt.Errorf("a refusal that nobody expects: %w", kerr.ErrorForCode(resp.ErrorCode))
		}
	case *kmsg.BrokerHeartbeatResponse:
		b := incarnationOf(r.body.(*kmsg.BrokerHeartbeatRequest))
		switch {
		case resp.ErrorCode == kerr.StaleBrokerEpoch.Code:
			right = is(func(is *image.Broker) bool { return is.Epoch != b.Epoch })
		case resp.ErrorCode != 0:
			return fmt.Errorf("a refusal that nobody expects: %w", kerr.ErrorForCode(resp.ErrorCode))
		default:
			c.heard[b] = heard{r.local, answered}
			alone := resp.ShouldShutdown && j.sometime(r.asked, answered, func(img *image.Image) bool { return len(img.Brokers()) == 1 })
			right = alone || is(func(is *image.Broker) bool { return is.Epoch == b.Epoch && is.Fenced == resp.IsFenced })
		}
	}
	if !right {
		return fmt.Errorf("AnswersToBrokersAreTrue: %+v", reply)
	}
	return nil
}

// brokersChanged looks at what an entry has made of the brokers, and of what they lead.
func (j *judge) brokersChanged(term uint64, next *image.Image, d *image.Delta) {
	for _, c := range d.Brokers {
		switch {
		case c.Old == nil || c.New == nil:
		case c.New.Epoch < c.Old.Epoch:
			j.failf("BrokerEpochsNeverGoBack: broker %d had epoch %d, and has %d at offset %d", c.New.ID, c.Old.Epoch, c.New.Epoch, next.Offset())
		case c.New.Epoch == c.Old.Epoch && c.New.Fenced && !c.Old.Fenced:
			j.s.cover.Fenced++
			j.noLiveBrokerIsFenced(term, next.Offset(), liveness.Broker{ID: c.New.ID, Epoch: c.New.Epoch})
		case c.New.Epoch == c.Old.Epoch && c.Old.Fenced && !c.New.Fenced:
			j.s.cover.Unfenced++
		}
	}
	if len(d.Brokers)+len(d.Topics) > 0 {
		j.partitionsAreLedByWhoMay(next)
	}
	for _, c := range d.Topics {
		j.epochsGrow(c)
	}
}

// noLiveBrokerIsFenced: no broker is fenced whose heartbeat the same leader has answered within the last session, by that leader's clock; but who asked for it.
func (j *judge) noLiveBrokerIsFenced(term uint64, at protocol.Offset, b liveness.Broker) {
	c := j.alive.leading[term]
	if c == nil || j.alive.stopping[b] {
		return
	}
	decided, known := c.decided[uint64(at)]
	last, ok := c.heard[b]
	if !known || !ok || last.at >= at {
		return
	}
	j.s.cover.FencedAfterSilence++
	if silent := decided.Sub(last.asked); silent < j.s.plan.session {
		j.failf("NoLiveBrokerIsFenced: node %d decided at %v, for offset %d, to fence broker %d, whom it had answered %v ago; a session is %v",
			c.n.number, decided, at, b.ID, silent, j.s.plan.session)
	}
}

// partitionsAreLedByWhoMay: who leads a partition is in service, in sync and has its directory; and what could be led is.
func (j *judge) partitionsAreLedByWhoMay(img *image.Image) {
	for t := range img.Topics() {
		for n := range t.Partitions {
			p := &t.Partitions[n]
			may := protocol.NoBroker
			for k, id := range p.Replicas {
				b := img.Broker(id)
				if b == nil || !b.Active() || !slices.Contains(p.ISR, id) || !p.Directories[k].IsZero() && !slices.Contains(b.Dirs, p.Directories[k]) {
					continue
				}
				if may = id; id == p.Leader {
					break
				}
			}
			if may != p.Leader {
				j.failf("PartitionsAreLedByWhoMay: at offset %d %d leads %s-%d, and %d may: %+v", img.Offset(), p.Leader, t.Name, n, may, *p)
			}
		}
	}
}

// epochsGrow: a change of a partition is another epoch of it, and another leader another leader epoch.
func (j *judge) epochsGrow(c image.TopicChange) {
	if c.Old == nil || c.New == nil {
		return
	}
	for n := range c.Old.Partitions {
		was, is := &c.Old.Partitions[n], &c.New.Partitions[n]
		if is.LeaderEpoch < was.LeaderEpoch || is.PartitionEpoch < was.PartitionEpoch || is.Leader != was.Leader && (is.LeaderEpoch == was.LeaderEpoch || is.PartitionEpoch == was.PartitionEpoch) {
			j.failf("EpochsGrow: %s-%d was %+v, and is %+v", c.Name(), n, *was, *is)
		}
	}
}

// silence lets one broker say nothing any more when everything heals.
func (s *simulation) silence() {
	if !s.plan.silent || len(s.nodes) == 1 { // nobody could lead in its place
		return
	}
	n := s.nodes[s.dice.IntN(len(s.nodes))]
	s.say("the broker of %d falls silent", n.number)
	n.silent = true
}

// fencedWithin is how long after the last election and the last start a silent broker may be in service: a session, on a clock that may run slower, and a bit.
func (s *simulation) fencedWithin() time.Duration {
	return time.Duration(float64(s.plan.session)/(1-s.plan.drift)) + 2*time.Second
}

// brokersStand tells which brokers are not yet what they should be: in service, if they are heard of; fenced, if not, or if the node is gone. The broker of who leads is not waited for.
func (s *simulation) brokersStand() error {
	img, m, leader := s.judge.images[s.judge.end()], &s.judge.members[len(s.judge.members)-1], s.client.leader()
	for _, n := range s.nodes {
		b := img.Broker(n.id)
		switch {
		case n.silent || n.gone:
			if b == nil || b.Fenced || n == leader {
				continue
			}
			if s.now-s.calm > s.fencedWithin() {
				s.judge.failf("SilentBrokersAreFenced: broker %d says nothing, and is in service %v after the last election and the last start", b.ID, s.now-s.calm)
			}
			return fmt.Errorf("the silent broker %d is not fenced", b.ID)
		case m.includes(n.raftID()) && (b == nil || !b.Active() || n.broker == nil || b.Epoch != n.broker.epoch):
			return fmt.Errorf("broker %d is not in service: %+v", n.id, b)
		}
	}
	return nil
}
