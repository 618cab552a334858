package raftnet

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ottla/protocol/client"
	"ottla/protocol/peer"
)

const (
	// chunkSize is how much of something large goes into one call, and about how much of small messages: a heartbeat waits for no more than a few of these.
	chunkSize = 256 << 10
	// largeMessage is where messages begin that come in chunks.
	largeMessage = 1 << 20
	// keptWhileDown is how many messages wait for a connection: enough for an election to go on where the first dial is still under way.
	keptWhileDown = 16
)

// link is the way to one other member.
type link struct {
	t      *Transport
	id     uint64
	cancel context.CancelFunc
	peer   *client.Peer
	filled chan struct{} // room for one: there is something to send

	mu     sync.Mutex
	up     bool
	woken  time.Time // by the member's messages, last
	small  []message // in order
	large  []message // in order; the first may have been sent in part
	queued int64     // bytes of both, but not of snapshots
	nextID uint64    // of what is sent in chunks
}

// message is one of raft's, encoded.
type message struct {
	kind  pb.MessageType
	bytes []byte
	data  []byte // of a snapshot: raft's own memory, which nobody writes to any more

	id   uint64 // of the chunks
	sent int64  // of them
}

// snapshot tells whether it is one.
func (m *message) snapshot() bool { return m.kind == pb.MsgSnap }

func newLink(t *Transport, id uint64, cancel context.CancelFunc) *link {
	l := &link{t: t, id: id, cancel: cancel, filled: make(chan struct{}, 1), nextID: rand.Uint64()}
	l.peer = client.NewPeer(client.PeerOptions{
		Options: t.o.Connection,
		Target:  func() (client.Target, bool) { return t.o.Locate(id) },
		Use:     l.use, Down: func(error) { l.down() }, Gone: func() { t.o.Gone(id) },
		Logger: t.o.Logger.With("raft_id", id),
	})
	return l
}

// encode makes the bytes of m. What a snapshot holds is not copied.
func encode(m *pb.Message) (message, error) {
	e := message{kind: m.GetType()}
	if e.snapshot() && m.GetSnapshot() != nil {
		e.data = m.GetSnapshot().GetData()
		without := new(pb.Message)
		m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			without.ProtoReflect().Set(field, v)
			return true
		})
		without.Snapshot = &pb.Snapshot{Metadata: m.GetSnapshot().GetMetadata()}
		m = without
	}
	var err error
	e.bytes, err = proto.Marshal(m)
	return e, err
}

// put queues a message; false if it, or another, was dropped.
func (l *link) put(m *pb.Message) bool {
	e, err := encode(m)
	if err != nil {
		l.t.o.Logger.Error("raft message cannot be encoded", "type", m.GetType().String(), "error", err)
		return false
	}
	l.mu.Lock()
	var superseded int
	kept := true
	switch size := int64(len(e.bytes)); {
	case e.snapshot() && !l.up:
		l.mu.Unlock()
		l.t.o.SnapshotSent(l.id, false)
		return false
	case e.snapshot():
		superseded = l.dropSnapshots()
		e.id = l.newID()
		l.large = append(l.large, e)
	case size > largeMessage && !l.up:
		kept = false
	case size > largeMessage:
		kept = l.makeRoom(size)
		if kept {
			e.id = l.newID()
			l.large, l.queued = append(l.large, e), l.queued+size
		}
	default:
		kept = l.makeRoom(size)
		l.small, l.queued = append(l.small, e), l.queued+size
	}
	l.mu.Unlock()
	if superseded > 0 {
		l.t.o.Logger.Debug("snapshot superseded by a newer one", "raft_id", l.id)
	}
	select {
	case l.filled <- struct{}{}:
	default:
	}
	return kept
}

func (l *link) newID() uint64 {
	l.nextID++
	return l.nextID
}

// dropSnapshots makes room for a newer one, which raft's next report will be about. The caller holds mu.
func (l *link) dropSnapshots() (dropped int) {
	kept := l.large[:0]
	for _, m := range l.large {
		if m.snapshot() {
			dropped++
		} else {
			kept = append(kept, m)
		}
	}
	clear(l.large[len(kept):])
	l.large = kept
	return dropped
}

// makeRoom drops what is oldest until size more bytes fit, entries first: raft sends those again when it hears that they are missing, and what is left tells it sooner. False if anything
// was dropped. The caller holds mu.
func (l *link) makeRoom(size int64) bool {
	fits := true
	for l.queued > 0 && (l.queued+size > l.t.o.MaxQueued || !l.up && len(l.small) >= keptWhileDown) {
		fits = false
		if !l.dropLarge() && !l.dropSmall(func(m *message) bool { return m.kind == pb.MsgApp }) {
			l.dropSmall(func(*message) bool { return true })
		}
	}
	return fits
}

