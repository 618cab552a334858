package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// observers is a cluster in which all brokers but those of the three voters follow by fetching committed entries. What crosses the network is counted by the bytes that are really encoded: raft's
// messages, the batches of the log, Kafka's calls around them.
type observers struct {
	*simulation
	t       *testing.T
	all     []*observer
	applied map[*node]uint64 // as far as waiting fetches were answered
	raft    traffic          // between voters
	fetches traffic          // fetches of metadata and their answers
	delta   traffic          // of the latter: answers with entries
}

// traffic is messages and bytes.
type traffic struct{ messages, bytes int }

func (f *traffic) add(bytes int) { f.messages, f.bytes = f.messages+1, f.bytes+bytes }

// observer is a broker that is no member of the quorum.
type observer struct {
	*node
	from    *node // the voter that it reads from
	next    protocol.Offset
	waiting bool         // its fetch is at the voter
	image   *image.Image // only of one: the others would read the same
}

const (
	observedBrokers    = 1_000
	observedTopics     = 100
	observedPartitions = 1_000 // of each topic
	fetchWait          = 500 * time.Millisecond
	fetchBytes         = 8 << 20
)

func newObservers(t *testing.T) *observers {
	cryptotest.SetGlobalRandom(t, 1)
	o := &observers{t: t, applied: map[*node]uint64{}}
	s := &simulation{dice: rand.New(rand.NewPCG(1, 1)), trace: newTrace(nil)}
	s.plan = plan{
		nodes: 3, governed: true, delay: 200 * time.Microsecond, jitter: 100 * time.Microsecond, session: 9 * time.Second, downFor: time.Second,
		snapshotEntries: 10_000, snapshotFor: time.Millisecond, segmentBytes: 64 << 20,
	}
	s.net, s.judge, s.client = newNetwork(s), newJudge(s), newClient(s)
	s.net.watch = func(m *pb.Message) { o.raft.add(proto.Size(m)) }
	s.healed = true
	o.simulation = s
	s.begin()
	return o
}

// until lets events happen until something holds; an hour of virtual time has to be enough.
func (o *observers) until(what string, holds func() bool) {
	o.t.Helper()
	for !holds() {
		o.step()
		if o.answerFetches(); o.err != nil || o.now > time.Hour {
			o.t.Fatalf("%s: at %v: %v\n%s", what, o.now, o.err, o.trace.tail())
		}
	}
}

func (o *observers) image() *image.Image { return o.judge.images[o.judge.end()] }

func (o *observers) pass(d time.Duration) {
	end := o.now + d
	o.until("time passes", func() bool { return o.now >= end })
}

// join adds brokers until there are so many.
func (o *observers) join(brokers int) {
	o.until("three voters", func() bool { return len(o.nodes) == 3 && o.policyReached() == nil && o.brokersStand() == nil })
	for len(o.nodes)+len(o.all) < brokers {
		n := &node{s: o.simulation, number: len(o.nodes) + len(o.all), up: true, starts: 1}
		n.id = protocol.BrokerID(n.number + 1)
		ob := &observer{node: n, from: o.nodes[len(o.all)%3], next: protocol.NoOffset}
		n.observes = ob.offset
		n.broker = newBroker(n)
		o.all = append(o.all, ob)
	}
	o.until("all brokers are in service", func() bool {
		for _, ob := range o.all {
			if b := o.image().Broker(ob.id); b == nil || !b.Active() {
				return false
			}
		}
		return true
	})
}

// offset is what an observer has applied; before it begins to follow it is taken to have all.
func (o *observer) offset() protocol.Offset {
	if o.next == protocol.NoOffset {
		return protocol.Offset(o.s.judge.end())
	}
	return o.next - 1
}

func (o *observers) createTopics() {
	for n := range observedTopics {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = "topic-"+strconv.Itoa(n), observedPartitions, 3
		req.Topics = append(req.Topics, t)
		o.client.submit(o.client.leader(), &request{number: n, kind: create, name: t.Topic, body: req})
		o.until("the topic is there", func() bool { return o.client.served > n })
	}
}

// follow has all observers fetch what comes from here on, as a snapshot of this moment would let them.
func (o *observers) follow() {
	for _, ob := range o.all {
		ob.next = protocol.Offset(o.judge.end() + 1)
		o.after(o.about(fetchWait), func() { o.fetch(ob) })
	}
	o.all[0].image = o.image()
}

