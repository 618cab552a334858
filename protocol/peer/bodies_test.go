package peer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

var (
	aForward = Forward{Principal: protocol.Principal{Type: "User", Name: "alice"}, ClientID: "admin", Key: 19, Version: 7, TimeLeft: 30 * time.Second, Body: []byte{1, 2, 3}}
	aJoined  = Joined{ClusterID: "c", ID: 4, Nodes: []Endpoint{{protocol.Node{ID: 1, Directory: protocol.DirectoryID{7}, Roles: 3}, "host-1", 9092}, {protocol.Node{ID: 2}, "::1", 1}}}
)

// The bytes of version 0 stay what they are.
func TestGoldenBytes(t *testing.T) {
	begin := Hello{step: stepBegin, who: Identity{"c", protocol.Node{ID: 3, Roles: 1}}}
	prove := Hello{step: stepProve, proof: Proof{0xab}}
	reply := helloReply{versions: []KeyVersions{{KeyRaft, 0, 1}}, begun: true, who: Identity{"c", protocol.Node{ID: 1, Roles: 3}}}
	zeros := func(n int) string { return strings.Repeat("00", n) }
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"begin":         {begin.append(nil), "01" + "00000003" + zeros(16) + "01" + zeros(32) + "000163"},
		"prove":         {prove.append(nil), "02" + "ab" + zeros(31)},
		"reply":         {reply.append(nil), "0000" + "0000" + "01" + "271100000001" + "00000001" + zeros(16) + "03" + zeros(32) + "000163" + zeros(32)},
		"refused":       {(&helloReply{err: protocol.Errorf(kerr.InvalidRequest, "no")}).append(nil), "002a" + "00026e6f" + "00"},
		"raft":          {AppendWhole(BeginRaft(nil, 0), []byte{9, 8}), "00000000" + "00" + "00000002" + "0908"},
		"chunk":         {AppendChunk(BeginRaft(nil, 0), Chunk{1, 2, 5, []byte{7, 6, 5}}), "00000000" + "01" + "0000000000000001" + "0000000000000002" + "0000000000000005" + "00000003" + "070605"},
		"forward":       {aForward.Append(nil), "000455736572" + "0005616c696365" + "000561646d696e" + "0013" + "0007" + "00007530" + "00000003" + "010203"},
		"decided":       {(&Decided{Offset: 77, Body: []byte{5}}).Append(nil), "0000" + "0000" + "000000000000004d" + "05"},
		"join":          {(&Join{protocol.Node{ID: -1, Roles: 3}}).Append(nil), "ffffffff" + zeros(16) + "03"},
		"joined":        {(&Joined{ClusterID: "c", ID: 4, Nodes: aJoined.Nodes[1:]}).Append(nil), "0000" + "0000" + "000163" + "00000004" + "0001" + "00000002" + zeros(16) + "00" + "00033a3a31" + "0001"},
		"committed":     {(&Committed{Offset: 77}).Append(nil), "0000" + "0000" + "000000000000004d"},
		"a proof's sum": {proofOf("correct horse battery"), "d5b8cdd2"},
	} {
		if name == "a proof's sum" {
			c.got = c.got[:4]
		}
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func proofOf(secret string) []byte {
	p := prove(Secret{[]byte(secret)}, byNode, callerID, Nonce{1}, nodeID, Nonce{2})
	return p[:]
}

func TestRoundTrips(t *testing.T) {
	f, err := ParseForward(aForward.Append(nil))
	if err != nil || !reflect.DeepEqual(f, aForward) {
		t.Errorf("%+v, %v", f, err)
	}
	d := Decided{Err: protocol.Errorf(kerr.PolicyViolation, "not like this"), Offset: -1}
	back, err := ParseDecided(d.Append(nil))
	if err != nil || !errors.Is(back.Err, kerr.PolicyViolation) || back.Err.Error() != "not like this" || back.Offset != -1 || len(back.Body) != 0 {
		t.Errorf("%+v, %v", back, err)
	}
	j, err := ParseJoined(aJoined.Append(nil))
	if err != nil || !reflect.DeepEqual(j, aJoined) {
		t.Errorf("%+v, %v", j, err)
	}
	asked := Committed{Err: protocol.Errorf(kerr.NotController, "nobody leads"), Offset: -1}
	answered, err := ParseCommitted(asked.Append(nil))
	if err != nil || !errors.Is(answered.Err, kerr.NotController) || answered.Offset != -1 {
		t.Errorf("%+v, %v", answered, err)
	}
	join, err := ParseJoin((&Join{callerID.Node}).Append(nil))
	if err != nil || join.Node != callerID.Node {
		t.Errorf("%+v, %v", join, err)
	}
}

func TestTimeLeftIsBounded(t *testing.T) {
	for in, want := range map[time.Duration]time.Duration{-time.Second: 0, 90 * 24 * time.Hour: (1<<31 - 1) * time.Millisecond, 1500 * time.Microsecond: time.Millisecond} {
		f := Forward{TimeLeft: in}
		if got, err := ParseForward(f.Append(nil)); err != nil || got.TimeLeft != want {
			t.Errorf("%v: %v, %v", in, got.TimeLeft, err)
		}
	}
}

func TestRaftSections(t *testing.T) {
	b := AppendWhole(AppendChunk(AppendWhole(BeginRaft(nil, 5), []byte("one")), Chunk{7, 0, 3, []byte("abc")}), nil)
	s := ScanRaft(b)
	var got []string
	for s.Next() {
		if s.Message != nil {
			got = append(got, "message "+string(s.Message))
		} else {
			got = append(got, "chunk "+string(s.Chunk.Bytes))
		}
	}
	if s.Err() != nil || s.Group != 5 || !reflect.DeepEqual(got, []string{"message one", "chunk abc", "message "}) {
		t.Errorf("%q, %v", got, s.Err())
	}
	for name, bad := range map[string][]byte{
		"no group": {0, 0}, "unknown kind": {0, 0, 0, 0, 9}, "cut short": b[:len(b)-1], "size beyond the end": {0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1},
		"chunk beyond its total": AppendChunk(BeginRaft(nil, 0), Chunk{7, 1, 3, []byte("abc")}), "empty chunk": AppendChunk(BeginRaft(nil, 0), Chunk{7, 0, 0, nil}),
		"negative offset": AppendChunk(BeginRaft(nil, 0), Chunk{7, -1, 3, []byte("a")}), "offset that overflows": AppendChunk(BeginRaft(nil, 0), Chunk{7, 1<<63 - 1, 1<<63 - 1, []byte("a")}),
	} {
		s := ScanRaft(bad)
		for s.Next() {
		}
		if !errors.Is(s.Err(), ErrMalformed) {
			t.Errorf("%s: %v", name, s.Err())
		}
	}
}

func TestAssembly(t *testing.T) {
	type step struct {
		Chunk
		whole string
		err   bool
	}
	for name, steps := range map[string][]step{
		"in one":             {{Chunk{1, 0, 3, []byte("abc")}, "abc", false}},
		"in three":           {{Chunk{1, 0, 5, []byte("ab")}, "", false}, {Chunk{1, 2, 5, []byte("cd")}, "", false}, {Chunk{1, 4, 5, []byte("e")}, "abcde", false}},
		"one after another":  {{Chunk{1, 0, 1, []byte("a")}, "a", false}, {Chunk{2, 0, 1, []byte("b")}, "b", false}},
		"begun again":        {{Chunk{1, 0, 4, []byte("ab")}, "", false}, {Chunk{2, 0, 2, []byte("xy")}, "xy", false}, {Chunk{1, 2, 4, []byte("cd")}, "", false}},
		"a gap":              {{Chunk{1, 0, 5, []byte("ab")}, "", false}, {Chunk{1, 3, 5, []byte("de")}, "", true}, {Chunk{1, 2, 5, []byte("cde")}, "", false}},
		"twice the same":     {{Chunk{1, 0, 5, []byte("ab")}, "", false}, {Chunk{1, 2, 5, []byte("c")}, "", false}, {Chunk{1, 2, 5, []byte("c")}, "", true}},
		"another total":      {{Chunk{1, 0, 5, []byte("ab")}, "", false}, {Chunk{1, 2, 4, []byte("cd")}, "", true}},
		"without its start":  {{Chunk{1, 2, 4, []byte("cd")}, "", false}, {Chunk{0, 2, 4, []byte("cd")}, "", false}},
		"larger than it may": {{Chunk{1, 0, 101, []byte("a")}, "", true}, {Chunk{1, 1, 101, []byte("a")}, "", false}},
	} {
		a := Assembly{Max: 100}
		for i, s := range steps {
			whole, err := a.Add(s.Chunk)
			if string(whole) != s.whole || (err != nil) != s.err || err != nil && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, step %d: %q, %v", name, i, whole, err)
			}
		}
	}
}

