package handlers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/batch"
	"ottla/log/producer"
	"ottla/log/purgatory"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/memnet"
	"ottla/protocol/server"
	"ottla/protocol/session"
)

// The cluster of the tests: brokers 1 (this one), 2 (fenced) and 3; topic "t" with partitions 0 and 1 led here, 2 led by broker 3 and 3 without a leader.
const (
	clusterID = "cluster-of-the-test"
	self      = 1
)

func idOf(name string) protocol.TopicID {
	id := protocol.TopicID{0: 0xaa}
	copy(id[1:], name)
	return id
}

func testImage(extra ...*record.Record) *image.Image {
	rack := "r1"
	broker := func(id int32, host string, fenced bool) *record.Record {
		return record.Of(&record.BrokerRegistration{Id: id, IncarnationId: make([]byte, 16), Fenced: fenced, Rack: &rack,
			Endpoints: []*record.Endpoint{{Name: "PLAINTEXT", Host: host, Port: 9092}},
			Features:  []*record.FeatureRange{{Name: "metadata.version", Min: 1, Max: 7}, {Name: "transaction.version", Min: 0, Max: 0}}})
	}
	rs := []*record.Record{
		record.Of(&record.Cluster{Id: clusterID}), record.Of(&record.ControllerChange{NodeId: self}),
		record.Of(&record.FeatureLevel{Name: "metadata.version", Level: 7}),
		broker(1, "h1", false), broker(2, "h2", true), broker(3, "h3", false),
	}
	rs = append(rs, topicRecords("t", 1, 1, 3, -1)...)
	img, _ := image.Empty().Apply(41, 1, append(rs, extra...))
	return img
}

// topicRecords makes a topic with one partition per leader; each has replicas 1, 2 and 3.
func topicRecords(name string, leaders ...int32) []*record.Record {
	id := idOf(name)
	rs := []*record.Record{record.Of(&record.Topic{Name: name, Id: id[:]})}
	for i, leader := range leaders {
		rs = append(rs, record.Of(&record.Partition{TopicId: id[:], Partition: int32(i), Replicas: []int32{1, 2, 3}, Directories: make([]byte, 48), Isr: []int32{1, 3},
			Leader: leader, LeaderEpoch: 5, PartitionEpoch: 1, Elr: []int32{2}, LastKnownElr: []int32{2}}))
	}
	return rs
}

// fakes guards the state of all fakes: the server's goroutines use it, and the tests look at it and change it through with.
var fakes sync.Mutex

func with(f func()) {
	fakes.Lock()
	defer fakes.Unlock()
	f()
}

// fakePartition keeps batches in a segment on a memory file system.
type fakePartition struct {
	seg      *segment.Segment
	starts   []protocol.Offset // of each batch
	at       []int64           // position of each batch
	offsets  log.Offsets
	waiters  purgatory.List
	counting bool  // Append counts and keeps nothing
	err      error // of Append and Read
	refused  []log.RecordError
	appends  int
	acks     int16
	deleted  protocol.Offset
}

