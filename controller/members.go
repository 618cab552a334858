package controller

import (
	"context"
	"time"

	"ottla/controller/quorum"
	"ottla/protocol"
)

// RaftID is this node's in the quorum, for as long as it has its folder.
func (c *Controller) RaftID() uint64 { return c.machine.RaftID() }

// Leader is the raft id of who leads the quorum, as far as this node knows; 0: nobody is known.
func (c *Controller) Leader() uint64 { return c.leader.Load() }

// Leads tells whether that is this node.
func (c *Controller) Leads() bool { return c.Leader() == c.RaftID() }

// Resign has this node hand the leadership over, if it leads and another may lead. It is for a node that is about to stop; whether it comes to that, Leader tells.
func (c *Controller) Resign() { c.tell((*quorum.Machine).Resign) }

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
	return question(ctx, c, (*quorum.Machine).Status)
}

// Alone tells whether this node is the only member of the quorum. It waits for the driver; errors are those of Status.
func (c *Controller) Alone(ctx context.Context) (bool, error) {
	return question(ctx, c, (*quorum.Machine).Alone)
}

// question has the driver answer something.
func question[T any](ctx context.Context, c *Controller, f func(*quorum.Machine) T) (none T, _ error) {
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, 1)
	taken := c.queue.call(func(m *quorum.Machine) {
		if m == nil {
			answers <- answer{err: quorum.ErrNotController}
			return
		}
		answers <- answer{v: f(m)}
	})
	if !taken {
		return none, quorum.ErrNotController
	}
	select {
	case a := <-answers:
		return a.v, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
