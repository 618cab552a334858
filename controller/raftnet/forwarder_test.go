package raftnet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/handlers"
	"ottla/protocol/peer"
	"ottla/protocol/server"
)

// decider is a node that decides, or does not. Its answers are at offset 10, 11 and so on.
type decider struct {
	mu      sync.Mutex
	asked   []string
	next    protocol.Offset
	err     error
	mute    bool
	waiting []func()
}

func (d *decider) Forward(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, protocol.Offset, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	topic := req.(*kmsg.CreateTopicsRequest).Topics[0].Topic
	d.asked = append(d.asked, p.Name+" "+topic)
	err, at := d.err, d.next
	if err == nil {
		d.next++
	}
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: topic}}
	answer := func() {
		if err != nil {
			done(nil, 0, err)
			return
		}
		done(resp, at, nil)
	}
	if d.mute {
		d.waiting = append(d.waiting, answer)
		return
	}
	go answer()
}

func (d *decider) set(err error, mute bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.mute = err, mute
}

func (d *decider) calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// forwardRig is a forwarder on node 3, and deciders on nodes 1 and 2.
type forwardRig struct {
	*rig
	*Forwarder
	deciders [3]*decider // from 1 on
	leader   atomic.Int32
	stop     [3]func()
}

func inForwardRig(t *testing.T, most int, test func(*testing.T, *forwardRig)) {
	inRig(t, 0, func(t *testing.T, r *rig) {
		f := &forwardRig{rig: r}
		f.leader.Store(1)
		for id := 1; id <= 2; id++ {
			f.startDecider(id)
		}
		f.Forwarder = NewForwarder(ForwarderOptions{Connection: r.connection(3), MaxWaiting: most, Leader: func() (client.Target, bool) {
			id := f.leader.Load()
			return client.Target{Node: protocol.BrokerID(id), Address: address(protocol.BrokerID(id))}, id > 0
		}})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(f.underWay) != 0 || len(f.queue) != 0 || len(f.applying) != 0 {
				t.Errorf("%d requests are left, %d queued, %d to be applied", len(f.underWay), len(f.queue), len(f.applying))
			}
			for id := 1; id <= 2; id++ {
				f.stop[id]()
			}
		}()
		synctest.Wait()
		test(t, f)
	})
}

func (f *forwardRig) startDecider(id int) {
	f.t.Helper()
	if f.deciders[id] == nil {
		f.deciders[id] = &decider{next: 10}
	}
	o := f.connection(protocol.BrokerID(id))
	l, err := f.network.Listen(address(protocol.BrokerID(id)))
	if err != nil {
		f.t.Fatal(err)
	}
	h := handlers.New(handlers.Options{Nodes: &handlers.Nodes{Secret: o.Secret, Identity: o.Self, Forwarder: f.deciders[id]}, Purgatory: purgatory.New()})
	s := server.New(server.Options{Dispatcher: h, MaxFrame: handlers.MaxFrame(1 << 20), MaxPeerFrame: handlers.MaxPeerFrame(1 << 20)})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, "NODES") }()
	f.stop[id] = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-served, s.Shutdown(context.Background())); err != nil {
			f.t.Error(err)
		}
	})
}

type answer struct {
	topic string
	err   error
	after time.Duration
}

// submit asks for a topic; the answer comes over the channel, once.
func (f *forwardRig) submit(topic string, within time.Duration) <-chan answer {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.Topics = 7, []kmsg.CreateTopicsRequestTopic{{Topic: topic}}
	got, began := make(chan answer, 2), time.Now()
	f.Submit(protocol.Principal{Type: "User", Name: "alice"}, "admin", req, began.Add(within), func(resp kmsg.Response, err error) {
		a := answer{err: err, after: time.Since(began)}
		if err == nil {
			a.topic = resp.(*kmsg.CreateTopicsResponse).Topics[0].Topic
		}
		got <- a
	})
	req.Topics[0].Topic = "changed by the caller"
	return got
}

func unanswered(t *testing.T, got <-chan answer, when string) {
	t.Helper()
	synctest.Wait()
	if len(got) != 0 {
		t.Errorf("%s: answered %+v", when, <-got)
	}
}

// The answer comes when this node has what was decided, and not before.
func TestForwardedAnswersWaitForTheImage(t *testing.T) {
	inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
		a, b := f.submit("a", time.Minute), f.submit("b", time.Minute)
		unanswered(t, a, "decided")
		f.Published(9)
		unanswered(t, a, "an older image")
		f.Published(10)
		if got := <-a; got.topic != "a" || got.err != nil {
			t.Errorf("%+v", got)
		}
		unanswered(t, b, "the one before")
		f.Published(11)
		if got := <-b; got.topic != "b" || got.err != nil {
			t.Errorf("%+v", got)
		}
		f.Published(50)
		if got := <-f.submit("c", time.Minute); got.topic != "c" || got.err != nil {
			t.Errorf("%+v", got)
		}
		if asked := fmt.Sprint(f.deciders[1].asked); asked != "[alice a alice b alice c]" || f.deciders[2].calls() != 0 {
			t.Errorf("asked %s", asked)
		}
	})
}

func TestForwardedErrors(t *testing.T) {
	inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
		f.deciders[1].set(protocol.Errorf(kerr.PolicyViolation, "not like this"), false)
		if got := <-f.submit("a", time.Minute); !errors.Is(got.err, kerr.PolicyViolation) || got.err.Error() != "not like this" {
			t.Errorf("%+v", got)
		}
	})
}

