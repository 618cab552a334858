package quorum

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/controller/sabotage"
	"ottla/protocol"
)

// apply makes a committed entry part of the state: the same at start-up, live, and on every voter.
func (q *Machine) apply(e *pb.Entry) error {
	q.checkChange(e)
	switch e.GetType() {
	case pb.EntryConfChange:
		var change pb.ConfChange
		if err := proto.Unmarshal(e.GetData(), &change); err != nil {
			return err
		}
		q.conf = q.node.ApplyConfChange(&change)
	case pb.EntryConfChangeV2:
		var change pb.ConfChangeV2
		if err := proto.Unmarshal(e.GetData(), &change); err != nil {
			return err
		}
		q.conf = q.node.ApplyConfChange(&change)
	}
	if e.GetType() != pb.EntryNormal {
		// Who has left may be gone for good from here on. Without this a power cut would bring a configuration back that still needs them.
		if err := q.storage.SyncCommit(); err != nil {
			return err
		}
	}
	next, delta, err := q.next(e)
	if err != nil {
		return err
	}
	kept := sabotage.On(sabotage.KeepSpeculation) && q.speculative != q.committed
	q.committed, q.applied = next, e.GetIndex()
	if len(q.pending) == 0 && !kept {
		q.speculative = next
	}
	q.snapshot.bytes += int64(len(e.GetData()))
	q.noteRegistered(delta)
	q.sessions.due = q.sessions.due || len(delta.Brokers) > 0
	q.publish(delta)
	q.answer()
	return nil
}

// next is the state after e. What we decided ourselves against the very state that is committed now need not be decoded and applied again.
func (q *Machine) next(e *pb.Entry) (*image.Image, *image.Delta, error) {
	at, term := protocol.Offset(e.GetIndex()), protocol.Term(e.GetTerm())
	if len(q.pending) > 0 {
		if p := &q.pending[0]; p.before == q.committed && p.index == e.GetIndex() && q.term == e.GetTerm() {
			return p.after, p.delta, nil
		}
	}
	if e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		next, delta := q.committed.Apply(at, term, nil)
		return next, delta, nil
	}
	next, delta, misplaced, err := Next(q.committed, at, term, e.GetData())
	if misplaced != nil {
		q.o.Logger.Warn("metadata entry ignored: it was decided for another place", "offset", at, "term", term, "decided_for", misplaced.ID, "decided_in", misplaced.Term)
	}
	return next, delta, err
}

// answer replies to the requests whose entry, or the one before them, is applied.
func (q *Machine) answer() {
	n := 0
	for ; n < len(q.pending) && q.pending[n].index <= q.applied; n++ {
		p := &q.pending[n]
		if p.after != nil {
			q.o.Metrics.commitLatency.Observe(q.now.Sub(p.proposed).Seconds())
		}
		q.inFlight -= p.size
		if p.after == nil {
			q.confirm(*p) // the entry before it may have been on its way since before the question
			continue
		}
		p.answer()
	}
	clear(q.pending[:n])
	if q.pending = q.pending[n:]; len(q.pending) == 0 {
		q.pending = nil
	}
}
