package handlers

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol/server"
)

// allocated is the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// dispatchBody hands one body to the broker on a connection of nobody.
func dispatchBody(b *broker, version int16, req kmsg.Request) *server.Call {
	req.SetVersion(version)
	c := &server.Call{Key: req.Key(), Version: version, Body: req.AppendTo(nil), Conn: &server.Conn{}, Received: time.Now()}
	b.Dispatch(c)
	return c
}

func TestDescribeConfigsAnswersAResourceOnce(t *testing.T) {
	b := newBroker(t)
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeDocumentation, req.IncludeSynonyms = true, true
	for range 20_000 {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
		req.Resources = append(req.Resources, r)
	}
	var c *server.Call
	if n := allocated(func() { c = dispatchBody(b, 4, req) }); n > 16<<20 || c.Reply.Len() > 1<<20 {
		t.Errorf("%d bytes allocated for a reply of %d", n, c.Reply.Len())
	}
}

// A Produce of partitions without records costs more to answer than to send.
func TestProduceOfTooManyPartitionsCloses(t *testing.T) {
	for name, tt := range map[string]struct {
		partitions int
		closes     bool
	}{"at the limit": {maxProducePartitions, false}, "above": {maxProducePartitions + 1, true}} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			topic := kmsg.NewProduceRequestTopic()
			topic.Topic, topic.Partitions = "t", make([]kmsg.ProduceRequestTopicPartition, tt.partitions)
			req := kmsg.NewPtrProduceRequest()
			req.Acks, req.Topics = 1, []kmsg.ProduceRequestTopic{topic}
			c := dispatchBody(b, 9, req)
			if closed := c.Reply.Len() == 0; closed != tt.closes {
				t.Errorf("reply of %d bytes", c.Reply.Len())
			}
		})
	}
}

// A fetch of very many partitions may wait only while there is memory for it; then it is answered at once.
func TestFetchOfManyPartitionsHoldsNoMoreThanThereIs(t *testing.T) {
	b := newBroker(t)
	req := fetchRequest(11)
	req.MaxWaitMillis = 60_000
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	for range 1000 {
		topic.Partitions = append(topic.Partitions, fetchOf("t", 0, 0).FetchRequestTopicPartition)
	}
	req.Topics = append(req.Topics, topic)
	c := b.dialWith(t, server.Options{MemoryBudget: 1 << 20})
	start := time.Now()
	c.send(11, req)
	if resp := answerTo[*kmsg.FetchResponse](c, 11, req); len(resp.Topics) != 1 || time.Since(start) > 10*time.Second {
		t.Errorf("%d topics after %v", len(resp.Topics), time.Since(start))
	}
}

// Clients that pipeline the requests of a fetch session get them answered in order, as by a broker that reads one request at a time.
func TestFetchSessionPipelined(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := fetchRequest(11, fetchOf("t", 0, 0))
	req.SessionEpoch = 0
	full := ask[*kmsg.FetchResponse](c, 11, req)
	next := func(epoch int32) *kmsg.FetchRequest {
		req := fetchRequest(11)
		req.SessionID, req.SessionEpoch, req.MaxWaitMillis = full.SessionID, epoch, 60_000
		return req
	}
	for epoch := range int32(5) {
		c.send(11, next(epoch+1))
	}
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
	b.p0.fill(t, 1)
	for epoch := range int32(5) {
		if resp := answerTo[*kmsg.FetchResponse](c, 11, next(epoch+1)); resp.ErrorCode != 0 || resp.SessionID != full.SessionID || len(resp.Topics) != 1 {
			t.Errorf("epoch %d: %+v", epoch+1, resp)
		}
	}
	other := b.dial(t) // elsewhere there is nothing to wait for
	idle := next(6)
	idle.Topics = fetchRequest(11, fetchOf("t", 0, 2)).Topics
	c.send(11, idle)
	waitFor(t, func() bool { _, bytes := b.p0.waiters.Waiting(); return bytes })
	if resp := ask[*kmsg.FetchResponse](other, 11, next(7)); resp.ErrorCode != kerr.InvalidFetchSessionEpoch.Code {
		t.Errorf("a session in use elsewhere: %+v", resp)
	}
	b.p0.fill(t, 1)
	answerTo[*kmsg.FetchResponse](c, 11, idle)
}

// What is submitted to the controller lives on in metadata when the frame holds another request already.
func TestSubmittedRequestsDoNotAliasTheFrame(t *testing.T) {
	for _, key := range []int16{3, 19, 20, 33, 37, 44} {
		r := newIndex(table()).row(key)
		for v := r.min; v <= r.max; v++ {
			b := newBroker(t)
			req := populated(key, v)
			req.SetVersion(v)
			c := &server.Call{Key: key, Version: v, Body: req.AppendTo(nil), Conn: &server.Conn{}, Received: time.Now()}
			b.Dispatch(c)
			submitted := b.controller.requests()
			var before [][]byte
			for _, s := range submitted {
				before = append(before, s.AppendTo(nil))
			}
			for i := range c.Body {
				c.Body[i] = 0xa5
			}
			for i, s := range submitted {
				if !bytes.Equal(s.AppendTo(nil), before[i]) {
					t.Errorf("key %d version %d: the request to the controller changes with the frame", key, v)
				}
			}
		}
	}
}

// Empty arrays and empty bodies: what is legal gets an empty answer, the rest closes.
func TestEmptyRequests(t *testing.T) {
	for _, r := range table() {
		for v := r.min; v <= r.max; v++ {
			b := newBroker(t)
			with(func() { b.groups.decide, b.controller.decide = answerGroups, decideAll })
			c := b.dial(t)
			req := kmsg.RequestForKey(r.key)
			req.SetVersion(v)
			if p, ok := req.(*kmsg.ProduceRequest); ok {
				p.Acks = 1
			}
			if a, ok := req.(*kmsg.ApiVersionsRequest); ok {
				a.ClientSoftwareName, a.ClientSoftwareVersion, a.NodeID = "x", "1", -1
			}
			c.send(v, req)
			c.receive(false)
			c = b.dial(t)
			ask[*kmsg.ApiVersionsResponse](c, 0, kmsg.NewPtrApiVersionsRequest())
		}
	}
}
