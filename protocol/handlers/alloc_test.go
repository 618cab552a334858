//go:build !race

// The race detector makes sync.Pool forget, hence allocate.

package handlers

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol/server"
)

// slot is a call as a connection's ring hands it out again and again, without the connection.
type slot struct {
	b    *broker
	call server.Call
	conn server.Conn
	body []byte // as it came; handlers patch the frame
}

func newSlot(b *broker, version int16, req kmsg.Request) *slot {
	req.SetVersion(version)
	s := &slot{b: b, body: req.AppendTo(nil)}
	s.call.Body = make([]byte, len(s.body))
	s.call.Key, s.call.Version = req.Key(), version
	return s
}

// dispatch does what the server does for a request that is not parked, or that meanwhile runs before its Finish.
func (s *slot) dispatch(meanwhile func()) {
	copy(s.call.Body, s.body)
	// A fresh call but for what a slot keeps.
	s.call = server.Call{Key: s.call.Key, Version: s.call.Version, Body: s.call.Body, Conn: &s.conn, Reply: s.call.Reply, Scratch: s.call.Scratch, Received: time.Now()}
	s.b.Dispatch(&s.call)
	if meanwhile != nil {
		meanwhile()
		s.call.Scratch.(server.Finisher).Finish(&s.call)
	}
	s.call.Reply.Reset()
}

func hotCalls(t testing.TB) map[string]func() {
	calls := map[string]func(){}
	add := func(name string, version int16, req kmsg.Request, prepare func(*broker), meanwhile func(*broker)) {
		b := newBroker(t)
		prepare(b)
		s := newSlot(b, version, req)
		var between func()
		if meanwhile != nil {
			between = func() { meanwhile(b) }
		}
		calls[name] = func() { s.dispatch(between) }
	}
	nothing := func(*broker) {}
	counting := func(b *broker) { b.p0.counting = true }
	add("produce acks 1", 11, produceRequest(11, 1, "t", 0, records(10)), counting, nil)
	add("produce acks 1 by id", 13, produceRequest(13, 1, "t", 0, records(10)), counting, nil)
	add("produce acks all", 11, produceRequest(11, -1, "t", 0, records(10)), counting, (*broker).commitAll)
	fill := func(b *broker) { b.p0.fill(t, 10) }
	add("fetch now", 12, fetchRequest(12, fetchOf("t", 0, 0)), fill, nil)
	add("fetch now by id", 17, fetchRequest(17, fetchOf("t", 0, 0), fetchOf("t", 1, 0)), fill, nil)
	waiting := fetchRequest(12, fetchOf("t", 0, 20), fetchOf("t", 1, 0))
	waiting.MaxWaitMillis = 10_000
	add("fetch parked", 12, waiting, fill, nothing)
	return calls
}

func (b *broker) commitAll() { b.p0.commit() }

func TestHotCallsAllocateNothing(t *testing.T) {
	for name, call := range hotCalls(t) {
		call() // grows what is kept
		if n := testing.AllocsPerRun(200, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHotCalls(b *testing.B) {
	for name, call := range hotCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
