package controller

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/controller/image"
	"ottla/protocol"
)

// apply makes a committed entry part of the state: the same at start-up, live, and on every voter.
func (c *Controller) apply(e *pb.Entry) error {
	switch e.GetType() {
	case pb.EntryConfChange:
		var change pb.ConfChange
		if err := proto.Unmarshal(e.GetData(), &change); err != nil {
			return err
		}
		c.conf = c.node.ApplyConfChange(&change)
	case pb.EntryConfChangeV2:
		var change pb.ConfChangeV2
		if err := proto.Unmarshal(e.GetData(), &change); err != nil {
			return err
		}
		c.conf = c.node.ApplyConfChange(&change)
	}
	next, delta, err := c.next(e)
	if err != nil {
		return err
	}
	c.committed, c.applied = next, e.GetIndex()
	if len(c.pending) == 0 {
		c.speculative = next
	}
	c.snapshot.bytes += int64(len(e.GetData()))
	c.publish(delta)
	c.answer()
	return nil
}

// next is the state after e. What we decided ourselves against the very state that is committed now need not be decoded and applied again.
func (c *Controller) next(e *pb.Entry) (*image.Image, *image.Delta, error) {
	at, term := protocol.Offset(e.GetIndex()), protocol.Term(e.GetTerm())
	if e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		next, delta := c.committed.Apply(at, term, nil)
		return next, delta, nil
	}
	if len(c.pending) > 0 {
		if p := &c.pending[0]; p.before == c.committed && p.index == e.GetIndex() && c.term == e.GetTerm() {
			return p.after, p.delta, nil
		}
	}
	p, err := parseProposal(e.GetData())
	if err != nil {
		return nil, nil, err
	}
	if p.term != e.GetTerm() || p.id != e.GetIndex() {
		c.o.Logger.Warn("metadata entry ignored: it was decided for another place", "offset", at, "term", term, "decided_for", p.id, "decided_in", p.term)
		next, delta := c.committed.Apply(at, term, nil)
		return next, delta, nil
	}
	return c.committed.ApplyList(at, term, p.records)
}

// publish shows the committed state. The first time comes when everything that may ever have been answered is in it: when our term's first entry is applied,
// and the cluster has its name. Before that, topics would seem to be missing whose records are further on in the log.
func (c *Controller) publish(delta *image.Delta) {
	if !c.caughtUp {
		if !c.mayDecide() || c.committed.ClusterID() == "" {
			return
		}
		c.caughtUp = true
		delta = image.Diff(image.Empty(), c.committed)
	}
	if !empty(delta) {
		for _, f := range c.subscribers {
			f(c.committed, delta)
		}
	}
	c.published.Store(c.committed)
}

func empty(d *image.Delta) bool {
	return len(d.Topics) == 0 && len(d.Configs) == 0 && len(d.Brokers) == 0 && !d.Features && !d.Controller
}

// answer replies to the requests whose entry, or the one before them, is applied.
func (c *Controller) answer() {
	n := 0
	for ; n < len(c.pending) && c.pending[n].index <= c.applied; n++ {
		p := &c.pending[n]
		if p.after != nil {
			c.o.Metrics.commitLatency.Observe(time.Since(p.proposed).Seconds())
		}
		p.answer()
	}
	clear(c.pending[:n])
	if c.pending = c.pending[n:]; len(c.pending) == 0 {
		c.pending = nil
	}
}
