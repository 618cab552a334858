package observer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller"
	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/handlers"
	"ottla/protocol/memnet"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

const clusterID = "the-cluster"

// rig is a cluster on a network: members of the quorum, whose raft messages arrive at once unless one is cut off, and observers.
type rig struct {
	t       *testing.T
	network *memnet.Network

	mu      sync.Mutex // against those who send while members are added
	members []*member
}

func (r *rig) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members
}

// member is a controller behind real handlers and a real server.
type member struct {
	*controller.Controller
	rig    *rig
	id     protocol.BrokerID
	serves handlers.Metadata // what it serves: itself, unless a test has something worse
	store  *log.Store
	cut    atomic.Bool // from the others of the quorum
	cancel context.CancelFunc
	ended  chan error
	hangUp func() // ends its server
}

func inRig(t *testing.T, test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, network: memnet.New()}
		defer func() {
			for _, m := range r.members {
				m.stop()
			}
		}()
		test(t, r)
	})
}

func host(id protocol.BrokerID) string { return fmt.Sprintf("10.0.0.%d", id) }

func (r *rig) connection(id protocol.BrokerID) client.Options {
	s, err := peer.ParseSecret("correct horse battery")
	if err != nil {
		r.t.Fatal(err)
	}
	return client.Options{Dial: r.network.Host(host(id)), Secret: s, Self: func() peer.Identity {
		return peer.Identity{ClusterID: clusterID, Node: protocol.Node{ID: id, Roles: protocol.RoleBroker}}
	}}
}

// start adds a member: the first founds the cluster.
func (r *rig) start(o controller.Options) *member {
	r.t.Helper()
	m := &member{rig: r, id: protocol.BrokerID(len(r.members) + 1), ended: make(chan error, 2)}
	fs := vfs.NewMem()
	var err error
	if m.store, err = log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet}); err != nil {
		r.t.Fatal(err)
	}
	config := controller.LogConfig()
	config.SegmentBytes = 64 << 10 // so that some go
	o.Log, err = m.store.Open(protocol.TopicPartition{Topic: protocol.MetadataTopic}, protocol.MetadataTopicID, config, log.NopObserver{})
	if err != nil {
		r.t.Fatal(err)
	}
	o.FS, o.Dir, o.NodeID, o.ClusterID, o.Logger, o.Features = fs, "quorum", m.id, clusterID, quiet, decide.Founding()
	o.Join, o.Govern = m.id > 1, true
	o.Send = func(ms []*quorum.Message) { r.send(m, ms) }
	o.Forward = func(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
		go r.forward(p, req, done)
	}
	if m.Controller, err = controller.Open(o); err != nil {
		r.t.Fatal(err)
	}
	m.serves = m.Controller
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() { m.ended <- m.store.Run(ctx) }()
	go func() { m.ended <- m.Run(ctx) }()
	r.mu.Lock()
	r.members = append(r.members, m)
	r.mu.Unlock()
	m.listen()
	return m
}

func (m *member) listen() {
	r := m.rig
	r.t.Helper()
	l, err := r.network.Listen(host(m.id) + ":9092")
	if err != nil {
		r.t.Fatal(err)
	}
	o := r.connection(m.id)
	s := server.New(server.Options{
		Dispatcher: handlers.New(handlers.Options{
			Nodes: &handlers.Nodes{Secret: o.Secret, Identity: o.Self}, Controller: m.Controller, Metadata: m.serves, Purgatory: purgatory.New(), Authorizer: handlers.AllowAll{},
		}),
		MaxFrame: handlers.MaxFrame(1 << 20), MaxPeerFrame: handlers.MaxPeerFrame(1 << 20),
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, "NODES") }()
	m.hangUp = sync.OnceFunc(func() {
		cancel()
		ended, now := context.WithCancel(context.Background())
		now() // nobody waits for polls that are parked
		if err := errors.Join(<-served, s.Shutdown(ended)); err != nil && !errors.Is(err, context.Canceled) {
			r.t.Error(err)
		}
	})
}

func (m *member) stop() {
	m.hangUp()
	m.cancel()
	if err := errors.Join(<-m.ended, <-m.ended, m.store.Close()); err != nil {
		m.rig.t.Error(err)
	}
}

