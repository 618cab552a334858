package raftnet

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/protocol"
	"ottla/protocol/client"
)

// metadataGroup is the one raft group that there is.
const metadataGroup = 0

// Options of a transport. Connection, Locate and Receive are needed.
type Options struct {
	// Connection is how members are dialed; its limits on what is queued and its client id are the transport's own.
	Connection client.Options
	// Locate is the node of a raft id, and where it listens for nodes: as the image has it now. It may be called from any goroutine and must not block.
	Locate func(raftID uint64) (client.Target, bool)
	// Receive gets each message that has come, whole, and the node that has sent it, on the goroutine that read it. It must not block, and owns the message.
	Receive func(from protocol.Node, m *pb.Message)

	// What raft wants to know of a member; any may be nil. They are called by Send, or by the member's goroutine, and must not block: they queue, for the driver.

	// Unreachable: something for it was dropped.
	Unreachable func(raftID uint64)
	// SnapshotSent ends what a snapshot message began: all of it is on its way, or it will never be.
	SnapshotSent func(raftID uint64, sent bool)
	// Gone: its process is no more. Its connection was reset, and three redials within 100 ms were refused.
	Gone func(raftID uint64)

	// MaxQueued bounds the bytes that wait for one member, beside one snapshot; MaxMessage those of a message that comes in chunks, which a snapshot does. Zero: 8 MiB and 256 MiB.
	MaxQueued  int64
	MaxMessage int64
	Logger     *slog.Logger
}

func (o *Options) setDefaults() {
	if o.MaxQueued <= 0 {
		o.MaxQueued = 8 << 20
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Unreachable == nil {
		o.Unreachable = func(uint64) {}
	}
	if o.SnapshotSent == nil {
		o.SnapshotSent = func(uint64, bool) {}
	}
	if o.Gone == nil {
		o.Gone = func(uint64) {}
	}
	o.Connection.ClientID, o.Connection.MaxQueued = "ottla-raft", 2*chunkSize // what waits had better wait where it can still be dropped
}

// Transport has a connection to every other member of the quorum that is written to. Send, Keep and Deliver may be called from any goroutine.
type Transport struct {
	o        Options
	incoming incoming

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before it and after it
	links   map[uint64]*link
	running sync.WaitGroup
}

// New returns a transport that drops everything until Run.
func New(o Options) *Transport {
	o.setDefaults()
	return &Transport{o: o, links: map[uint64]*link{}, incoming: incoming{max: o.MaxMessage}}
}

// Run keeps the connections until ctx ends.
func (t *Transport) Run(ctx context.Context) error {
	t.mu.Lock()
	t.ctx = ctx
	t.mu.Unlock()
	<-ctx.Done()
	t.mu.Lock()
	t.ctx, t.links = nil, map[uint64]*link{}
	t.mu.Unlock()
	t.running.Wait()
	return nil
}

// Send sends messages to the members that they are for. It never blocks: what finds no room is dropped, old entries before anything else, and so is what is for nobody known.
func (t *Transport) Send(ms []*pb.Message) {
	var dropped []uint64
	for _, m := range ms {
		l := t.link(m.GetTo())
		if (l == nil || !l.put(m)) && !slices.Contains(dropped, m.GetTo()) {
			dropped = append(dropped, m.GetTo())
		}
		if l == nil && m.GetType() == pb.MsgSnap {
			t.o.SnapshotSent(m.GetTo(), false)
		}
	}
	for _, id := range dropped {
		t.o.Unreachable(id)
	}
}

// link is the way to a member; nil if nobody knows where it is, or the transport does not run.
func (t *Transport) link(id uint64) *link {
	if _, known := t.o.Locate(id); !known {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.links[id]
	if l == nil && t.ctx != nil && t.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(t.ctx)
		l = newLink(t, id, cancel)
		t.links[id] = l
		t.running.Go(func() { _ = l.peer.Run(ctx) }) // it has no error but the end of ctx
	}
	return l
}

// heard has the next dial of a member made now that it has called: it is there, and what keeps this node from it may be a pause after dials that it did not answer.
func (t *Transport) heard(id uint64) {
	t.mu.Lock()
	l := t.links[id]
	t.mu.Unlock()
	if l != nil {
		l.heard()
	}
}

// Keep ends the connections to all but the given members: those of old are not written to any more.
func (t *Transport) Keep(ids []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, l := range t.links {
		if !slices.Contains(ids, id) {
			delete(t.links, id)
			l.cancel()
		}
	}
}
