package handlers

// Fetch of partition 0 of __cluster_metadata, alone and without a session, from version 12 on, on a connection of a node of the cluster: the committed entries of the metadata
// quorum (KIP-595), from any member of it. An observer follows with it (controller/observer).
//
// The answer ends at the high watermark, which is what this node has applied, and comes when there is an entry to read (min_bytes of 1 or more), or after max_wait_ms: without
// records then. A fetch from beyond the high watermark waits in the same way, for this node to come as far. It tells a snapshot to fetch instead (KIP-630) below the log's start,
// and from 0 on if there is any. Errors: NOT_LEADER_OR_FOLLOWER if this node has not caught up with the quorum or has lost contact with it: another member knows more.
//
// Differs from Apache Kafka: every member answers, and not the leader only; only what is committed is served, so epochs are neither checked nor diverge.

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// snapshotsSince is the first Fetch version whose answers can name a snapshot.
const snapshotsSince = 12

// metadataFetch is one fetch of the metadata's log, read once or, if it waits, twice.
type metadataFetch struct {
	h       *Handlers
	version int16
	asked   wire.FetchPartition
	most    int // bytes
	out     log.ReadResult
	waiter  purgatory.Waiter
}

// wantsMetadata tells whether a node asks for the metadata's log, and from where.
func (f *fetchCall) wantsMetadata() (p wire.FetchPartition, ok bool) {
	s := &f.scanner
	if f.h.Metadata == nil || s.Topics != 1 || s.AllPartitions != 1 || f.c.Version < snapshotsSince || s.SessionEpoch > wire.InitialSessionEpoch || f.h.scopeOf(f.c) != onPeers {
		return p, false
	}
	name, id, _ := s.NextTopic()
	ok = (string(name) == protocol.MetadataTopic || id == protocol.MetadataTopicID) && s.NextPartition(&p) && p.Partition == 0
	s.Rewind()
	return p, ok
}

// fetchMetadata answers the call or parks it. It keeps nothing of f.
func (f *fetchCall) fetchMetadata(p wire.FetchPartition) {
	if err := f.check(); err != nil {
		f.refuse(err)
		f.c.Done()
		return
	}
	s := &f.scanner
	m := &metadataFetch{h: f.h, version: f.c.Version, asked: p, most: int(max(0, min(s.MaxBytes, p.MaxBytes, maxMetadataBytes)))}
	err := m.read()
	if err != nil || m.out.Range.Size > 0 || m.snapshot().Told || s.MinBytes <= 0 || s.MaxWaitMs <= 0 {
		m.answer(f.c, err)
		f.c.Done()
		return
	}
	f.c.Park(m)
	f.h.Purgatory.Start(&m.waiter, f.c, f.c.Received.Add(min(time.Duration(s.MaxWaitMs)*time.Millisecond, maxWait)))
	m.waiter.Offset(f.h.Metadata.CommittedWaiters(), max(p.FetchOffset, 0)+1)
	m.waiter.Ready(0)
}

// maxMetadataBytes is how many bytes of entries one answer holds; always one entry.
const maxMetadataBytes = 4 << 20

// read finds entries, or nothing if a snapshot comes first. What it has found is pinned.
func (m *metadataFetch) read() error {
	err := m.h.Metadata.ReadCommitted(m.asked.FetchOffset, m.most, &m.out)
	if errors.Is(err, kerr.OffsetOutOfRange) && m.snapshot().Told {
		return nil
	}
	return err
}

// snapshot is what has to be fetched before entries can be; not told if entries can.
func (m *metadataFetch) snapshot() wire.EpochEnd {
	from := m.asked.FetchOffset
	if from < 0 || from > 0 && from >= m.out.Offsets.LogStart {
		return wire.EpochEnd{}
	}
	end, term, ok := m.h.Metadata.NewestSnapshot()
	return wire.EpochEnd{Epoch: protocol.LeaderEpoch(term), EndOffset: end, Told: ok && end > from}
}

// answer writes the reply. Records are not copied: the reply takes over the pinned range.
func (m *metadataFetch) answer(c *server.Call, err error) {
	r := wire.FetchResult{
		HighWatermark: m.out.Offsets.HighWatermark, LastStable: m.out.Offsets.LastStable, LogStart: m.out.Offsets.LogStart, PreferredReadReplica: protocol.NoBroker,
		RecordsSize: m.out.Range.Size, SnapshotID: m.snapshot(),
	}
	if err != nil {
		r = wire.FailedFetch(0, protocol.ErrorCode(err))
		c.Reply.SetError(r.ErrorCode)
	}
	if r.SnapshotID.Told {
		r.RecordsSize = 0
	}
	w := wire.FetchWriter{Version: m.version}
	b := w.Topic(w.Begin(c.Reply.Buf(), 0, 0, wire.NoSessionID, 1), protocol.MetadataTopic, protocol.MetadataTopicID, 1)
	b, _ = w.Partition(b, &r)
	if s := m.out.Range.Source; s != nil {
		c.Reply.SetBuf(b)
		c.Reply.Range(s, m.out.Range.Position, r.RecordsSize)
	}
	c.Reply.SetBuf(w.End(w.EndTopic(w.EndPartition(b, &r)), nil))
}

// Finish reads again and answers, whatever woke it.
func (m *metadataFetch) Finish(c *server.Call) {
	m.waiter.Finish()
	if c.Alive() {
		m.answer(c, m.read())
	}
}