// What is announced costs nothing.
func TestAssemblyTakesMemoryAsBytesCome(t *testing.T) {
	a := Assembly{Max: 1 << 40}
	if _, err := a.Add(Chunk{1, 0, 1 << 39, make([]byte, 100)}); err != nil || a.Held() > 1000 {
		t.Errorf("%d bytes held, %v", a.Held(), err)
	}
	n := testing.AllocsPerRun(10, func() {
		if _, err := ParseJoined([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3}); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
	if n > 5 {
		t.Errorf("%v allocations for nodes that are not there", n)
	}
}

// again parses a body and writes it.
func again[T any](body []byte, parse func([]byte) (T, error), write func(*T, []byte) []byte) ([]byte, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	return write(&v, nil), nil
}

// What is parsed can be written, and what was written means the same. Nothing panics.
func FuzzBodies(f *testing.F) {
	rewrites := []func([]byte) ([]byte, error){
		func(b []byte) ([]byte, error) { return again(b, parseHello, (*Hello).append) },
		func(b []byte) ([]byte, error) { return again(b, parseHelloReply, (*helloReply).append) },
		func(b []byte) ([]byte, error) { return again(b, ParseForward, (*Forward).Append) },
		func(b []byte) ([]byte, error) { return again(b, ParseDecided, (*Decided).Append) },
		func(b []byte) ([]byte, error) { return again(b, ParseJoin, (*Join).Append) },
		func(b []byte) ([]byte, error) { return again(b, ParseJoined, (*Joined).Append) },
		func(b []byte) ([]byte, error) { return again(b, ParseCommitted, (*Committed).Append) },
	}
	begin := Hello{step: stepBegin, who: callerID}
	reply := helloReply{versions: Versions(), begun: true, who: nodeID}
	for i, b := range [][]byte{begin.append(nil), reply.append(nil), aForward.Append(nil), (&Decided{Offset: 1, Body: []byte{1}}).Append(nil), (&Join{}).Append(nil), aJoined.Append(nil), (&Committed{Offset: 7}).Append(nil)} {
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, what uint8, body []byte) {
		rewrite := rewrites[int(what)%len(rewrites)]
		once, err := rewrite(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%x: %v", body, err)
			}
			return
		}
		if twice, err := rewrite(once); err != nil || !bytes.Equal(twice, once) {
			t.Errorf("%x became %x, and then %x, %v", body, once, twice, err)
		}
	})
}

