package raftnet

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"ottla/protocol"
	"ottla/protocol/peer"
)

// What one call may bring. A message in memory is many times its bytes when it is small: these bound that.
const (
	maxMessages = 4 << 10
	maxEntries  = 64 << 10
)

// Deliver takes the body of one KeyRaft call from a node, as protocol/handlers has it; nothing of the body is kept. An error, peer.ErrMalformed, says that the connection is not to be
// listened to any more.
func (t *Transport) Deliver(from protocol.Node, body []byte) error {
	s := peer.ScanRaft(body)
	for n := 0; s.Next(); n++ {
		if n == maxMessages {
			return fmt.Errorf("more than %d raft messages in one call: %w", maxMessages, peer.ErrMalformed)
		}
		if s.Group != metadataGroup {
			continue
		}
		m, err := t.section(from, &s)
		if err != nil {
			return err
		}
		if m != nil && t.believable(from, m) {
			t.heard(m.GetFrom())
			t.o.Receive(from, m)
		}
	}
	return s.Err()
}

// believable tells whether a node may speak for the raft id that its message is from. One that nobody knows yet may be any node's.
func (t *Transport) believable(from protocol.Node, m *pb.Message) bool {
	owner, known := t.o.Locate(m.GetFrom())
	if known && owner.Node != from.ID {
		t.o.Logger.Warn("raft message ignored: it is of another node than its sender", "raft_id", m.GetFrom(), "owner", owner.Node, "sender", from.ID)
		return false
	}
	return true
}

// section gives the message that a section completes; nil if there is none.
func (t *Transport) section(from protocol.Node, s *peer.RaftScanner) (*pb.Message, error) {
	if s.Message != nil {
		return decode(s.Message, nil)
	}
	whole, err := t.incoming.add(from.ID, s.Chunk)
	switch {
	case err != nil:
		t.o.Logger.Warn("raft message in chunks was lost", "sender", from.ID, "error", err)
		return nil, nil
	case whole == nil:
		return nil, nil
	case len(whole) < streamHeader || int64(binary.BigEndian.Uint32(whole)) > int64(len(whole)-streamHeader):
		return nil, fmt.Errorf("raft message of %d bytes in chunks: %w", len(whole), peer.ErrMalformed)
	}
	size := int(binary.BigEndian.Uint32(whole))
	return decode(whole[streamHeader:streamHeader+size], whole[streamHeader+size:])
}

// decode reads a message. data is what its snapshot holds, which the message keeps.
func decode(b, data []byte) (*pb.Message, error) {
	if n := entries(b); n > maxEntries {
		return nil, fmt.Errorf("raft message of %d entries: %w", n, peer.ErrMalformed)
	}
	m := new(pb.Message)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("raft message: %w: %w", err, peer.ErrMalformed)
	}
	switch {
	case len(data) == 0:
	case m.GetSnapshot() == nil:
		return nil, fmt.Errorf("raft message with data and without a snapshot: %w", peer.ErrMalformed)
	default:
		m.Snapshot.Data = data
	}
	return m, nil
}

// entriesField is the number of Message.entries.
var entriesField = (*pb.Message)(nil).ProtoReflect().Descriptor().Fields().ByName("entries").Number()

// entries counts a message's entries without making them; what is malformed is for the decoder to find.
func entries(b []byte) (n int) {
	for len(b) > 0 {
		number, _, size := protowire.ConsumeField(b)
		if size < 0 {
			return n
		}
		if number == entriesField {
			n++
		}
		b = b[size:]
	}
	return n
}

// What is put together at a time: from so many nodes, and each for no longer than that without another chunk.
const (
	maxAssemblies = 8
	assemblyTime  = 30 * time.Second
)

// incoming puts messages together that come in chunks.
type incoming struct {
	max int64 // bytes of one

	mu sync.Mutex
	of map[protocol.BrokerID]*assembly
}

type assembly struct {
	peer.Assembly
	last time.Time // of its chunks
}

// add takes a chunk; it gives the whole with its last.
func (in *incoming) add(from protocol.BrokerID, c peer.Chunk) ([]byte, error) {
	now := time.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	for id, a := range in.of {
		if now.Sub(a.last) > assemblyTime {
			delete(in.of, id)
		}
	}
	a := in.of[from]
	switch {
	case a == nil && c.Offset > 0:
		return nil, nil // of a message that was lost
	case a == nil && len(in.of) >= maxAssemblies:
		return nil, fmt.Errorf("%d others are sending in chunks", len(in.of))
	case a == nil:
		a = &assembly{Assembly: peer.Assembly{Max: in.max}}
		if in.of == nil {
			in.of = map[protocol.BrokerID]*assembly{}
		}
		in.of[from] = a
	}
	a.last = now
	whole, err := a.Add(c)
	if whole != nil || err != nil {
		delete(in.of, from)
	}
	return whole, err
}
