package quorum

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/protocol"
)

// apply makes a committed entry part of the state: the same at start-up, live, and on every voter.
func (q *Machine) apply(e *pb.Entry) error {
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
	next, delta, err := q.next(e)
	if err != nil {
		return err
	}
	q.committed, q.applied = next, e.GetIndex()
	if len(q.pending) == 0 {
		q.speculative = next
	}
	q.snapshot.bytes += int64(len(e.GetData()))
	q.publish(delta)
	q.answer()
	return nil
}

// next is the state after e. What we decided ourselves against the very state that is committed now need not be decoded and applied again.
func (q *Machine) next(e *pb.Entry) (*image.Image, *image.Delta, error) {
	at, term := protocol.Offset(e.GetIndex()), protocol.Term(e.GetTerm())
	if e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		next, delta := q.committed.Apply(at, term, nil)
		return next, delta, nil
	}
	if len(q.pending) > 0 {
		if p := &q.pending[0]; p.before == q.committed && p.index == e.GetIndex() && q.term == e.GetTerm() {
			return p.after, p.delta, nil
		}
	}
	p, err := parseProposal(e.GetData())
	if err != nil {
		return nil, nil, err
	}
	if p.term != e.GetTerm() || p.id != e.GetIndex() {
		q.o.Logger.Warn("metadata entry ignored: it was decided for another place", "offset", at, "term", term, "decided_for", p.id, "decided_in", p.term)
		next, delta := q.committed.Apply(at, term, nil)
		return next, delta, nil
	}
	return q.committed.ApplyList(at, term, p.records)
}

// publish shows the committed state. The first time comes when everything that may ever have been answered is in it: when our term's first entry is applied,
// and the cluster has its name. Before that, topics would seem to be missing whose records are further on in the log.
func (q *Machine) publish(delta *image.Delta) {
	if !q.caughtUp {
		if !q.mayDecide() || q.committed.ClusterID() == "" {
			return
		}
		q.caughtUp = true
		delta = image.Diff(image.Empty(), q.committed)
	}
	q.o.Publish(q.committed, delta)
}

// answer replies to the requests whose entry, or the one before them, is applied.
func (q *Machine) answer() {
	n := 0
	for ; n < len(q.pending) && q.pending[n].index <= q.applied; n++ {
		p := &q.pending[n]
		if p.after != nil {
			q.o.Metrics.commitLatency.Observe(q.now.Sub(p.proposed).Seconds())
		}
		p.answer()
	}
	clear(q.pending[:n])
	if q.pending = q.pending[n:]; len(q.pending) == 0 {
		q.pending = nil
	}
}