func FuzzRaft(f *testing.F) {
	f.Add(AppendWhole(AppendChunk(AppendWhole(BeginRaft(nil, 0), []byte("one")), Chunk{7, 0, 3, []byte("abc")}), []byte("two")))
	f.Add(AppendChunk(AppendChunk(BeginRaft(nil, 0), Chunk{7, 0, 4, []byte("ab")}), Chunk{7, 2, 4, []byte("cd")}))
	f.Fuzz(func(t *testing.T, body []byte) {
		a := Assembly{Max: 1 << 20}
		s := ScanRaft(body)
		for s.Next() {
			if s.Message != nil {
				continue
			}
			whole, err := a.Add(s.Chunk)
			if err != nil && whole != nil || int64(len(whole)) > a.Max || a.Held() > 4*len(body)+64 {
				t.Errorf("%d bytes, %d held, %v", len(whole), a.Held(), err)
			}
		}
	})
}

// A caller and a node survive whatever the other side says.
func FuzzHandshake(f *testing.F) {
	s := newSides(f)
	s.run()
	for i, b := range s.onWire {
		f.Add(uint8(i), int16(0), b)
	}
	f.Fuzz(func(t *testing.T, step uint8, version int16, b []byte) {
		s := newSides(t)
		s.version = version
		s.tamper = func(n int, sent []byte) []byte {
			if n == int(step%4) {
				return b
			}
			return sent
		}
		s.run()
		if s.known != nil && (step%4 == 0 || step%4 == 2) && s.callerErr == nil && s.nodeErr == nil && *s.known != callerID {
			t.Errorf("known as %+v", s.known)
		}
	})
}
