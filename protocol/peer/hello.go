package peer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// Identity is what a node says of itself.
type Identity struct {
	ClusterID string // empty: it belongs to none yet
	protocol.Node
}

// Nonce is what each side of a Hello makes up for this one connection. Proof shows that its sender knows the secret, and both sides' nonces and identities.
type (
	Nonce [32]byte
	Proof [sha256.Size]byte
)

// NewNonce is random.
func NewNonce() (n Nonce) {
	_, _ = rand.Read(n[:]) // never fails: crypto/rand aborts the process instead
	return n
}

const maxClusterID = 64

// The steps of a Hello, in the order in which a caller takes them.
const (
	stepBegin = 1
	stepProve = 2
)

// Hello is the body of KeyHello, version 0:
//
//	 0  step         1  1: begin, 2: prove
//
//	begin:
//	 1  node id      4
//	 5  directory   16
//	21  roles        1
//	22  nonce       32
//	54  cluster id  string, at most 64
//
//	prove:
//	 1  proof       32
type Hello struct {
	step  uint8
	who   Identity
	nonce Nonce
	proof Proof
}

func (h *Hello) append(b []byte) []byte {
	b = append(b, h.step)
	if h.step == stepProve {
		return append(b, h.proof[:]...)
	}
	return appendSide(b, h.who, h.nonce)
}

func appendSide(b []byte, who Identity, nonce Nonce) []byte {
	b = appendNode(b, who.Node)
	b = append(b, nonce[:]...)
	return appendString(b, who.ClusterID, maxClusterID)
}

func (c *cursor) side() (who Identity, nonce Nonce) {
	who.Node = c.node()
	copy(nonce[:], c.take(int64(len(nonce))))
	who.ClusterID = c.string(maxClusterID)
	return who, nonce
}

func parseHello(body []byte) (h Hello, err error) {
	c := cursor{b: body}
	switch h.step = c.uint8(); h.step {
	case stepBegin:
		h.who, h.nonce = c.side()
	case stepProve:
		copy(h.proof[:], c.take(int64(len(h.proof))))
	default:
		c.bad = true
	}
	return h, c.end("hello")
}

// helloReply is the body of the replies to KeyHello. Its front, up to the versions, is the same in all versions, for whoever asked in one that is not served.
//
//	 0  error       2, string
//	    versions    1 count, each: key 2, lowest 2, highest 2
//
//	to begin, without an error:
//	    node id 4 · directory 16 · roles 1 · nonce 32 · cluster id string
//	    proof      32
type helloReply struct {
	err      error
	versions []KeyVersions
	begun    bool // the rest is there
	who      Identity
	nonce    Nonce
	proof    Proof
}

func (r *helloReply) append(b []byte) []byte {
	b = appendError(b, r.err)
	b = append(b, byte(len(r.versions)))
	for _, v := range r.versions {
		b = binary.BigEndian.AppendUint16(b, uint16(v.Key))
		b = binary.BigEndian.AppendUint16(b, uint16(v.Min))
		b = binary.BigEndian.AppendUint16(b, uint16(v.Max))
	}
	if r.begun {
		b = appendSide(b, r.who, r.nonce)
		b = append(b, r.proof[:]...)
	}
	return b
}

func parseHelloReply(body []byte) (r helloReply, err error) {
	c := cursor{b: body}
	r.err = c.err()
	for n := c.uint8(); n > 0 && !c.bad; n-- {
		v := KeyVersions{Key: int16(c.uint16()), Min: int16(c.uint16()), Max: int16(c.uint16())}
		r.versions = append(r.versions, v)
	}
	if len(c.b) > 0 {
		r.begun = true
		r.who, r.nonce = c.side()
		copy(r.proof[:], c.take(int64(len(r.proof))))
	}
	return r, c.end("reply to hello")
}

// Who proves. The two never make the same proof, so that nobody can be shown its own.
const (
	byNode   = "ottla hello: the node that was called"
	byCaller = "ottla hello: the node that called"
)

// prove is the HMAC-SHA256, under the secret, of who proves and of what both sides said: identity and nonce, each behind its length.
func prove(s Secret, by string, caller Identity, callers Nonce, node Identity, nodes Nonce) (p Proof) {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range [][]byte{[]byte(by), appendSide(nil, caller, callers), appendSide(nil, node, nodes)} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write(part)
	}
	mac.Sum(p[:0])
	return p
}

// equal takes as long whatever the proofs are.
func (p Proof) equal(q Proof) bool { return hmac.Equal(p[:], q[:]) }

// What ends a Hello. They have codes on the wire, so both sides learn which it was.
var (
	// ErrOtherCluster (INCONSISTENT_CLUSTER_ID): both belong to a cluster, and not to the same.
	ErrOtherCluster = protocol.Errorf(kerr.InconsistentClusterID, "the node belongs to another cluster")
	// ErrWrongSecret (SASL_AUTHENTICATION_FAILED): the other side does not know our secret.
	ErrWrongSecret = protocol.Errorf(kerr.SaslAuthenticationFailed, "the other node has not proved that it knows the cluster's secret")
	// ErrVersion (UNSUPPORTED_VERSION): there is no version of Hello that both speak.
	ErrVersion = protocol.Errorf(kerr.UnsupportedVersion, "the nodes have no version of this call in common")
)

// known gives an error that came over the wire its place among ours, with the words of the other side.
func known(err error) error {
	for _, e := range []error{ErrOtherCluster, ErrWrongSecret, ErrVersion} {
		if protocol.ErrorCode(e) == protocol.ErrorCode(err) {
			return fmt.Errorf("%w (refused by the other node: %v)", e, err)
		}
	}
	return err
}

func checkCluster(ours, theirs string) error {
	if ours != "" && theirs != "" && ours != theirs {
		return fmt.Errorf("%w: %q, not %q", ErrOtherCluster, theirs, ours)
	}
	return nil
}
