package controller

import (
	"context"
	"time"

	"ottla/controller/quorum"
	"ottla/protocol"
)

// RaftID is this node's in the quorum, for as long as it has its folder.
func (c *Controller) RaftID() uint64 { return c.machine.RaftID() }

// Receive takes a message of another member, which it owns from then on. It does not block: what finds no room is dropped.
func (c *Controller) Receive(m *quorum.Message) { c.queue.receive(m) }

// Forget says that the process of a member is known to be gone: see quorum.Machine.Forget.
func (c *Controller) Forget(raftID uint64) {
	c.tell(func(m *quorum.Machine) { m.Forget(raftID) })
}

// Unreachable says that messages to a member were dropped.
func (c *Controller) Unreachable(raftID uint64) {
	c.tell(func(m *quorum.Machine) { m.Unreachable(raftID) })
}

// SnapshotSent says what became of a snapshot for a member: all of it left, or it will not.
func (c *Controller) SnapshotSent(raftID uint64, sent bool) {
	c.tell(func(m *quorum.Machine) { m.SnapshotSent(raftID, sent) })
}

// Lost says that the process of a broker's incarnation is known to be gone: see quorum.Machine.Lost.
func (c *Controller) Lost(id protocol.BrokerID, epoch protocol.BrokerEpoch) {
	c.tell(func(m *quorum.Machine) { m.Lost(time.Now(), id, epoch) })
}

// tell has the driver call f, unless it has ended.
func (c *Controller) tell(f func(*quorum.Machine)) {
	c.queue.call(func(m *quorum.Machine) {
		if m != nil {
			f(m)
		}
	})
}

// Status tells how the quorum is, as this node sees it. It waits for the driver. Errors: NOT_CONTROLLER when that has ended; those of ctx.
func (c *Controller) Status(ctx context.Context) (quorum.Status, error) {
	type answer struct {
		status quorum.Status
		err    error
	}
	answers := make(chan answer, 1)
	taken := c.queue.call(func(m *quorum.Machine) {
		if m == nil {
			answers <- answer{err: quorum.ErrNotController}
			return
		}
		answers <- answer{status: m.Status()}
	})
	if !taken {
		return quorum.Status{}, quorum.ErrNotController
	}
	select {
	case a := <-answers:
		return a.status, a.err
	case <-ctx.Done():
		return quorum.Status{}, ctx.Err()
	}
}
