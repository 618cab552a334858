package peer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ottla/protocol"
)

func secretOf(t testing.TB, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	callerID = Identity{"the-cluster", protocol.Node{ID: 3, Directory: protocol.DirectoryID{1, 2}, Roles: protocol.RoleBroker}}
	nodeID   = Identity{"the-cluster", protocol.Node{ID: 1, Directory: protocol.DirectoryID{9}, Roles: protocol.RoleBroker | protocol.RoleController}}
)

// sides is a Hello between two.
type sides struct {
	caller             *Caller
	answerer           Answerer
	callers, nodes     Secret
	callerIs, nodeIs   Identity
	nonce              Nonce // the node's
	version            int16
	onWire             [][]byte // what went over it, in order
	tamper             func(step int, b []byte) []byte
	callerErr, nodeErr error
	known              *Identity
}

func newSides(t testing.TB) *sides {
	s := secretOf(t, "correct horse battery")
	return &sides{callers: s, nodes: s, callerIs: callerID, nodeIs: nodeID, nonce: NewNonce(), tamper: func(_ int, b []byte) []byte { return b }}
}

func (s *sides) send(b []byte) []byte {
	b = s.tamper(len(s.onWire), bytes.Clone(b))
	s.onWire = append(s.onWire, b)
	return b
}

func (s *sides) ask(body []byte) []byte {
	reply, known, answered, err := s.answerer.Answer(nil, s.nodes, s.nodeIs, s.nonce, s.version, s.send(body))
	s.known, s.nodeErr = known, errors.Join(answered, err)
	if err != nil {
		return nil
	}
	return s.send(reply)
}

func (s *sides) run() {
	s.caller = NewCaller(s.callers, s.callerIs, NewNonce())
	reply := s.ask(s.caller.Begin(nil))
	if reply == nil {
		return
	}
	proof, err := s.caller.Prove(nil, reply)
	if s.callerErr = err; err != nil {
		return
	}
	if reply = s.ask(proof); reply != nil {
		s.callerErr = s.caller.Accepted(reply)
	}
}

func TestHello(t *testing.T) {
	s := newSides(t)
	s.run()
	if s.callerErr != nil || s.nodeErr != nil || s.known == nil || *s.known != callerID || s.caller.Node() != nodeID {
		t.Fatalf("caller %v, node %v, known %+v, answered by %+v", s.callerErr, s.nodeErr, s.known, s.caller.Node())
	}
	if v, ok := Highest(s.caller.Versions(), KeyRaft); v != 0 || !ok {
		t.Errorf("raft's version %d, %v", v, ok)
	}
	for _, b := range s.onWire {
		if bytes.Contains(b, s.callers.key) {
			t.Error("the secret travels")
		}
	}
}

func TestHelloOfANodeWithoutCluster(t *testing.T) {
	for _, change := range []func(*sides){
		func(s *sides) { s.callerIs = Identity{Node: protocol.Node{ID: protocol.NoBroker}} },
		func(s *sides) { s.nodeIs.ClusterID = "" },
	} {
		s := newSides(t)
		change(s)
		if s.run(); s.callerErr != nil || s.nodeErr != nil || s.known == nil || *s.known != s.callerIs {
			t.Errorf("caller %v, node %v, known %+v", s.callerErr, s.nodeErr, s.known)
		}
	}
}

func TestHelloRefused(t *testing.T) {
	other := secretOf(t, "another horse battery")
	for name, c := range map[string]struct {
		change       func(*sides)
		caller, node error
	}{
		"other cluster":               {func(s *sides) { s.callerIs.ClusterID = "another" }, ErrOtherCluster, ErrOtherCluster},
		"caller's secret is wrong":    {func(s *sides) { s.callers = other }, ErrWrongSecret, nil},
		"node's secret is wrong":      {func(s *sides) { s.nodes = other }, ErrWrongSecret, nil},
		"caller has none":             {func(s *sides) { s.callers = Secret{} }, ErrWrongSecret, nil},
		"neither has one":             {func(s *sides) { s.callers, s.nodes = Secret{}, Secret{} }, ErrWrongSecret, nil},
		"version":                     {func(s *sides) { s.version = 7 }, ErrVersion, ErrVersion},
		"node id changed on the way":  {func(s *sides) { s.tamper = flip(0, 4) }, ErrWrongSecret, nil},
		"directory changed":           {func(s *sides) { s.tamper = flip(0, 10) }, ErrWrongSecret, nil},
		"roles changed":               {func(s *sides) { s.tamper = flip(0, 21) }, ErrWrongSecret, nil},
		"caller's nonce changed":      {func(s *sides) { s.tamper = flip(0, 30) }, ErrWrongSecret, nil},
		"node's answer changed":       {func(s *sides) { s.tamper = flip(1, 60) }, ErrWrongSecret, nil},
		"node's proof changed":        {func(s *sides) { s.tamper = flip(1, -1) }, ErrWrongSecret, nil},
		"caller's proof changed":      {func(s *sides) { s.tamper = flip(2, -1) }, ErrWrongSecret, ErrWrongSecret},
		"the node's proof, sent back": {func(s *sides) { s.tamper = mirror(s) }, ErrWrongSecret, ErrWrongSecret},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides(t)
			c.change(s)
			s.run()
			if !errors.Is(s.callerErr, c.caller) || !errors.Is(s.nodeErr, c.node) || s.known != nil {
				t.Errorf("caller %v, node %v, known %+v", s.callerErr, s.nodeErr, s.known)
			}
		})
	}
}

