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
	"ottla/protocol"
)

// client asks for changes of metadata, of a few topics that many requests are about. It knows what each of them would leave behind, and hence what an answer says.
type client struct {
	s      *simulation
	count  int
	ids    uint64 // of topics
	open   []*request
	served int // changes that were answered with success
}

// request is one that was submitted.
type request struct {
	number int
	kind   kind
	name   string
	to     *controller
	asked  protocol.Offset // what was committed then
	at     time.Duration
	count  int32                                 // of partitions
	raftID uint64                                // of the member that it is about
	id     protocol.BrokerID                     // of the broker that asks
	local  time.Time                             // on the clock of who is asked
	answer func(from *node, reply kmsg.Response) // brings the answer to who asked; nil: nobody waits
	done   bool
	body   kmsg.Request
}

// kind is what a request wants.
type kind int8

const (
	create kind = iota
	remove
	alter
	grow
	register
	heartbeat
	enlist // as a controller
	promote
	demote
	want // so many voters
)

func (k kind) String() string {
	return [...]string{"create", "delete", "alter", "grow", "register", "heartbeat", "enlist", "promote", "demote", "want"}[k]
}

// answer is one that the judge has not seen.
type answer struct {
	request *request
	reply   kmsg.Response
	err     error
	at      protocol.Offset // of the newest image that was published then
}

func newClient(s *simulation) client { return client{s: s} }

func (l *client) start() {
	l.s.often(l.s.plan.requests, func() {
		for range 1 + l.s.dice.IntN(l.s.plan.burst) {
			l.ask(l.target())
		}
	})
	if l.s.plan.governed {
		l.keepRegistered()
	}
}

// registerEvery is how often nodes look whether the cluster knows them as controllers.
const registerEvery = 300 * time.Millisecond

// keepRegistered has every node registered as a controller that runs.
func (l *client) keepRegistered() {
	s := l.s
	s.after(registerEvery, func() {
		img := s.judge.images[s.judge.end()]
		for _, n := range s.nodes {
			if n.up && !registeredAs(img, n.raftID()) {
				l.registerController(n)
			}
		}
		l.keepRegistered()
	})
}

// leader is who leads in the highest term, as far as it knows itself; nil if nobody does.
func (l *client) leader() *node {
	var best *node
	var term uint64
	for _, n := range l.s.nodes {
		if !n.up || n.s.now < n.busyUntil {
			continue
		}
		if st := n.controller.machine.Standing(); st.Leads && st.Term > term {
			best, term = n, st.Term
		}
	}
	return best
}

func (l *client) target() *node {
	if l.s.chance(l.s.plan.astray) {
		return l.s.someone()
	}
	return l.leader()
}

func (l *client) newTopicID() (id protocol.TopicID) {
	l.ids++
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], l.ids)
	return id
}

// topics is how many names there are.
const topics = 6

func (l *client) ask(n *node) {
	if n == nil {
		return
	}
	l.count++
	r := &request{number: l.count, kind: []kind{create, create, remove, alter, alter, grow}[l.s.dice.IntN(6)], name: "t" + strconv.Itoa(l.s.dice.IntN(topics))}
	r.body = l.body(r)
	l.submit(n, r)
}

// value is what only request r sets.
func (r *request) value() string { return strconv.Itoa(1_000_000 + r.number) }