// Wherever a request is when its time is over, it is answered then, and once.
func TestForwardedDeadlines(t *testing.T) {
	inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
		timesOut := func(where string, got <-chan answer) {
			t.Helper()
			if a := <-got; !errors.Is(a.err, kerr.RequestTimedOut) || a.after != 3*time.Second {
				t.Errorf("%s: %+v", where, a)
			}
			time.Sleep(time.Minute)
			if len(got) != 0 {
				t.Errorf("%s: answered twice", where)
			}
		}
		timesOut("not in the image", f.submit("a", 3*time.Second))
		f.deciders[1].set(nil, true)
		timesOut("with a leader that does not answer", f.submit("b", 3*time.Second))
		f.leader.Store(0)
		f.stop[1]()
		timesOut("without a leader", f.submit("c", 3*time.Second))
		if got := <-f.submit("d", -time.Second); !errors.Is(got.err, kerr.RequestTimedOut) {
			t.Errorf("too late from the start: %+v", got)
		}
	})
}

// A leader that leads no more, or dies with requests under way: they go to the next one.
func TestForwardingFollowsTheLeader(t *testing.T) {
	for name, lose := range map[string]func(f *forwardRig){
		"not leading": func(f *forwardRig) { f.deciders[1].set(kerr.NotController, false) },
		"died":        func(f *forwardRig) { f.stop[1]() },
	} {
		t.Run(name, func(t *testing.T) {
			inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
				f.Published(1000)
				f.deciders[1].set(nil, true)
				before := f.submit("under way", time.Minute)
				unanswered(t, before, "the leader is silent")
				lose(f)
				if name == "not leading" {
					f.deciders[1].mu.Lock()
					for _, w := range f.deciders[1].waiting {
						w()
					}
					f.deciders[1].mu.Unlock()
				}
				after := f.submit("later", time.Minute)
				time.Sleep(2 * time.Second)
				if name == "not leading" {
					if got := <-before; got.err != nil {
						t.Errorf("%+v", got)
					}
				} else {
					unanswered(t, before, "nobody leads")
				}
				unanswered(t, after, "nobody leads")
				if n := f.deciders[1].calls(); n > 100 {
					t.Errorf("asked %d times in two seconds", n)
				}
				f.leader.Store(2)
				f.LeaderChanged()
				if got := <-after; got.err != nil || got.topic != "later" {
					t.Errorf("%+v", got)
				}
				if name == "died" {
					if got := <-before; got.err != nil || got.topic != "under way" {
						t.Errorf("%+v", got)
					}
				}
			})
		})
	}
}

func TestForwardingIsBounded(t *testing.T) {
	inForwardRig(t, 2, func(t *testing.T, f *forwardRig) {
		a, b, c := f.submit("a", time.Minute), f.submit("b", time.Minute), f.submit("c", time.Minute)
		if got := <-c; !errors.Is(got.err, kerr.RequestTimedOut) {
			t.Errorf("%+v", got)
		}
		synctest.Wait()
		f.Published(100)
		if got := []answer{<-a, <-b}; got[0].err != nil || got[1].err != nil {
			t.Errorf("%+v", got)
		}
		large := kmsg.NewPtrCreateTopicsRequest()
		large.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: string(make([]byte, 30_000))}}
		for range 10 {
			large.Topics = append(large.Topics, large.Topics...)
		}
		refused := make(chan error, 1)
		f.Submit(protocol.Anonymous, "", large, time.Now().Add(time.Minute), func(_ kmsg.Response, err error) { refused <- err })
		if err := <-refused; !errors.Is(err, kerr.PolicyViolation) {
			t.Errorf("%v", err)
		}
	})
}

// When the node ends, nobody is left without an answer.
func TestForwardingEnds(t *testing.T) {
	inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
		other := NewForwarder(ForwarderOptions{Connection: f.connection(3), Leader: func() (client.Target, bool) { return client.Target{}, false }})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		run := other.Run
		go func() { ended <- run(ctx) }()
		f.Forwarder, other = other, f.Forwarder
		got := f.submit("a", time.Minute)
		cancel()
		if a := <-got; !errors.Is(a.err, kerr.NotController) {
			t.Errorf("%+v", a)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if a := <-f.submit("b", time.Minute); !errors.Is(a.err, kerr.NotController) {
			t.Errorf("%+v", a)
		}
		f.Forwarder = other
	})
}

func TestAsk(t *testing.T) {
	inForwardRig(t, 0, func(t *testing.T, f *forwardRig) {
		c, err := client.Dial(t.Context(), f.connection(3), client.Target{Node: 1, Address: address(1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		req := kmsg.NewPtrBrokerHeartbeatRequest()
		req.Version, req.BrokerID = 1, 9 // not ours: refused without being decided
		got := make(chan error, 1)
		Ask(t.Context(), c, req, func(resp kmsg.Response, err error) {
			if err == nil {
				err = kerr.ErrorForCode(resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode)
			}
			got <- err
		})
		if err := <-got; !errors.Is(err, kerr.ClusterAuthorizationFailed) {
			t.Errorf("%v", err)
		}
		if _, err := decodeReply(19, 7, []byte{1, 2, 3}); !errors.Is(err, peer.ErrMalformed) {
			t.Errorf("%v", err)
		}
	})
}
