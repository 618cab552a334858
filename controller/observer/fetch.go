package observer

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/controller/raftlog"
	"ottla/controller/raftnet"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/peer"
)

const (
	fetchVersion    = 17
	snapshotVersion = 1
)

var (
	// errBehind: a member has not come as far as this node. It is never followed backwards.
	errBehind = errors.New("the member has less of the metadata than this node")
	// errPanicked: records do not fit the state that they are for, as those that were decided do.
	errPanicked = errors.New("records that nobody has decided")
)

// fetch takes what comes next: entries, or a snapshot, or the word that there is nothing new.
func (b *Observer) fetch(ctx context.Context, c *client.Conn) error {
	p, err := b.fetchOnce(ctx, c)
	if err != nil {
		return fmt.Errorf("fetch metadata at %d: %w", b.nextOffset(), err)
	}
	snapshot := raftlog.SnapshotID{End: protocol.Offset(p.SnapshotID.EndOffset), Term: protocol.Term(p.SnapshotID.Epoch)}
	switch high := protocol.Offset(p.HighWatermark); {
	case high < b.nextOffset():
		return errBehind
	case snapshot.End > b.nextOffset():
		if err := b.fetchSnapshot(ctx, c, snapshot); err != nil {
			return fmt.Errorf("fetch snapshot of metadata up to %d: %w", snapshot.End, err)
		}
	case snapshot.End >= 0:
		return errBehind
	default:
		if err := b.applyAll(p.RecordBatches, high); err != nil {
			return err
		}
	}
	b.followed(c)
	return nil
}

func (b *Observer) nextOffset() protocol.Offset { return b.state.Offset() + 1 }

// fetchOnce makes one fetch.
func (b *Observer) fetchOnce(ctx context.Context, c *client.Conn) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchVersion, int32(b.o.Wait.Milliseconds()), 1, b.o.MaxEntries
	req.ReplicaState.ID = int32(b.o.Connection.Self().ID)
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = int64(b.nextOffset()), b.o.MaxEntries
	p.LastFetchedEpoch = -1 // what is committed does not diverge
	t := kmsg.NewFetchRequestTopic()
	t.TopicID, t.Partitions = protocol.MetadataTopicID, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	ctx, cancel := context.WithTimeout(ctx, b.o.Wait+b.o.Patience)
	defer cancel()
	resp, err := raftnet.Call[*kmsg.FetchResponse](ctx, c, req)
	switch {
	case err != nil:
		return nil, err
	case resp.ErrorCode != 0:
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	case len(resp.Topics) != 1 || resp.Topics[0].TopicID != protocol.MetadataTopicID || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != 0:
		return nil, fmt.Errorf("answer to something else: %w", peer.ErrMalformed)
	}
	got := &resp.Topics[0].Partitions[0]
	return got, kerr.ErrorForCode(got.ErrorCode)
}

// applyAll applies batches, which end at the high watermark or before it.
func (b *Observer) applyAll(batches []byte, high protocol.Offset) error {
	return raftlog.EachEntry(batches, b.nextOffset(), func(e raftlog.Entry) error {
		if e.Offset >= high {
			return fmt.Errorf("%w: entry %d is not below the high watermark %d", raftlog.ErrDamaged, e.Offset, high)
		}
		next, delta, err := b.apply(e)
		if err != nil {
			return fmt.Errorf("apply entry %d: %w", e.Offset, err)
		}
		b.advance(next, delta)
		return nil
	})
}