func (l *client) body(r *request) kmsg.Request {
	switch r.kind {
	case create:
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = r.name, 1+int32(l.s.dice.IntN(3)), 1
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = marker, kmsg.StringPtr(r.value())
		t.Configs = append(t.Configs, c)
		req.Topics = append(req.Topics, t)
		return req
	case remove:
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = 6
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &r.name
		req.Topics = append(req.Topics, t)
		return req
	case alter:
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Version = 1
		c := kmsg.NewIncrementalAlterConfigsRequestResource()
		c.ResourceType, c.ResourceName = kmsg.ConfigResourceTypeTopic, r.name
		v := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		v.Name, v.Value = marker, kmsg.StringPtr(r.value())
		c.Configs = append(c.Configs, v)
		req.Resources = append(req.Resources, c)
		return req
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version = 3
	t := kmsg.NewCreatePartitionsRequestTopic()
	r.count = 1 + int32(l.s.dice.IntN(8))
	t.Topic, t.Count = r.name, r.count
	req.Topics = append(req.Topics, t)
	return req
}

func (l *client) submit(n *node, r *request) {
	if n == nil || !n.up {
		return
	}
	if n.busy(func() { l.submit(n, r) }) {
		return
	}
	s, c := l.s, n.controller
	s.cover.Asked++
	r.to, r.asked, r.at, r.local = c, protocol.Offset(s.judge.end()), s.now, n.now()
	s.judge.askedByBroker(r)
	l.open = append(l.open, r)
	s.say("%d asked: %d %s %s", n.number, r.number, r.kind, r.name)
	n.protect(func() {
		c.work(func() {
			c.machine.Submit(protocol.Anonymous, r.body, func(reply kmsg.Response, err error) { c.answered(r, reply, err) })
		})
	})
}

func (c *controller) answered(r *request, reply kmsg.Response, err error) {
	if r.done {
		c.n.s.fail(fmt.Errorf("request %d is answered twice", r.number))
	}
	r.done = true
	at := protocol.NoOffset
	if c.image != nil {
		at = c.image.Offset()
	}
	c.answers = append(c.answers, answer{r, reply, err, at})
}

// lost forgets what the node was asked: nobody will answer.
func (l *client) lost(n *node) {
	kept := l.open[:0]
	for _, r := range l.open {
		switch {
		case r.done:
		case r.to.n == n:
			l.s.cover.Unanswered++
		default:
			kept = append(kept, r)
		}
	}
	clear(l.open[len(kept):])
	l.open = kept
}

// answers judges the answers that c has given since the last look.
func (j *judge) answers(c *controller) {
	for _, a := range c.answers {
		j.answer(c, a)
	}
	clear(c.answers)
	c.answers = c.answers[:0]
}

func (j *judge) answer(c *controller, a answer) {
	r, cover := a.request, &j.s.cover
	code, id := codeOf(a.reply)
	if a.err != nil {
		cover.NotController++
		j.s.say("%d answers %d: %v", c.n.number, r.number, a.err)
		return
	}
	j.s.say("%d answers %d: code %d at %d", c.n.number, r.number, code, a.at)
	var err error
	if code == 0 {
		cover.Answered++
		if r.kind < register {
			j.s.client.served++
		}
	} else {
		cover.Refused++
	}
	switch {
	case r.kind >= enlist:
		err = j.answeredMembers(r, code, a.at)
	case r.kind >= register:
		err = j.answeredBroker(c, r, a.reply, a.at)
	case code == 0:
		err = j.answeredChangesAreInEveryLaterImage(r, id, a.at)
	default:
		err = j.refusalsHaveSeenWhatWasAnswered(r, code, a.at)
	}
	if err != nil {
		j.failf("%w: request %d, %s %s, asked of node %d at offset %d, answered at offset %d with code %d", err, r.number, r.kind, r.name, c.n.number, r.asked, a.at, code)
	}
	if r.answer != nil {
		r.answer(c.n, a.reply)
	}
}

// codeOf is the error code of what the request was about, and the topic's id if the answer has it.
func codeOf(reply kmsg.Response) (code int16, id protocol.TopicID) {
	switch r := reply.(type) {
	case *kmsg.CreateTopicsResponse:
		return r.Topics[0].ErrorCode, r.Topics[0].TopicID
	case *kmsg.DeleteTopicsResponse:
		return r.Topics[0].ErrorCode, r.Topics[0].TopicID
	case *kmsg.IncrementalAlterConfigsResponse:
		return r.Resources[0].ErrorCode, id
	case *kmsg.CreatePartitionsResponse:
		return r.Topics[0].ErrorCode, id
	case *kmsg.BrokerRegistrationResponse:
		return r.ErrorCode, id
	case *kmsg.BrokerHeartbeatResponse:
		return r.ErrorCode, id
	case *kmsg.ControllerRegistrationResponse:
		return r.ErrorCode, id
	case *kmsg.AddRaftVoterResponse:
		return r.ErrorCode, id
	case *kmsg.RemoveRaftVoterResponse:
		return r.ErrorCode, id
	}
	return 0, id
}

// answeredChangesAreInEveryLaterImage: what was answered with success is among the committed entries, behind all that was committed when it was asked for, and in the image that the node
// had published when it answered. Images are equal at equal offsets, so it is in all others too.
func (j *judge) answeredChangesAreInEveryLaterImage(r *request, id protocol.TopicID, answered protocol.Offset) error {
	var at protocol.Offset
	var ok bool
	switch r.kind {
	case create:
		at, ok = j.effects.created[id]
	case remove:
		at, ok = j.effects.deleted[id]
	case alter:
		at, ok = j.effects.set[r.value()]
	case grow:
		ok = j.sometime(r.asked+1, answered, func(img *image.Image) bool {
			t, was := img.Topic(r.name), j.images[img.Offset()-1].Topic(r.name)
			at = img.Offset()
			return t != nil && was != nil && len(was.Partitions) < int(r.count) && len(t.Partitions) == int(r.count)
		})
	default:
		return nil
	}
	if !ok || at <= r.asked || at > answered {
		return fmt.Errorf("AnsweredChangesAreInEveryLaterImage: the effect is at offset %d (%v)", at, ok)
	}
	return nil
}

// refusalsHaveSeenWhatWasAnswered: the state that a refusal speaks of was that of some moment between question and answer.
func (j *judge) refusalsHaveSeenWhatWasAnswered(r *request, code int16, answered protocol.Offset) error {
	var right func(*image.Image) bool
	switch code {
	case kerr.TopicAlreadyExists.Code:
		right = func(img *image.Image) bool { return img.Topic(r.name) != nil }
	case kerr.UnknownTopicOrPartition.Code:
		right = func(img *image.Image) bool { return img.Topic(r.name) == nil }
	case kerr.InvalidPartitions.Code:
		right = func(img *image.Image) bool {
			t := img.Topic(r.name)
			return t != nil && len(t.Partitions) >= int(r.count)
		}
	case kerr.InvalidReplicationFactor.Code:
		right = func(img *image.Image) bool { return !slices.ContainsFunc(img.Brokers(), (*image.Broker).Active) }
	default:
		return fmt.Errorf("a refusal that nobody expects: %w", kerr.ErrorForCode(code))
	}
	if !j.sometime(r.asked, answered, right) {
		return fmt.Errorf("AnsweredRefusalsHadSeenEverythingAnsweredBefore: %w", kerr.ErrorForCode(code))
	}
	return nil
}

// sometime tells whether an image from one offset to another, both inclusive, is as it should be.
func (j *judge) sometime(from, to protocol.Offset, right func(*image.Image) bool) bool {
	for at := max(from, 0); at <= to && at < protocol.Offset(len(j.images)); at++ {
		if right(j.images[at]) {
			return true
		}
	}
	return false
}