func newFakePartition(t testing.TB) *fakePartition {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("/p"); err != nil {
		t.Fatal(err)
	}
	seg, err := segment.Create(segment.NewFiles(fs, 10), "/p", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &fakePartition{seg: seg, offsets: log.Offsets{Epoch: 5}}
}

func (p *fakePartition) Append(records []byte, acks int16, o log.AppendOptions, info *log.AppendInfo) error {
	fakes.Lock()
	defer fakes.Unlock()
	p.appends++
	p.acks = acks
	*info = log.AppendInfo{BaseOffset: -1, LogAppendTime: -1, LogStartOffset: p.offsets.LogStart, RecordErrors: append(info.RecordErrors[:0], p.refused...)}
	if p.err != nil {
		return p.err
	}
	var h batch.Header
	if err := batch.ParseHeader(records, &h); err != nil {
		return err
	}
	batch.Place(records, p.offsets.LogEnd, p.offsets.Epoch)
	if !p.counting {
		p.starts, p.at = append(p.starts, p.offsets.LogEnd), append(p.at, p.seg.Size())
		if err := p.seg.Write(records); err != nil {
			return err
		}
		p.seg.Added(&h, 1<<30)
	}
	info.BaseOffset = p.offsets.LogEnd
	p.offsets.LogEnd += protocol.Offset(h.Count)
	info.NextOffset = p.offsets.LogEnd
	return nil
}

// told is what a partition was asked to do.
type told struct {
	appends int
	acks    int16
	err     error
	deleted protocol.Offset
}

func (p *fakePartition) state() (s told) {
	with(func() { s = told{p.appends, p.acks, p.err, p.deleted} })
	return s
}

// commit lets the high watermark reach the log end.
func (p *fakePartition) commit() {
	fakes.Lock()
	end := p.offsets.LogEnd
	p.offsets.HighWatermark, p.offsets.LastStable = end, end
	fakes.Unlock()
	p.waiters.Advance(end, p.seg.Size())
}

func (p *fakePartition) Read(o log.ReadOptions, out *log.ReadResult) error {
	fakes.Lock()
	defer fakes.Unlock()
	*out = log.ReadResult{Offsets: p.offsets}
	if p.err != nil {
		return p.err
	}
	if err := checkEpoch(int32(o.CurrentEpoch), p.offsets.Epoch); err != nil {
		return err
	}
	if o.LastFetchedEpoch > p.offsets.Epoch {
		out.Diverging = log.Diverging{Found: true, Epoch: p.offsets.Epoch, EndOffset: p.offsets.LogEnd}
		return nil
	}
	if o.From < p.offsets.LogStart || o.From > p.offsets.LogEnd {
		return kerr.OffsetOutOfRange
	}
	first, size := -1, 0
	for i, start := range p.starts {
		end, next := p.seg.Size(), p.offsets.LogEnd
		if i+1 < len(p.starts) {
			end, next = p.at[i+1], p.starts[i+1]
		}
		if next <= o.From || next > p.offsets.HighWatermark {
			continue
		}
		n := int(end - p.at[i])
		if size+n > o.MaxBytes && !(size == 0 && o.AtLeastOne) {
			break
		}
		if first < 0 {
			first = i
		}
		size += n
		_ = start
	}
	if first < 0 {
		return nil
	}
	h, err := p.seg.Acquire()
	if err != nil {
		return err
	}
	out.Range = log.Range{Source: h, Position: p.at[first], Size: size}
	return nil
}

func (p *fakePartition) Offsets() log.Offsets {
	fakes.Lock()
	defer fakes.Unlock()
	return p.offsets
}

func (p *fakePartition) Waiters() *purgatory.List { return &p.waiters }

func (p *fakePartition) OffsetForTimestamp(ts int64, isolation int8) (log.TimestampOffset, error) {
	fakes.Lock()
	defer fakes.Unlock()
	if p.err != nil {
		return log.TimestampOffset{}, p.err
	}
	return log.TimestampOffset{Timestamp: ts + 1000, Offset: 7, LeaderEpoch: 4}, nil
}

func (p *fakePartition) EpochEnd(current, wanted protocol.LeaderEpoch) (protocol.LeaderEpoch, protocol.Offset, error) {
	fakes.Lock()
	defer fakes.Unlock()
	if err := checkEpoch(int32(current), p.offsets.Epoch); err != nil {
		return 0, 0, err
	}
	if wanted >= p.offsets.Epoch {
		return p.offsets.Epoch, p.offsets.LogEnd, nil
	}
	return wanted, protocol.Offset(10 * (wanted + 1)), nil // epoch n ends at 10(n+1)
}

func (p *fakePartition) DeleteRecords(before protocol.Offset) (protocol.Offset, error) {
	fakes.Lock()
	defer fakes.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	if before == -1 {
		before = p.offsets.HighWatermark
	}
	p.deleted = before
	return before, nil
}

func (p *fakePartition) Producers() ([]producer.Info, error) {
	fakes.Lock()
	defer fakes.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	return []producer.Info{{ID: 7, Epoch: 2, LastSequence: 9, LastTimestamp: 1000, CoordinatorEpoch: -1, TxnFirst: 4}}, nil
}

type fakePartitions struct {
	led map[protocol.TopicIDPartition]*fakePartition
}

func (ps *fakePartitions) Leader(id protocol.TopicID, partition int32) (Partition, error) {
	if p := ps.led[protocol.TopicIDPartition{ID: id, Partition: partition}]; p != nil {
		return p, nil
	}
	return nil, kerr.NotLeaderForPartition
}

type fakeController struct {
	image atomic.Pointer[image.Image]
	asked []kmsg.Request
	// decide answers at once, on another goroutine; nil never answers.
	decide func(kmsg.Request) (kmsg.Response, error)
	late   func(kmsg.Response, error) // the callback of the last request that was not answered
}

func (c *fakeController) Image() *image.Image { return c.image.Load() }

func (c *fakeController) Submit(_ protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	fakes.Lock()
	c.asked = append(c.asked, req)
	decide := c.decide
	c.late = done
	fakes.Unlock()
	if decide != nil {
		go func() { done(decide(req)) }()
	}
}

func (c *fakeController) requests() []kmsg.Request {
	fakes.Lock()
	defer fakes.Unlock()
	return c.asked
}

type fakeIDs struct {
	next protocol.ProducerID
	err  error
}

func (f *fakeIDs) Next(done func(protocol.ProducerID, error)) {
	fakes.Lock()
	f.next++
	id, err := f.next, f.err
	fakes.Unlock()
	done(id, err)
}

// question is one that an authorizer is asked.
type question struct {
	op   protocol.Operation
	on   protocol.ResourceType
	name string
}

type fakeAuthorizer struct {
	denyAll bool
	denied  map[question]bool
	asked   []question
}

func (a *fakeAuthorizer) Allowed(_ protocol.Principal, op protocol.Operation, r protocol.Resource) bool {
	fakes.Lock()
	defer fakes.Unlock()
	q := question{op, r.Type, r.Name}
	if a.denyAll || a.denied != nil {
		a.asked = append(a.asked, q)
	}
	return !a.denyAll && !a.denied[q]
}

func (a *fakeAuthorizer) deny(op protocol.Operation, on protocol.ResourceType, name string) {
	fakes.Lock()
	defer fakes.Unlock()
	if a.denied == nil {
		a.denied = map[question]bool{}
	}
	a.denied[question{op, on, name}] = true
}

// broker is a Handlers on fakes.
type broker struct {
	*Handlers
	controller *fakeController
	partitions *fakePartitions
	authorizer *fakeAuthorizer
	ids        *fakeIDs
	groups     *fakeGroups
	p0, p1     *fakePartition
	settings   config.Values
}

func newBroker(t testing.TB, extra ...*record.Record) *broker {
	b := &broker{controller: &fakeController{}, authorizer: &fakeAuthorizer{}, ids: &fakeIDs{next: 999}, groups: &fakeGroups{}, p0: newFakePartition(t), p1: newFakePartition(t)}
	b.partitions = &fakePartitions{led: map[protocol.TopicIDPartition]*fakePartition{{ID: idOf("t"), Partition: 0}: b.p0, {ID: idOf("t"), Partition: 1}: b.p1}}
	b.controller.image.Store(testImage(extra...))
	b.settings = config.Values{Static: map[string]string{"log.retention.ms": "77"}}
	b.Handlers = New(Options{
		Broker: self, Partitions: b.partitions, Controller: b.controller, ProducerIDs: b.ids, LogDirs: fakeDisks{}, Groups: b.groups, Authorizer: b.authorizer, Purgatory: purgatory.New(),
		Sessions: session.NewCache(session.Options{Slots: 10, MaxPartitions: 1000, MinEviction: time.Minute}),
		Settings: b.values, Logger: slog.New(slog.DiscardHandler),
	})
	return b
}

func (b *broker) values() config.Values {
	fakes.Lock()
	defer fakes.Unlock()
	return b.settings
}

// client is one connection to a real server in front of the handlers.
type client struct {
	t           testing.TB
	conn        net.Conn
	correlation int32
	patience    time.Duration // with an answer
}

func (b *broker) dial(t testing.TB) *client { return b.dialWith(t, server.Options{}) }

// dialWith connects to a server of its own with the options o.
func (b *broker) dialWith(t testing.TB, o server.Options) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return b.dialAt(t, o, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) })
}