// dropLarge drops the last large message that has not begun, and is no snapshot.
func (l *link) dropLarge() bool {
	for i := len(l.large) - 1; i >= 0; i-- {
		if m := &l.large[i]; m.sent == 0 && !m.snapshot() {
			l.queued -= int64(len(m.bytes))
			l.large = append(l.large[:i], l.large[i+1:]...)
			return true
		}
	}
	return false
}

// dropSmall drops the oldest message of which that holds.
func (l *link) dropSmall(of func(*message) bool) bool {
	for i := range l.small {
		if of(&l.small[i]) {
			l.queued -= int64(len(l.small[i].bytes))
			l.small = append(l.small[:i], l.small[i+1:]...)
			return true
		}
	}
	return false
}

// wakeEvery is how often at most a member's messages have it dialed that cannot be reached: the way may be open in one direction only.
const wakeEvery = 50 * time.Millisecond

func (l *link) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up {
		return
	}
	if now := time.Now(); now.Sub(l.woken) >= wakeEvery {
		l.woken = now
		l.peer.Wake()
	}
}

// use sends what is queued for as long as the connection lasts.
func (l *link) use(ctx context.Context, c *client.Conn) {
	version, ok := c.Version(peer.KeyRaft)
	if !ok {
		l.t.o.Logger.Error("node speaks another version of raft's messages", "raft_id", l.id, "node", c.Node().ID)
		c.End(peer.ErrVersion)
		return
	}
	l.mu.Lock()
	l.up = true
	l.mu.Unlock()
	for {
		body, snapshotSent := l.next()
		if body == nil {
			select {
			case <-l.filled:
				continue
			case <-c.Done():
			case <-ctx.Done():
			}
			return
		}
		if err := c.Send(ctx, peer.KeyRaft, version, body); err != nil {
			if snapshotSent {
				l.t.o.SnapshotSent(l.id, false)
			}
			return
		}
		if snapshotSent {
			l.t.o.SnapshotSent(l.id, true)
		}
	}
}

// next makes the body of the next call: small messages, and a chunk of the first large one. nil: there is nothing. snapshotSent: with it, all of a snapshot will be sent.
func (l *link) next() (body []byte, snapshotSent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.small) && (n == 0 || size+len(l.small[n].bytes) <= chunkSize) {
		size += peer.WholeSize(len(l.small[n].bytes))
		n++
	}
	if n == 0 && len(l.large) == 0 {
		return nil, false
	}
	if len(l.large) > 0 {
		size += chunkSize
	}
	body = peer.BeginRaft(make([]byte, 0, size+peer.ChunkHeader), metadataGroup)
	for i := range l.small[:n] {
		body = peer.AppendWhole(body, l.small[i].bytes)
		l.queued -= int64(len(l.small[i].bytes))
	}
	clear(l.small[:n])
	if l.small = l.small[n:]; len(l.small) == 0 {
		l.small = nil
	}
	if len(l.large) > 0 {
		body, snapshotSent = l.chunk(body)
	}
	return body, snapshotSent
}

// A message in chunks is, put together again:
//
//	0  size   4  of the message
//	4  bytes     of it, without what its snapshot holds
//	   data      the rest: what the snapshot holds
const streamHeader = 4

func (m *message) streamSize() int64 {
	return streamHeader + int64(len(m.bytes)) + int64(len(m.data))
}

// chunk appends the next part of the first large message. The caller holds mu.
func (l *link) chunk(body []byte) (_ []byte, snapshotSent bool) {
	m := &l.large[0]
	head := binary.BigEndian.AppendUint32(nil, uint32(len(m.bytes)))
	var part []byte
	at := m.sent
	for _, piece := range [][]byte{head, m.bytes, m.data} {
		if at < int64(len(piece)) {
			take := piece[at:min(int64(len(piece)), at+int64(chunkSize-len(part)))]
			part = append(part, take...)
			at = 0
			if len(part) == chunkSize {
				break
			}
			continue
		}
		at -= int64(len(piece))
	}
	body = peer.AppendChunk(body, peer.Chunk{ID: m.id, Offset: m.sent, Total: m.streamSize(), Bytes: part})
	if m.sent += int64(len(part)); m.sent < m.streamSize() {
		return body, false
	}
	snapshotSent = m.snapshot()
	if !snapshotSent {
		l.queued -= int64(len(m.bytes))
	}
	l.large[0] = message{}
	if l.large = l.large[1:]; len(l.large) == 0 {
		l.large = nil
	}
	return body, snapshotSent
}

// down drops everything: the connection has ended.
func (l *link) down() {
	l.mu.Lock()
	snapshot := l.dropSnapshots() > 0
	l.up, l.small, l.large, l.queued = false, nil, nil, 0
	l.mu.Unlock()
	if snapshot {
		l.t.o.SnapshotSent(l.id, false)
	}
	l.t.o.Unreachable(l.id)
}