// fetch asks the voter for what is committed behind what the observer has.
func (o *observers) fetch(ob *observer) {
	if !ob.up {
		return
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MaxBytes = 17, int32(fetchWait.Milliseconds()), fetchBytes
	topic, partition := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	topic.TopicID, partition.FetchOffset, partition.PartitionMaxBytes = protocol.MetadataTopicID, int64(ob.next), fetchBytes
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	o.fetches.add(sizeOf(req))
	asked := o.now
	o.net.carry(ob.node, ob.from, func() {
		ob.waiting = true
		o.answer(ob)
		o.at(asked+fetchWait, func() {
			if ob.waiting {
				o.reply(ob, nil)
			}
		})
	})
}

// answerFetches answers those that wait at a voter which has applied more.
func (o *observers) answerFetches() {
	for _, n := range o.nodes {
		applied := n.controller.machine.Standing().Applied
		if applied == o.applied[n] {
			continue
		}
		o.applied[n] = applied
		for _, ob := range o.all {
			if ob.from == n && ob.waiting {
				o.answer(ob)
			}
		}
	}
}

// answer brings the committed batches to an observer, if there are some.
func (o *observers) answer(ob *observer) {
	c := ob.from.controller
	var r log.Range
	limit := protocol.Offset(c.machine.Standing().Applied + 1)
	if ob.next >= limit {
		return
	}
	if err := c.log.Read(ob.next, limit, fetchBytes, true, &r); err != nil || r.Source == nil {
		o.t.Fatalf("read from %d to %d: %v", ob.next, limit, err)
	}
	defer r.Source.Release()
	b := make([]byte, r.Size)
	if _, err := r.Source.ReadAt(b, r.Position); err != nil {
		o.t.Fatal(err)
	}
	o.reply(ob, b)
}

func (o *observers) reply(ob *observer, batches []byte) {
	ob.waiting = false
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 17
	topic, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	topic.TopicID, partition.RecordBatches = protocol.MetadataTopicID, batches
	topic.Partitions = append(topic.Partitions, partition)
	resp.Topics = append(resp.Topics, topic)
	const header = 4 + 4 + 1 // size, correlation id, no tags
	size := header + len(resp.AppendTo(nil))
	o.fetches.add(size)
	if len(batches) > 0 {
		o.delta.add(size)
	}
	o.net.carry(ob.from, ob.node, func() {
		o.take(ob, batches)
		o.fetch(ob)
	})
}

// take moves an observer on; one of them makes the image of it.
func (o *observers) take(ob *observer, batches []byte) {
	for len(batches) > 0 {
		var h batch.Header
		if err := batch.ParseHeader(batches, &h); err != nil || h.BaseOffset != ob.next {
			o.t.Fatalf("batch %d, expected %d: %v", h.BaseOffset, ob.next, err)
		}
		if ob.image != nil {
			o.apply(ob, &h, batches[:h.Size()])
		}
		ob.next, batches = h.BaseOffset+1, batches[h.Size():]
	}
}

func (o *observers) apply(ob *observer, h *batch.Header, b []byte) {
	var r batch.Reader
	var rec batch.Record
	if err := r.Reset(b, 0); err != nil {
		o.t.Fatal(err)
	}
	if _, err := r.Next(&rec); err != nil {
		o.t.Fatal(err)
	}
	var err error
	at, term, records := h.BaseOffset, protocol.Term(h.LeaderEpoch), []byte(nil)
	if d := rec.Value; !h.Attributes.Control() && len(d) > proposalHead && binary.BigEndian.Uint64(d[1:]) == uint64(term) && binary.BigEndian.Uint64(d[9:]) == uint64(at) {
		records = d[proposalHead:]
	}
	if records == nil {
		ob.image, _ = ob.image.Apply(at, term, nil)
	} else if ob.image, _, err = ob.image.ApplyList(at, term, records); err != nil {
		o.t.Fatal(err)
	}
}

func sizeOf(req kmsg.Request) int {
	return len(kmsg.NewRequestFormatter(kmsg.FormatterClientID("ottla")).AppendRequest(nil, req, 1))
}

// restart begins to count anew.
func (o *observers) restart() { o.raft, o.fetches, o.delta = traffic{}, traffic{}, traffic{} }

// TestTheLossOfABroker tells what it costs a cluster of 1,000 brokers and 100,000 partitions of three replicas.
func TestTheLossOfABroker(t *testing.T) {
	if testing.Short() {
		t.Skip("a large cluster")
	}
	o := newObservers(t)
	o.join(observedBrokers)
	o.createTopics()
	img := o.image()
	if len(img.Brokers()) != observedBrokers || img.PartitionCount() != observedTopics*observedPartitions {
		t.Fatalf("%d brokers, %d partitions", len(img.Brokers()), img.PartitionCount())
	}
	o.follow()
	o.pass(2 * time.Second)
	const idle = 5
	o.restart()
	before, beats := o.judge.end(), o.cover.Asked
	o.pass(idle * time.Second)
	t.Logf("%d brokers, %d partitions of 3 replicas, 3 voters, everybody else reads the log of one of them; messages take 0.2 to 0.3 ms, a session is %v",
		observedBrokers, img.PartitionCount(), o.plan.session)
	t.Logf("idle, a second: %d entries, %d heartbeats of %d bytes, %d messages (%d bytes) of raft, which confirm their answers, %d messages (%d bytes) of fetches", (o.judge.end()-before)/idle,
		(o.cover.Asked-beats)/idle, sizeOf(o.all[0].broker.heartbeat()), o.raft.messages/idle, o.raft.bytes/idle, o.fetches.messages/idle, o.fetches.bytes/idle)

	lost := o.all[len(o.all)/2]
	held, led := 0, 0
	for topic := range img.Topics() {
		for n := range topic.Partitions {
			for _, id := range topic.Partitions[n].Replicas {
				if id == lost.id {
					held++
				}
			}
			if topic.Partitions[n].Leader == lost.id {
				led++
			}
		}
	}
	before = o.judge.end()
	lost.up = false
	died := o.now
	o.until("it is fenced in the log", func() bool {
		l := o.client.leader()
		last, _ := l.controller.storage.LastIndex()
		if last == before {
			o.restart()
		}
		return last > before
	})
	decided := o.now
	o.until("it is committed", func() bool { b := o.image().Broker(lost.id); return b.Fenced })
	committed, at := o.now, o.judge.end()
	o.until("every observer knows", func() bool {
		for _, ob := range o.all {
			if ob != lost && ob.offset() < protocol.Offset(at) {
				return false
			}
		}
		return true
	})
	records, bytes, entries := 0, 0, 0
	for _, e := range o.judge.entries[before+1:] {
		entries, bytes = entries+1, bytes+len(e.GetData())
		if err := record.Each(e.GetData()[proposalHead:], func(*record.Record) { records++ }); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("lost: broker %d, which held %d partitions and led %d", lost.id, held, led)
	t.Logf("in the log: %d entries, %d records, %d bytes", entries, records, bytes)
	t.Logf("between voters, from the decision until all know: %d messages, %d bytes", o.raft.messages, o.raft.bytes)
	t.Logf("to the others: %d answers with it, %d bytes, %d each; with all fetches of that time %d messages, %d bytes", o.delta.messages, o.delta.bytes, o.delta.bytes/o.delta.messages,
		o.fetches.messages, o.fetches.bytes)
	t.Logf("virtual time: decided %v after the loss, committed %v later, known to the last broker %v after the decision", decided-died, committed-decided, o.now-decided)

	if entries != 1 || records != held+1 {
		t.Errorf("%d entries, %d records for %d partitions", entries, records, held)
	}
	if o.delta.messages != len(o.all)-1 {
		t.Errorf("%d answers for %d observers", o.delta.messages, len(o.all)-1)
	}
	follower, err := shadowOf(o.all[0].image)
	if err != nil || follower != o.judge.hashes[at] {
		t.Errorf("an observer has another image: %v", err)
	}
	for topic := range o.image().Topics() {
		for n := range topic.Partitions {
			if p := &topic.Partitions[n]; p.Leader == lost.id || p.Leader == protocol.NoBroker {
				t.Fatalf("%s-%d is led by %d", topic.Name, n, p.Leader)
			}
		}
	}
}