// dialOver connects over a network in this process, as a test under virtual time has to.
func (b *broker) dialOver(t testing.TB, n *memnet.Network) *client {
	t.Helper()
	l, err := n.Listen("10.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	return b.dialAt(t, server.Options{}, l, func() (net.Conn, error) { return n.Dial(t.Context(), "tcp", "10.0.0.1:9092") })
}

func (b *broker) dialAt(t testing.TB, o server.Options, l net.Listener, dial func() (net.Conn, error)) *client {
	t.Helper()
	o.MaxFrame = MaxFrame(1 << 20)
	if o.Dispatcher == nil {
		o.Dispatcher = b.Handlers
	}
	s := server.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, "PLAINTEXT") }()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		stop, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if err := s.Shutdown(stop); err != nil {
			t.Error(err)
		}
	})
	return &client{t: t, conn: conn, patience: 10 * time.Second}
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))

func (c *client) send(version int16, req kmsg.Request) {
	c.t.Helper()
	req.SetVersion(version)
	c.correlation++
	c.write(formatter.AppendRequest(nil, req, c.correlation))
}

func (c *client) write(frame []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the body of the next reply.
func (c *client) receive(flexible bool) []byte {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(c.patience))
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.conn, b); err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	b = b[4:]
	if flexible {
		if b[0] != 0 {
			c.t.Fatal("the header has tags")
		}
		b = b[1:]
	}
	return b
}