// flip changes one bit of the message sent at a step.
func flip(step, at int) func(int, []byte) []byte {
	return func(n int, b []byte) []byte {
		if n == step {
			b[(at+len(b))%len(b)] ^= 1
		}
		return b
	}
}

// mirror has the caller's proof be the node's own.
func mirror(s *sides) func(int, []byte) []byte {
	return func(n int, b []byte) []byte {
		if n == 2 {
			nodes := s.onWire[1]
			copy(b[1:], nodes[len(nodes)-32:])
		}
		return b
	}
}

// A recorded Hello opens no other connection, whether it is played to the end or mixed with another one.
func TestHelloCannotBeReplayed(t *testing.T) {
	s := newSides(t)
	s.run()
	var again Answerer
	if _, known, _, err := again.Answer(nil, s.nodes, s.nodeIs, NewNonce(), 0, s.onWire[0]); known != nil || err != nil {
		t.Fatalf("begin: %+v, %v", known, err)
	}
	if _, known, answered, _ := again.Answer(nil, s.nodes, s.nodeIs, NewNonce(), 0, s.onWire[2]); known != nil || !errors.Is(answered, ErrWrongSecret) {
		t.Errorf("a replayed proof: %+v, %v", known, answered)
	}
}

// A connection has one attempt: whatever comes after its end, or out of order, is not answered.
func TestHelloHasOneOrder(t *testing.T) {
	s := newSides(t)
	s.run()
	begin, prove := s.onWire[0], s.onWire[2]
	wrong := bytes.Clone(prove)
	wrong[5] ^= 1
	for name, steps := range map[string][][]byte{
		"prove first": {prove}, "begin twice": {begin, begin}, "again after success": nil, "again after failure": {begin, wrong, prove}, "begin after failure": {begin, wrong, begin},
	} {
		var a Answerer
		if steps == nil {
			a, steps = s.answerer, [][]byte{begin}
		}
		var err error
		for _, b := range steps {
			_, _, _, err = a.Answer(nil, s.nodes, s.nodeIs, NewNonce(), 0, b)
		}
		if !errors.Is(err, errRepeated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsKeepTheirKindOverTheWire(t *testing.T) {
	r := helloReply{err: fmt.Errorf("%w: with more words", ErrOtherCluster)}
	back, err := parseHelloReply(r.append(nil))
	if err != nil || !errors.Is(known(back.err), ErrOtherCluster) {
		t.Errorf("%v, %v", back.err, err)
	}
}

func TestSecret(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 15), strings.Repeat("x", 1025), "two lines are\nno secret", "   spaces only around   x "[:16]} {
		if _, err := ParseSecret(text); !errors.Is(err, ErrSecret) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	minted := MintSecret()
	if minted == MintSecret() || len(minted) < 43 {
		t.Errorf("minted %q", minted)
	}
	s := secretOf(t, " "+minted+"\n")
	for _, printed := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %x %q", s, s, s, s, s, s), fmt.Sprintf("%+v", struct{ S Secret }{s}), s.LogValue().String()} {
		if strings.Contains(printed, minted) || strings.Contains(printed, fmt.Sprintf("%x", minted)) || !strings.Contains(printed, "***") {
			t.Errorf("printed as %q", printed)
		}
	}
	if !(Secret{}).IsZero() || s.IsZero() {
		t.Error("IsZero")
	}
}

func TestHighest(t *testing.T) {
	for _, c := range []struct {
		theirs []KeyVersions
		want   int16
		ok     bool
	}{{Versions(), 0, true}, {nil, 0, false}, {[]KeyVersions{{KeyRaft, 0, 9}}, 0, true}, {[]KeyVersions{{KeyRaft, 1, 9}}, 0, false}} {
		if v, ok := Highest(c.theirs, KeyRaft); v != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v", c.theirs, v, ok)
		}
	}
	for i, v := range Versions() {
		if v.Key != FirstKey+int16(i) {
			t.Errorf("key %d at %d", v.Key, i)
		}
	}
}
