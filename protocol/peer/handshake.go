package peer

import (
	"errors"
	"fmt"
)

// A Hello takes two calls. Neither side ever sends the secret, or anything that serves a second time: both nonces are in both proofs.
//
//	caller                                        node
//	begin: cluster, node, directory, nonce   →
//	                                         ←    cluster, node, directory, nonce, proof
//	(checks the proof: is this our cluster?)
//	prove: proof                             →
//	                                              (checks it: from now on the connection is a node's)
//	                                         ←    no error
//
// It says nothing about who else hears or changes what follows: without TLS, whoever sits between two nodes can do both.

// Caller is the side that has dialed. Its methods are called in their order.
type Caller struct {
	secret   Secret
	self     Identity
	nonce    Nonce
	node     Identity
	versions []KeyVersions
}

// NewCaller begins a Hello of one connection.
func NewCaller(s Secret, self Identity, nonce Nonce) *Caller {
	return &Caller{secret: s, self: self, nonce: nonce}
}

// Begin appends the body of the first call.
func (c *Caller) Begin(b []byte) []byte {
	h := Hello{step: stepBegin, who: c.self, nonce: c.nonce}
	return h.append(b)
}

// Prove checks the reply to the first call and appends the body of the second.
// Errors: ErrOtherCluster, ErrWrongSecret, ErrVersion, ErrMalformed, or what the node says.
func (c *Caller) Prove(b, reply []byte) ([]byte, error) {
	r, err := parseHelloReply(reply)
	switch {
	case err != nil:
		return b, err
	case r.err != nil:
		return b, known(r.err)
	case !r.begun:
		return b, fmt.Errorf("reply to hello without a proof: %w", ErrMalformed)
	}
	if err := checkCluster(c.self.ClusterID, r.who.ClusterID); err != nil {
		return b, err
	}
	if c.secret.IsZero() || !r.proof.equal(prove(c.secret, byNode, c.self, c.nonce, r.who, r.nonce)) {
		return b, ErrWrongSecret
	}
	c.node, c.versions = r.who, r.versions
	h := Hello{step: stepProve, proof: prove(c.secret, byCaller, c.self, c.nonce, r.who, r.nonce)}
	return h.append(b), nil
}

// Accepted checks the reply to the second call.
func (c *Caller) Accepted(reply []byte) error {
	r, err := parseHelloReply(reply)
	if err != nil {
		return err
	}
	return known(r.err)
}

// Node is who answered, once Prove has succeeded; Versions what it serves.
func (c *Caller) Node() Identity          { return c.node }
func (c *Caller) Versions() []KeyVersions { return c.versions }

// Answerer is the side that was called: the state of one connection. The zero value has heard nothing.
type Answerer struct {
	begun  bool
	ended  bool // one way or the other
	caller Identity
	want   Proof
}

// errRepeated is no error on the wire: the connection is closed.
var errRepeated = errors.New("a hello is said once on a connection, first begin and then prove")

// Answer takes one call of the caller and appends the reply. known is who called, once it has proved it, and nil until then. An error of answered is told in the reply already: the
// connection is no node's, and never will be. err means that there is no reply and the connection is to be closed.
func (a *Answerer) Answer(b []byte, s Secret, self Identity, nonce Nonce, version int16, body []byte) (reply []byte, known *Identity, answered, err error) {
	if a.ended {
		return nil, nil, nil, errRepeated
	}
	if _, served := Highest([]KeyVersions{{KeyHello, version, version}}, KeyHello); !served {
		b, answered = a.refuse(b, ErrVersion)
		return b, nil, answered, nil
	}
	h, err := parseHello(body)
	if err != nil {
		return nil, nil, nil, err
	}
	if (h.step == stepProve) != a.begun {
		return nil, nil, nil, errRepeated
	}
	if h.step == stepBegin {
		reply, answered = a.begin(b, s, self, nonce, &h)
		return reply, nil, answered, nil
	}
	a.ended = true
	if s.IsZero() || !a.want.equal(h.proof) {
		reply, answered = a.refuse(b, ErrWrongSecret)
		return reply, nil, answered, nil
	}
	accepted := helloReply{}
	return accepted.append(b), &a.caller, nil, nil
}

func (a *Answerer) begin(b []byte, s Secret, self Identity, nonce Nonce, h *Hello) ([]byte, error) {
	if err := checkCluster(self.ClusterID, h.who.ClusterID); err != nil {
		return a.refuse(b, err)
	}
	a.begun, a.caller = true, h.who
	a.want = prove(s, byCaller, h.who, h.nonce, self, nonce)
	r := helloReply{versions: Versions(), begun: true, who: self, nonce: nonce, proof: prove(s, byNode, h.who, h.nonce, self, nonce)}
	return r.append(b), nil
}

func (a *Answerer) refuse(b []byte, err error) ([]byte, error) {
	a.ended = true
	r := helloReply{err: err, versions: Versions()}
	return r.append(b), err
}