// silent fails unless nothing comes for d.
func (c *client) silent(d time.Duration) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	if n, err := c.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("read %d bytes and %v, want silence", n, err)
	}
}

// closed fails unless the server closes the connection without another byte.
func (c *client) closed() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.conn.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Fatalf("read %d bytes and %v, want the connection closed", n, err)
	}
}

// ask sends req and decodes its reply into its response type.
func ask[Resp kmsg.Response](c *client, version int16, req kmsg.Request) Resp {
	c.t.Helper()
	c.send(version, req)
	return answerTo[Resp](c, version, req)
}

func answerTo[Resp kmsg.Response](c *client, version int16, req kmsg.Request) Resp {
	c.t.Helper()
	resp := req.ResponseKind().(Resp)
	resp.SetVersion(version)
	body := c.receive(resp.IsFlexible() && req.Key() != keyAPIVersions)
	if err := resp.ReadFrom(body); err != nil {
		c.t.Fatal(err)
	}
	if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
		c.t.Errorf("key %d version %d: the reply has bytes that kmsg does not read:\n%x\n%x", req.Key(), version, body, again)
	}
	return resp
}

// each runs test for every version of a key that is served, on a broker and a connection of its own.
func each(t *testing.T, key int16, test func(t *testing.T, b *broker, c *client, version int16)) {
	row := newIndex(table()).row(key)
	for v := row.min; v <= row.max; v++ {
		t.Run("v"+string(rune('0'+v/10))+string(rune('0'+v%10)), func(t *testing.T) {
			b := newBroker(t)
			test(t, b, b.dial(t), v)
		})
	}
}

// records is a batch of n records.
func records(n int) []byte {
	b := batch.NewBuilder()
	for range n {
		b.Add(1000, nil, []byte("value"))
	}
	return b.Build(nil)
}

// configRecord sets a config; of is Kafka's resource type.
func configRecord(of int32, name, key, value string) *record.Record {
	return record.Of(&record.Config{ResourceType: of, ResourceName: name, Name: key, Value: &value})
}