// apply is the state after e, as the members of the quorum have it.
func (b *Observer) apply(e raftlog.Entry) (next *image.Image, delta *image.Delta, err error) {
	defer refuse(&err)
	if len(e.Data) == 0 {
		next, delta = b.state.Apply(e.Offset, e.Term, nil)
		return next, delta, nil
	}
	next, delta, misplaced, err := quorum.Next(b.state, e.Offset, e.Term, e.Data)
	if misplaced != nil {
		if d := (doubt{e.Offset, e.Term}); misplaced.ID == uint64(e.Offset) && b.doubt != d {
			b.doubt = d
			return nil, nil, fmt.Errorf("%w: decided in term %d and stored in term %d", raftlog.ErrDamaged, misplaced.Term, e.Term)
		}
		b.o.Logger.Warn("metadata entry ignored: it was decided for another place", "offset", e.Offset, "term", e.Term, "decided_for", misplaced.ID, "decided_in", misplaced.Term)
	}
	return next, delta, err
}

// doubt is an entry in its place that was decided in another term than it is stored in. That is no usual thing, and the term lies outside the batch's CRC: it is believed when it
// comes a second time.
type doubt struct {
	at   protocol.Offset
	term protocol.Term
}

// refuse makes an error of records that do not fit: the state that they were for stays as it was.
func refuse(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errPanicked, r)
	}
}

// fetchSnapshot fetches a snapshot, chunk by chunk, and goes on from there.
func (b *Observer) fetchSnapshot(ctx context.Context, c *client.Conn, id raftlog.SnapshotID) error {
	var data []byte
	for {
		p, err := b.fetchChunk(ctx, c, id, int64(len(data)))
		if err != nil {
			return err
		}
		switch have := int64(len(data) + len(p.Bytes)); {
		case p.Size > b.o.MaxSnapshot:
			return fmt.Errorf("it has %d bytes, at most %d are taken", p.Size, b.o.MaxSnapshot)
		case p.Position != int64(len(data)) || len(p.Bytes) == 0 || have > p.Size:
			return fmt.Errorf("%d bytes at %d of %d do not follow %d: %w", len(p.Bytes), p.Position, p.Size, len(data), peer.ErrMalformed)
		default:
			data = append(data, p.Bytes...)
			if have == p.Size {
				return b.restore(data, id)
			}
		}
	}
}

func (b *Observer) fetchChunk(ctx context.Context, c *client.Conn, id raftlog.SnapshotID, position int64) (*kmsg.FetchSnapshotResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.Version, req.ReplicaID, req.MaxBytes = snapshotVersion, int32(b.o.Connection.Self().ID), b.o.MaxChunk
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch, p.Position, p.SnapshotID.EndOffset, p.SnapshotID.Epoch = -1, position, int64(id.End), int32(id.Term)
	t := kmsg.NewFetchSnapshotRequestTopic()
	t.Topic, t.Partitions = protocol.MetadataTopic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	ctx, cancel := context.WithTimeout(ctx, b.o.Patience)
	defer cancel()
	resp, err := raftnet.Call[*kmsg.FetchSnapshotResponse](ctx, c, req)
	switch {
	case err != nil:
		return nil, err
	case resp.ErrorCode != 0:
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1:
		return nil, fmt.Errorf("answer to something else: %w", peer.ErrMalformed)
	}
	got := &resp.Topics[0].Partitions[0]
	return got, kerr.ErrorForCode(got.ErrorCode)
}

// restore makes a snapshot the state.
func (b *Observer) restore(data []byte, id raftlog.SnapshotID) error {
	restored, err := decode(data, id)
	if err != nil {
		return err
	}
	b.advance(restored, nil)
	b.o.Logger.Info("metadata snapshot fetched", "end", id.End, "bytes", len(data))
	return nil
}

// decode reads a snapshot, to its last byte.
func decode(data []byte, id raftlog.SnapshotID) (restored *image.Image, err error) {
	defer refuse(&err)
	restored = image.Empty()
	err = raftlog.EachChunk(data, id, func(chunk []byte) (err error) {
		restored, _, err = restored.ApplyList(id.End-1, id.Term, chunk)
		return err
	})
	if err == nil && restored.ClusterID() == "" {
		err = fmt.Errorf("%w: a snapshot of no cluster", raftlog.ErrDamaged)
	}
	return restored, err
}
