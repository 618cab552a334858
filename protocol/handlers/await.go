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
	start(park(r, r.call.Received.Add(max(timeout, 0)), answer).called)
	return nil
}

// park parks r's call until called is, or a moment has passed; the zero time is none: then whoever was asked has to answer, and only the end of the connection comes before that.
func park[T any](r *request, deadline time.Time, answer func(T, error) kmsg.Response) *awaited[T] {
	p := &awaited[T]{answer: answer}
	p.start(r, deadline)
	return p
}

// parkRaw is park for replies that are no type of kmsg's: write makes the reply.
func parkRaw[T any](r *request, deadline time.Time, write func(*server.Call, T, error)) *awaited[T] {
	p := &awaited[T]{write: write}
	p.start(r, deadline)
	return p
}

func (p *awaited[T]) start(r *request, deadline time.Time) {
	r.call.Park(p)
	r.Purgatory.Start(&p.waiter, r.call, deadline)
	p.waiter.Offset(&p.list, 1)
	p.waiter.Ready(0)
}

type awaited[T any] struct {
	answer func(T, error) kmsg.Response
	write  func(*server.Call, T, error) // instead of answer
	waiter purgatory.Waiter
	list   purgatory.List

	claimed atomic.Bool // by the callback that counts, which then writes value and err
	known   atomic.Bool // they are written; set before list is advanced
	value   T
	err     error
}

func (p *awaited[T]) called(v T, err error) {
	if p.claimed.Swap(true) {
		return
	}
	p.value, p.err = v, err
	p.known.Store(true)
	p.list.Advance(1, 0)
}

// calledWith is called for those who know no error besides the answer's own.
func (p *awaited[T]) calledWith(v T) { p.called(v, nil) }

func (p *awaited[T]) Finish(c *server.Call) {
	p.waiter.Finish()
	var value T
	err := error(kerr.RequestTimedOut)
	if p.known.Load() {
		value, err = p.value, p.err
	}
	if p.write != nil {
		p.write(c, value, err)
	} else {
		fill(c, p.answer(value, err))
	}
	p.answer, p.write = nil, nil // whoever has not called back yet holds p, and must not hold the connection and its buffers
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
