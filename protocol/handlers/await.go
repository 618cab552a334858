package handlers

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/purgatory"
	"ottla/protocol/server"
)

// defaultTimeout is for calls whose request has no timeout of its own: Kafka's request.timeout.ms, which is how long its brokers wait for their controller.
const defaultTimeout = 30 * time.Second

// await parks r's call until start's callback is called, or timeout has passed: then answer gets REQUEST_TIMED_OUT, though what was begun may still happen. It returns nil, which the handler returns.
//
// The wait is an ordinary one of the purgatory, for offset 1 of a list of its own: so a late or a second callback, and the end of the connection, find nothing to wake.
func await[T any](r *request, timeout time.Duration, start func(done func(T, error)), answer func(T, error) kmsg.Response) kmsg.Response {
	return awaitUntil(r, r.call.Received.Add(max(timeout, 0)), start, answer)
}

// awaitUntil is await up to a moment; the zero time is none: then whoever was asked has to answer, and only the end of the connection comes before that.
func awaitUntil[T any](r *request, deadline time.Time, start func(done func(T, error)), answer func(T, error) kmsg.Response) kmsg.Response {
	p := &awaited[T]{answer: answer}
	r.call.Park(p)
	r.Purgatory.Start(&p.waiter, r.call, deadline)
	p.waiter.Offset(&p.list, 1)
	p.waiter.Ready(0)
	start(func(v T, err error) {
		p.outcome.Store(&outcome[T]{v, err})
		p.list.Advance(1, 0)
	})
	return nil
}

type awaited[T any] struct {
	answer  func(T, error) kmsg.Response
	waiter  purgatory.Waiter
	list    purgatory.List
	outcome atomic.Pointer[outcome[T]] // stored before list is advanced
}

type outcome[T any] struct {
	value T
	err   error
}

func (p *awaited[T]) Finish(c *server.Call) {
	p.waiter.Finish()
	o := p.outcome.Load()
	if o == nil {
		o = &outcome[T]{err: kerr.RequestTimedOut}
	}
	fill(c, p.answer(o.value, o.err))
	p.answer = nil // whoever has not called back yet holds p, and must not hold the connection and its buffers
}

// submit gives req to the controller and parks until it is decided. Resp is req's response.
func submit[Resp kmsg.Response](r *request, timeoutMs int32, req kmsg.Request, answer func(Resp, error) kmsg.Response) kmsg.Response {
	return await(r, time.Duration(timeoutMs)*time.Millisecond,
		func(done func(kmsg.Response, error)) { r.Controller.Submit(r.principal(), req, done) },
		func(resp kmsg.Response, err error) kmsg.Response {
			var typed Resp
			if err == nil {
				typed = resp.(Resp)
			}
			return answer(typed, err)
		})
}
