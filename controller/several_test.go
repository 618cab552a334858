package controller

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/controller/record"
	"ottla/log/vfs"
	"ottla/protocol"
)

// several is controllers of one cluster whose messages arrive at once, unless one of the two is cut off.
type several struct {
	t     *testing.T
	nodes []*node
	cut   []atomic.Bool
}

// three starts three nodes that become voters by themselves.
func three(t *testing.T) *several {
	t.Helper()
	s := &several{t: t, cut: make([]atomic.Bool, 3)}
	s.nodes = make([]*node, 3)
	for i := range s.nodes {
		n, err := open(vfs.NewMem(), Options{
			Join: i > 0, Govern: true, Features: decide.Founding(),
			Send: func(ms []*quorum.Message) { s.send(i, ms) },
			Forward: func(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
				go s.forward(p, req, done)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.nodes[i] = n
	}
	for i, n := range s.nodes {
		n.run()
		s.registerController(i)
	}
	s.until("there are three voters", func() bool { return s.voters() == 3 })
	return s
}

func (s *several) send(from int, ms []*quorum.Message) {
	for _, m := range ms {
		for to, n := range s.nodes {
			if n != nil && n.RaftID() == m.GetTo() && !s.cut[from].Load() && !s.cut[to].Load() {
				n.Receive(m)
			}
		}
	}
}

// forward asks all in turn: one of them leads, sooner or later.
func (s *several) forward(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error)) {
	for {
		for i, n := range s.nodes {
			if s.cut[i].Load() {
				continue
			}
			answers := make(chan answer, 1)
			n.Decide(p, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
			if a := <-answers; a.err == nil {
				done(a.resp, nil)
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *several) registerController(i int) {
	s.t.Helper()
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID = int32(i + 1)
	f := kmsg.NewControllerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = record.Feature, 1, 2
	req.Features = append(req.Features, f)
	decide.SetMember(req, s.nodes[i].RaftID(), protocol.DirectoryID{0: byte(i + 1), 15: 9})
	if r := ask[*kmsg.ControllerRegistrationResponse](s.t, s.nodes[i], req); r.ErrorCode != 0 {
		s.t.Fatalf("controller %d is not registered: %d", i+1, r.ErrorCode)
	}
}

// until waits for f in virtual time.
func (s *several) until(what string, f func() bool) {
	s.t.Helper()
	for range 2000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("never: %s", what)
}

// leader is the index of the node that leads; -1 if none does.
func (s *several) leader() int {
	for i, n := range s.nodes {
		if s.cut[i].Load() {
			continue
		}
		if st, err := n.Status(context.Background()); err == nil && st.Leads {
			return i
		}
	}
	return -1
}

func (s *several) voters() (count int) {
	l := s.leader()
	if l < 0 {
		return 0
	}
	st, err := s.nodes[l].Status(context.Background())
	if err != nil || st.Changing {
		return 0
	}
	for _, m := range st.Members {
		if m.Role == quorum.Voter {
			count++
		}
	}
	return count
}

func (s *several) stop() {
	for _, n := range s.nodes {
		n.stop(s.t)
	}
}

// TestThreeControllers: any node takes requests, and answers when it has what was decided. One of them may go.
func TestThreeControllers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := three(t)
		defer s.stop()
		s.nodes[0].register(t)
		for i, n := range s.nodes {
			n.create(t, fmt.Sprint("topic-", i))
		}
		s.until("all have all topics", func() bool { return s.equal(3) })

		gone := s.leader()
		s.cut[gone].Store(true)
		for i, n := range s.nodes {
			if i != gone {
				n.Forget(s.nodes[gone].RaftID())
			}
		}
		for i, n := range s.nodes {
			if i != gone {
				n.create(t, fmt.Sprint("without-", i))
			}
		}
		s.cut[gone].Store(false)
		s.until("the one that was away has them too", func() bool { return s.equal(5) })
	})
}

// equal tells whether all nodes show the same image with so many topics.
func (s *several) equal(topics int) bool {
	first := s.nodes[0].Image()
	for _, n := range s.nodes {
		if img := n.Image(); img.TopicCount() != topics || !image.Diff(first, img).Empty() {
			return false
		}
	}
	return true
}

// TestLeadershipLostOverARequest: it is decided by the next leader.
func TestLeadershipLostOverARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := three(t)
		defer s.stop()
		s.nodes[0].register(t)
		old := s.leader()
		s.cut[old].Store(true)
		answers := make(chan answer, 1)
		s.nodes[old].Submit(protocol.Anonymous, createTopics(false, "late"), func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
		s.until("another one leads", func() bool { return s.leader() >= 0 })
		s.cut[old].Store(false)
		if a := <-answers; a.err != nil || a.resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode != 0 {
			t.Errorf("answer %+v", a)
		}
		s.until("all have it", func() bool { return s.equal(1) })
	})
}

// TestMessagesAreBounded: a driver that does not get to them keeps so many, and one that has ended none.
func TestMessagesAreBounded(t *testing.T) {
	q := queue{filled: make(chan struct{}, 1), limit: 1}
	m := &quorum.Message{Context: make([]byte, maxMessageBytes/4)}
	for range 10 {
		q.receive(m)
	}
	if n := len(q.take(work{}).calls); n != 3 {
		t.Errorf("%d messages of a quarter of the bound", n)
	}
	q.receive(&quorum.Message{Context: make([]byte, 2*maxMessageBytes)})
	if n := len(q.close().calls); n != 1 {
		t.Errorf("a message that is larger than all was not taken: %d", n)
	}
	q.receive(m)
	if q.call(func(*quorum.Machine) {}) || len(q.close().calls) != 0 {
		t.Error("taken after the end")
	}
}