func (r *rig) send(from *member, ms []*quorum.Message) {
	for _, m := range ms {
		for _, to := range r.all() {
			if to.RaftID() == m.GetTo() && !from.cut.Load() && !to.cut.Load() {
				to.Receive(m)
			}
		}
	}
}

type answer struct {
	resp kmsg.Response
	err  error
}

// forward asks all in turn: one of them leads, sooner or later.
func (r *rig) forward(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	for {
		for _, m := range r.all() {
			if m.cut.Load() {
				continue
			}
			answers := make(chan answer, 1)
			m.Decide(p, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
			if a := <-answers; a.err == nil {
				done(a.resp, nil)
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ask has a member answer.
func ask[T kmsg.Response](m *member, req kmsg.Request) T {
	m.rig.t.Helper()
	answers := make(chan answer, 1)
	m.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
	a := <-answers
	if a.err != nil {
		m.rig.t.Fatal(a.err)
	}
	return a.resp.(T)
}

// three makes three members, all of them voters.
func (r *rig) three() {
	r.t.Helper()
	for range 3 {
		m := r.start(controller.Options{})
		req := kmsg.NewPtrControllerRegistrationRequest()
		req.ControllerID = int32(m.id)
		f := kmsg.NewControllerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, 1, 2
		req.Features = append(req.Features, f)
		decide.SetMember(req, m.RaftID(), protocol.DirectoryID{0: byte(m.id), 15: 9})
		if code := ask[*kmsg.ControllerRegistrationResponse](m, req).ErrorCode; code != 0 {
			r.t.Fatalf("controller %d is not registered: %d", m.id, code)
		}
	}
	r.until("there are three voters", func() bool {
		st, err := r.members[0].Status(context.Background())
		return err == nil && !st.Changing && len(st.Members) == 3 && !slices.ContainsFunc(st.Members, func(m quorum.Member) bool { return m.Role != quorum.Voter })
	})
	r.members[0].register()
}

// register registers a broker, so that there is one for partitions.
func (m *member) register() {
	m.rig.t.Helper()
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 2, int32(m.id), clusterID, protocol.NewID()
	req.LogDirs = [][16]byte{{0: 1, 15: 200}}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "localhost", 9092
	req.Listeners = append(req.Listeners, l)
	f := kmsg.NewBrokerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, record.MinLevel, record.MaxLevel
	req.Features = append(req.Features, f)
	if code := ask[*kmsg.BrokerRegistrationResponse](m, req).ErrorCode; code != 0 {
		m.rig.t.Fatalf("registration: error %d", code)
	}
}

func createTopic(name string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
	req.Topics = append(req.Topics, topic)
	return req
}

func (m *member) create(format string, args ...any) {
	m.rig.t.Helper()
	if code := ask[*kmsg.CreateTopicsResponse](m, createTopic(fmt.Sprintf(format, args...))).Topics[0].ErrorCode; code != 0 {
		m.rig.t.Fatalf("topic is not created: %d", code)
	}
}

func (m *member) delete(name string) {
	m.rig.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	if code := ask[*kmsg.DeleteTopicsResponse](m, req).Topics[0].ErrorCode; code != 0 {
		m.rig.t.Fatalf("%s is not deleted: %d", name, code)
	}
}

// watched is an observer that runs, and what its subscriber was told.
type watched struct {
	*Observer
	rig   *rig
	among atomic.Pointer[[]*member] // whom it may follow
	stop  func() error
	ended atomic.Bool

	mu     sync.Mutex
	deltas int
	topics map[string]bool // as the deltas say
	last   protocol.Offset
}

const observerID = 9

// observe starts an observer of the given members.
func (r *rig) observe(o Options, among ...*member) *watched {
	r.t.Helper()
	w := &watched{rig: r, topics: map[string]bool{}, last: -1}
	w.among.Store(&among)
	dial := o.Connection.Dial
	if o.Connection = r.connection(observerID); dial != nil {
		o.Connection.Dial = dial
	}
	o.Members = func(*image.Image) (targets []client.Target) {
		for _, m := range *w.among.Load() {
			targets = append(targets, client.Target{Node: m.id, Address: host(m.id) + ":9092"})
		}
		return targets
	}
	if o.Forward == nil {
		o.Forward = func(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
			go r.forward(p, req, done)
		}
	}
	w.Observer = New(o)
	w.Subscribe(w.note)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx)
		w.ended.Store(true)
	}()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	return w
}

func (w *watched) end() {
	if err := w.stop(); err != nil {
		w.rig.t.Error(err)
	}
}

func (w *watched) note(img *image.Image, d *image.Delta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deltas++; img.Offset() <= w.last {
		w.rig.t.Errorf("told of %d after %d", img.Offset(), w.last)
	}
	w.last = img.Offset()
	for _, c := range d.Topics {
		switch was := w.topics[c.Name()]; {
		case was != (c.Old != nil):
			w.rig.t.Errorf("at %d topic %s was there: %v, the delta says %+v", img.Offset(), c.Name(), was, c)
		case c.New == nil:
			delete(w.topics, c.Name())
		default:
			w.topics[c.Name()] = true
		}
	}
}

func (w *watched) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deltas
}

// until waits for f in virtual time.
func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for range 3000 {
		synctest.Wait()
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("never: %s", what)
}

// contents is all that an image says.
func contents(img *image.Image) []byte { return record.Encode(img.Snapshot()) }

// equals waits until the observer shows what m shows, and has been told of all of it.
func (w *watched) equals(m *member) {
	w.rig.t.Helper()
	w.rig.until("the observer shows what the member shows", func() bool { return w.Image().Offset() == m.Image().Offset() && m.Image().Offset() >= 0 })
	if !bytes.Equal(contents(w.Image()), contents(m.Image())) || w.Image().Term() != m.Image().Term() {
		w.rig.t.Errorf("the observer shows something else at offset %d", m.Image().Offset())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.topics) != m.Image().TopicCount() {
		w.rig.t.Errorf("the deltas make %d topics, there are %d", len(w.topics), m.Image().TopicCount())
	}
}

// follows is the member that the observer has a connection to.
func (w *watched) follows() (found *member) {
	w.rig.t.Helper()
	w.rig.until("it follows a member", func() bool {
		c := w.peer.Conn()
		return c != nil && c.Err() == nil
	})
	for _, m := range w.rig.members {
		if m.id == w.peer.Conn().Node().ID {
			found = m
		}
	}
	return found
}

// serve has a member's server begin anew with something else.
func (m *member) serve(what handlers.Metadata) {
	m.hangUp()
	m.serves = what
	m.listen()
}

// awaitSnapshot waits until there is one.
func (m *member) awaitSnapshot() (end protocol.Offset, term protocol.Term) {
	m.rig.t.Helper()
	m.rig.until("there is a snapshot", func() (ok bool) {
		end, term, ok = m.NewestSnapshot()
		return ok
	})
	return end, term
}

func (m *member) logStart() protocol.Offset {
	m.rig.t.Helper()
	var out log.ReadResult
	if err := m.ReadCommitted(m.Image().Offset()+1, 1, &out); err != nil {
		m.rig.t.Fatal(err)
	}
	return out.Offsets.LogStart
}

// slowMetadata is a member that has applied less than it could know, or has forgotten more.
type slowMetadata struct {
	*controller.Controller
	high, start, end protocol.Offset
	term             protocol.Term
	waiters          purgatory.List
}

func slowed(m *member, high protocol.Offset) *slowMetadata {
	s := &slowMetadata{Controller: m.Controller, high: high}
	s.waiters.Advance(high, 0)
	return s
}

func (s *slowMetadata) CommittedWaiters() *purgatory.List { return &s.waiters }

func (s *slowMetadata) ReadCommitted(from protocol.Offset, maxBytes int, out *log.ReadResult) error {
	if from >= s.high || from < s.start {
		*out = log.ReadResult{Offsets: log.Offsets{HighWatermark: s.high, LogStart: s.start}}
		if from < s.start {
			return kerr.OffsetOutOfRange
		}
		return nil
	}
	err := s.Controller.ReadCommitted(from, 1, out) // one entry
	out.Offsets.HighWatermark = s.high
	return err
}

func (s *slowMetadata) NewestSnapshot() (protocol.Offset, protocol.Term, bool) {
	return s.end, s.term, s.end > 0
}
