//go:build clients

package clients

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawCase is one conversation on a connection of its own: it asks, and what it asks may depend on what it was told. Both brokers are led through the same cases in the same order.
type rawCase struct {
	name string
	talk func(x *exchange)
}

// exchange is a rawCase under way against one broker, and its minutes.
type exchange struct {
	broker *broker
	conn   *rawConn
	known  *rawNames
	turns  []rawTurn
}

// rawTurn is a question and its normalised answer.
type rawTurn struct{ asked, answered string }

// setupError ends a case before what it wants to know: nothing that follows would mean anything.
type setupError struct{ error }

// hold leads b through c and returns the minutes.
func hold(b *broker, known *rawNames, c rawCase) (turns []rawTurn) {
	x := &exchange{broker: b, known: known}
	defer func() {
		x.hangUp()
		turns = x.turns
		switch failed := recover().(type) {
		case nil:
		case setupError:
			turns = append(turns, rawTurn{"(setup)", failed.Error()})
		default:
			panic(failed)
		}
	}()
	c.talk(x)
	return x.turns
}

func (x *exchange) hangUp() {
	if x.conn != nil {
		_ = x.conn.Close() // nothing is owed on it
		x.conn = nil
	}
}

// dial connects unless connected.
func (x *exchange) dial() {
	if x.conn != nil {
		return
	}
	c, err := dialRaw(x.broker.address)
	if err != nil {
		panic(setupError{err})
	}
	x.conn = c
}

// call sends req at a version and returns its response and how many bytes of it the schema does not explain.
func (x *exchange) call(version int16, req kmsg.Request) (kmsg.Response, int, error) {
	req.SetVersion(version)
	return x.exchange(headerOf(req), req.AppendTo(nil), req.ResponseKind())
}

func (x *exchange) exchange(h rawHeader, body []byte, kind kmsg.Response) (kmsg.Response, int, error) {
	x.dial()
	frame := x.conn.frame(h, body)
	if err := x.conn.send(frame); err != nil {
		x.hangUp()
		return nil, 0, err
	}
	return x.await(kind, h.version, x.conn.correlation)
}

func (x *exchange) await(kind kmsg.Response, version int16, correlation int32) (kmsg.Response, int, error) {
	b, err := x.conn.receive()
	if err != nil {
		x.hangUp()
		return nil, 0, err
	}
	leftOver, err := decodeRaw(kind, version, correlation, b)
	return kind, leftOver, err
}

// ask sends req and notes the answer, which is nil when there was none.
func (x *exchange) ask(version int16, req kmsg.Request) kmsg.Response {
	resp, leftOver, err := x.call(version, req)
	x.note(fmt.Sprintf("%s v%d %s", kmsg.NameForKey(req.Key()), version, x.known.render(req)), resp, leftOver, err)
	if err != nil {
		return nil
	}
	return resp
}

// askBytes sends a header and a body as they are, and notes the answer as one to h.key at h.version.
func (x *exchange) askBytes(what string, h rawHeader, body []byte) {
	req := kmsg.RequestForKey(h.key)
	if req == nil {
		req = kmsg.NewPtrApiVersionsRequest() // no answer of any kind is expected
	}
	req.SetVersion(h.version)
	resp, leftOver, err := x.exchange(h, body, req.ResponseKind())
	x.note(what, resp, leftOver, err)
}

func (x *exchange) note(asked string, resp kmsg.Response, leftOver int, err error) {
	said := ""
	switch {
	case err != nil:
		said = "(" + err.Error() + ")"
	case leftOver != 0:
		said = fmt.Sprintf("%s\n(%d bytes are no part of it)", x.known.render(resp), leftOver)
	default:
		said = x.known.render(resp)
	}
	x.turns = append(x.turns, rawTurn{asked, said})
}

// must sends a request that is not what the case asks about: it has to be answered.
func must[T kmsg.Response](x *exchange, version int16, req kmsg.Request) T {
	resp, _, err := x.call(version, req)
	if err != nil {
		panic(setupError{fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)})
	}
	return resp.(T)
}

func mustCode(what string, code int16) {
	if err := kerr.ErrorForCode(code); err != nil {
		panic(setupError{fmt.Errorf("%s: %w", what, err)})
	}
}
